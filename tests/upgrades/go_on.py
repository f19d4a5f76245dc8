"""`python -m tests.upgrades.go_on SECONDS`: the present code goes on with a kept database.

What is in flight there has deadlines, so this process and its connections live SECONDS ago: shortly
after the database was kept. Prints what it found as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db.backends.signals import connection_created
from django.test import Client
from django.utils import timezone

_SHIFTED_CLOCK = """
    CREATE SCHEMA IF NOT EXISTS shifted;
    GRANT USAGE ON SCHEMA shifted TO PUBLIC;
    CREATE OR REPLACE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
        $$ SELECT pg_catalog.clock_timestamp() - interval '%d seconds' $$;
"""
_LOOK_AT_IT = "SET search_path = public, shifted, pg_catalog"


def main(seconds: int) -> None:
    """Migrate, verify, carry out, propose; what a deployment does in its first minute."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    _live_in_the_past(seconds)
    call_command("migrate", verbosity=0)
    if settings.IS_POSTGRES:
        owner, application = os.environ["ROLES"].split()
        call_command(
            "harden_database", execute=True, owner=owner, application=application, stdout=StringIO()
        )
    call_command("sync_roles", stdout=StringIO())
    kept = json.loads(os.environ["KEPT"])
    agent = Client(headers={"Authorization": f"Bearer {kept['key']}"})

    said = StringIO()
    found: dict[str, Any] = {"verified_before": _verifies(said)}
    found["ready"] = agent.get("/readyz").json()
    call_command("sweep", stdout=StringIO())
    for name in ("done", "allowed", "approved", "pending"):
        found[name] = agent.get(f"/api/v1/actions/{kept[name]}/").json()
    for name, amount in (("small", "20.00"), ("larger", "300.00")):
        found[name] = _propose(agent, {"small": "ch_1010", "larger": "ch_1011"}[name], amount)
    found["versions"] = _versions()
    found["verified_after"] = _verifies(said)
    found["said"] = said.getvalue()
    sys.stdout.write(json.dumps(found))


def _live_in_the_past(seconds: int) -> None:
    from audit.lib import db_clock  # Django's settings must be there first

    real, shift_by = timezone.now, timedelta(seconds=seconds)
    timezone.now = lambda: real() - shift_by
    if not settings.IS_POSTGRES:
        db_clock.now = lambda: datetime.now(UTC) - shift_by

    def shift(connection: Any, **kwargs: Any) -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                if "role=" not in connection.settings_dict["OPTIONS"].get("options", ""):
                    cursor.execute(_SHIFTED_CLOCK % seconds)  # who migrates comes first
                cursor.execute(_LOOK_AT_IT)

    connection_created.connect(shift, weak=False)


def _verifies(said: StringIO) -> bool:
    try:
        call_command("verify_audit", stdout=said, stderr=said)
    except SystemExit as end:
        return not end.code
    return True


def _propose(agent: Client, charge: str, amount: str) -> dict[str, Any]:
    body = {
        "action_type": "refund.issue",
        "params": {"charge": charge, "amount": amount, "currency": "EUR", "reason": "damaged"},
        "intent": "A photo was sent.",
    }
    answer = agent.post(
        "/api/v1/actions/",
        data=json.dumps(body),
        content_type="application/json",
        headers={"Idempotency-Key": f"after-{charge}"},
    )
    found: dict[str, Any] = answer.json()
    return found


def _versions() -> list[dict[str, Any]]:
    from policies.models import PolicyVersion
    from policies.services.evaluation import document_of

    return [
        {
            "label": version.label,
            "status": version.status,
            "reason": version.reason,
            "readable": not isinstance(document_of(version), str),
        }
        for version in PolicyVersion.objects.order_by("pk")
    ]


if __name__ == "__main__":
    main(int(sys.argv[1]))
