"""A deal that is won, told as one plan of three systems, through the API and the plan's page."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.core.management import call_command

from approvals.models import Plan
from connectors.sandbox.web import Fault
from tests.approvals.executing import plan as plan_fault
from tests.journeys.conftest import House

OK = {"reason_code": "as_proposed", "comment": ""}
STEPS = [
    {"action_type": "crm.update", "params": {"record": "acct_2001", "fields": {"stage": "won"}}},
    {
        "action_type": "shipment.reroute",
        "params": {"shipment": "shp_6001", "depot": "BER-1", "reason": "the roof leaks"},
    },
    {
        "action_type": "refund.issue",
        "params": {
            "charge": "ch_1001",
            "amount": "800.00",
            "currency": "EUR",
            "reason": "agreed discount",
        },
    },
]
BODY: dict[str, Any] = {"intent": "The deal is won.", "session": "deal-7", "steps": STEPS}


def work(house: House) -> None:
    """What worker and beat do in a few minutes."""
    for _ in range(8):
        Plan.objects.filter(next_look_at__isnull=False).update(next_look_at="2026-01-01T00:00Z")
        house.work()


def agreed(house: House) -> str:
    plan = house.agent.plan(BODY, key="deal-7")
    assert (plan["state"], plan["risk_tier"], plan["verdict"]) == ("open", 3, "require_approval")
    assert [step["step"] for step in plan["steps"]] == [1, 2, 3]
    house.person("omar").decide_plan(plan["id"], "approve", OK)
    house.person("mona").decide_plan(plan["id"], "approve", OK)
    return str(plan["id"])


def test_three_systems_one_plan_two_people(house: House) -> None:
    plan_id = agreed(house)
    with pytest.raises(LookupError):
        house.person("omar").decide_plan(plan_id, "approve", OK)
    work(house)

    done = house.agent.get_plan(plan_id)
    assert (done["state"], done["outcome"]) == ("over", "done")
    assert [step["state"] for step in done["steps"]] == ["audited"] * 3
    assert {len(house.effects(s)) for s in ("records", "logistics", "payments")} == {1}
    call_command("verify_audit")


def test_the_third_fails_and_the_first_two_are_undone_in_order(house: House) -> None:
    plan_id = agreed(house)
    plan_fault(house.sandbox, Fault("refuse", method="POST"))
    work(house)

    stopped = house.agent.get_plan(plan_id)
    assert (stopped["state"], stopped["stop_reason"]) == ("stopped", "Step 3 of the plan: failed.")
    for step in (2, 1):  # newest first, each approved by people as policy says
        original = stopped["steps"][step - 1]["id"]
        undo = _undo_of(house, original)
        assert undo["state"] == "pending_approval"
        house.person("olive").decide(undo["id"], "approve", OK)
        work(house)

    over = house.agent.get_plan(plan_id)
    assert (over["state"], over["outcome"]) == ("over", "undone")
    assert [step["state"] for step in over["steps"]] == ["compensated", "compensated", "failed"]
    call_command("verify_audit")


def _undo_of(house: House, original: str) -> dict[str, Any]:
    page = house.agent._http.get("actions/", params={"session": "deal-7"}).json()
    (found,) = (one for one in page["results"] if one["compensates"] == original)
    return dict(found)


def test_a_step_shows_the_way_to_its_plan_and_no_decision(house: House) -> None:
    plan = house.agent.plan(BODY, key="deal-7")

    page = house.person("omar").page(plan["steps"][0]["id"])
    assert f"/admin/approvals/plan/{plan['id']}/change/" in page
    for what in ("approve", "reject", "edit", "ask"):
        with pytest.raises(LookupError):
            house.person("omar").decide(plan["steps"][0]["id"], what, OK)


def test_strangers_find_no_plan(house: House) -> None:
    plan = house.agent.plan(BODY, key="deal-7")

    with pytest.raises(httpx.HTTPStatusError):
        house.person("sven").decide_plan(plan["id"], "approve", OK)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"steps": STEPS[:1]}, {"steps"}),
        ({"steps": [STEPS[0], {"action_type": "refund.issue"}]}, {"steps.1.params"}),
        ({"steps": [STEPS[0], {**STEPS[1], "risk_tier": 0}]}, {"steps.1.risk_tier"}),
        ({"steps": [STEPS[0], {**STEPS[1], "params": {}}]}, None),
        ({"callback_url": "https://a.example"}, {"callback_url"}),
    ],
)
def test_bad_plans_are_refused_by_field(
    house: House, change: dict[str, Any], fields: set[str] | None
) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        house.agent.plan({**BODY, **change}, key="bad")

    problem = refused.value.response.json()
    assert refused.value.response.status_code in (400, 422)
    found = {error["field"] for error in problem["errors"]}
    assert found == fields if fields else all(f.startswith("steps.1.params") for f in found)
