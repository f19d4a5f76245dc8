"""A web process in small: approves one request, takes one proposal over HTTP, says how long.

    python -m tests.faults.desk REQUEST_ID

The last line of its output is JSON. It uses the settings the environment names, broker included.
"""

from __future__ import annotations

import json
import os
import sys
import time

import django


def main(request_id: str) -> None:
    """Decide and be proposed to, whatever state the broker is in."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    from django.test import Client

    from approvals.models import ActionRequest
    from tests.approvals.make import make_key, refund
    from tests.faults.make import an_agent, decided

    key = make_key(an_agent())
    started = time.monotonic()
    decided(ActionRequest.objects.get(pk=request_id), "mona")
    answer = Client(headers={"Host": "localhost"}).post(
        "/api/v1/actions/",
        data={
            "action_type": "refund.issue",
            "params": refund("ch_1003", "20.00"),
            "intent": "The customer sent a photo of the broken item.",
        },
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "while-redis-is-gone"},
    )
    report = {
        "seconds": time.monotonic() - started,
        "proposed_status": answer.status_code,
        "proposed": answer.json().get("id"),
        "answer": answer.json(),
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
