"""What keeps an approval waiting whatever the matrix demands: its target, and contradictions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.api.output import ActionOutput
from approvals.exceptions import EvidenceMissing, WrongState
from approvals.models import ActionRequest
from approvals.selectors.request_view import RequestView
from approvals.services.agent_replies import answer
from approvals.services.evidence import read_again
from approvals.services.execute import execute
from audit.lib import db_clock
from connectors.sandbox.server import Sandbox
from tests.approvals.make import (
    ACCESS,
    ROBOT,
    Cast,
    approve,
    crm,
    fresh,
    look_at,
    make_crm,
    make_person,
    make_request,
    manager_refund,
    refund,
    reject,
    said,
    supply,
)
from tests.connectors.make import change_object
from tests.database import triggers_off

_again = iter(range(1000))


def gaps_told(request: ActionRequest) -> list[tuple[str, str]]:
    told = ActionOutput(RequestView(fresh(request))).data["evidence_gaps"]
    return [(gap["kind"], gap["problem"]) for gap in told]


# --- The target -----------------------------------------------------------------------------------


def test_what_the_target_would_refuse_nobody_approves(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent, refund("ch_1003", "600.00"))
    assert gaps_told(request) == [("target", "refused")]

    with pytest.raises(EvidenceMissing, match=r"Only 226.99 EUR of charge ch_1003 is left"):
        approve(request, cast.mona)

    change_object(sandbox, "payments", "charge", "ch_1003", amount=90_000)
    read_again(request.pk, person=cast.mona, reviewed=look_at(request, cast.mona))
    assert gaps_told(request) == []
    approve(request, cast.mona)
    assert fresh(request).state == "approved"


def supply_all(request: ActionRequest) -> None:
    for kind in ("risk_analysis", "hazard_check", "manual_override"):
        supply(request, make_person(f"h{next(_again)}", "operations"), kind)


def test_an_unreadable_target_is_never_approved_on_two_ordinary_yeses(cast: Cast) -> None:
    request = make_request(cast.agent, refund("ch_9999", "800.00"))
    supply_all(request)

    for person in (cast.otto, cast.mona):
        with pytest.raises(EvidenceMissing, match="could not be read"):
            approve(request, person)

    assert gaps_told(request) == [("target", "unreadable")]
    reject(request, cast.mona)


def test_reading_again_is_for_what_the_system_read(cast: Cast) -> None:
    request = make_crm(cast)

    with pytest.raises(WrongState):
        read_again(request.pk, person=cast.otto, reviewed=look_at(request, cast.otto))

    assert fresh(request).version == 1


def test_what_was_read_yesterday_is_read_again(cast: Cast) -> None:
    request = make_crm(cast)
    with triggers_off():
        request.readings.update(read_at=db_clock.now() - timedelta(days=2))
        request.evidence.update(retrieved_at=db_clock.now() - timedelta(days=2))
    with pytest.raises(EvidenceMissing, match=r"'customer record' is stale\. Read"):
        approve(request, cast.otto)

    read_again(request.pk, person=cast.otto, reviewed=look_at(request, cast.otto))

    approve(request, cast.otto)  # pressing the button is no hand in it
    execute(request.pk)
    assert fresh(request).state == "audited"


# --- Sources that contradict each other -----------------------------------------------------------


def test_contradictions_are_cleared_up_before_anybody_approves(cast: Cast) -> None:
    mails = (said("mail", "I want my money back."), said("mail", "Keep the money."))
    request = make_request(
        cast.agent, manager_refund(), evidence=(*mails, said("clarification", "All is clear."))
    )
    assert gaps_told(request) == [("clarification", "conflicting")]
    with pytest.raises(EvidenceMissing, match="contradict"):
        approve(request, cast.mona)

    answer(
        request.pk,
        agent=cast.agent,
        body="The second mail is another customer's.",
        evidence=(said("clarification", "The second mail came from another customer."),),
    )

    approve(request, cast.mona)
    assert fresh(request).state == "approved"


# --- What it would do, and what a mistake would cost ----------------------------------------------


@pytest.mark.parametrize(
    ("action_type", "params", "impact", "cost", "risk"),
    [
        ("refund.issue", manager_refund(), "800.00 EUR for customer", "which nothing brings back",
         "800.00 EUR"),
        ("crm.update", crm(stage="won"), "stage of account acct_2001", "until it is undone", None),
        ("access.grant", ACCESS, "The rights of mia.keller change", "until it is undone", None),
        ("robot.run", ROBOT, "physical world", "Harm to people", None),
    ],
)  # fmt: skip
def test_impact_and_cost_of_an_error_come_from_the_case(
    cast: Cast, action_type: str, params: dict[str, str], impact: str, cost: str, risk: str | None
) -> None:
    request = make_request(cast.agent, params, action_type=action_type)

    told = ActionOutput(RequestView(request)).data["impact"]

    assert impact in told["summary"]
    assert cost in told["cost_of_error"]
    assert told["money_at_risk"] == risk
