"""Looking at counters: charges of one customer, time that passes, and what was let through."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import timedelta
from itertools import count

from django.db.models import F

from approvals.models import ActionRequest, CountedRequest, PolicyDecision, VelocityBucket
from connectors.sandbox.server import Sandbox
from policies.services.traces import rules_in
from tests.approvals.make import fresh
from tests.database import triggers_off

_numbers = count(9001)
UNSEEN_IN_A_DAY = 25_000
"""What the default policy lets through to one customer in 24 hours, in cents."""


def another_charge(
    sandbox: Sandbox, *, like: str = "ch_1002", currency: str = "eur", customer: str = ""
) -> str:
    """One more charge of the same customer, or of another one, of 1,000.00."""
    name = f"ch_{next(_numbers)}"
    with sandbox.store.transaction("payments") as store:
        charge = store.get("charge", like)
        assert charge is not None
        values = {"id": name, "amount": 100_000, "currency": currency, "amount_refunded": 0}
        whose = {"customer": customer or charge["customer"]}
        store.put("charge", name, {**charge, **values, **whose})
    return name


def enlarge(sandbox: Sandbox, charge: str = "ch_1002") -> str:
    """The charge, large enough for everything a story refunds."""
    with sandbox.store.transaction("payments") as store:
        found = store.get("charge", charge)
        store.put("charge", charge, {**(found or {}), "amount": 1_000_000})
    return charge


def let_pass(time: timedelta) -> None:
    """So much time passes for everything counted so far. Whole hours only."""
    # newest or oldest first, so that no hour meets its neighbour on the way
    for bucket in VelocityBucket.objects.order_by("hour"):
        with triggers_off():
            VelocityBucket.objects.filter(pk=bucket.pk).update(hour=bucket.hour - time)
    CountedRequest.objects.update(hour=F("hour") - time)
    with triggers_off():
        ActionRequest.objects.update(created_at=F("created_at") - time)


def unseen(requests: Iterable[ActionRequest]) -> int:
    """What policy allowed without a person, in minor units of the base currency."""
    found = [fresh(request) for request in requests]
    return sum(one.amount_base or 0 for one in found if one.verdict == "allow")


def asked(requests: Iterable[ActionRequest]) -> list[ActionRequest]:
    """Those a person is asked about."""
    return [one for one in map(fresh, requests) if one.state == "pending_approval"]


def reasons(request: ActionRequest) -> set[str]:
    """The velocity facts in the rules that asked for a person: why they are asked."""
    decision = PolicyDecision.objects.filter(request=request).latest("id")
    clauses = [
        clause["text"]
        for rule in rules_in(json.loads(decision.trace), decision.policy_version)
        if rule["matched"] and rule["effect"] != "allow"
        for clause in rule["clauses"]
    ]
    return {fact for text in clauses for fact in re.findall(r"velocity\.(\w+)", text)}
