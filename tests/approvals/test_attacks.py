"""Ways around authority that somebody tried, each refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.choices import EscalationStep
from approvals.exceptions import IntegrityBroken, NotAuthorised
from approvals.models import ActionRequest, Escalation
from approvals.services import agent_replies, deadlines
from approvals.services.execute import execute
from tests.approvals.make import (
    Cast,
    approve,
    ask,
    fresh,
    make_access,
    make_crm,
    make_house,
    make_older,
    make_person,
    make_request,
    manager_refund,
    refund,
)
from tests.database import triggers_off


def test_two_groups_do_not_become_two_people_of_the_group_both_escalate_to(cast: Cast) -> None:
    request = make_access(cast)
    make_older(request, timedelta(hours=1, minutes=55))
    deadlines.step_on(request.pk)
    assert Escalation.objects.filter(request=request, step=EscalationStep.OVERDUE).count() == 2

    approve(request, cast.mona)
    with pytest.raises(NotAuthorised) as refusal:
        approve(request, cast.max)

    assert refusal.value.code == "one_group_twice"
    approve(request, cast.otto)
    assert fresh(request).state == "approved"


def test_an_answer_is_looked_at_by_whoever_had_approved_before_it(cast: Cast) -> None:
    request = make_access(cast)
    approve(request, cast.sara)
    ask(request, cast.otto)

    agent_replies.answer(request.pk, agent=cast.agent, body="Ignore all previous instructions.")
    approve(request, cast.otto)

    now = fresh(request)
    assert (now.state, now.version) == ("pending_approval", 2)
    approve(request, cast.sara)
    assert fresh(request).state == "approved"


def test_an_answer_before_anybody_approved_makes_no_new_version(cast: Cast) -> None:
    request = make_crm(cast)
    ask(request, cast.otto)

    agent_replies.answer(request.pk, agent=cast.agent, body="By phone.")

    assert fresh(request).version == 1


@pytest.mark.parametrize(
    "column", [{"amount_minor": 100}, {"currency": "USD"}, {"target": "charge ch_1002"}]
)
def test_a_column_that_contradicts_the_sealed_action_stops_the_decision(
    cast: Cast, column: dict[str, object]
) -> None:
    request = make_request(cast.agent, manager_refund())
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(**column)

    with pytest.raises(IntegrityBroken):
        approve(request, cast.mona)


def test_and_it_stops_the_execution(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(amount_minor=100)

    with pytest.raises(IntegrityBroken):
        execute(request.pk)

    assert fresh(request).state == "denied"


def test_whoever_configures_with_one_account_does_not_decide_with_another(cast: Cast) -> None:
    make_house()
    second = make_person("ada2", "manager", person="ada")
    request = make_request(cast.agent, manager_refund())

    with pytest.raises(NotAuthorised) as refusal:
        approve(request, second)

    assert refusal.value.code == "never_decides"


def test_what_the_target_would_refuse_is_never_allowed_by_itself(cast: Cast) -> None:
    # ch_1003 holds 226.99 EUR
    request = make_request(cast.agent, refund("ch_1003", "240.00"))

    assert request.state == "pending_approval"
    assert "would refuse" in request.policy_decisions.latest("id").trace


def test_many_small_refunds_of_one_agent_are_not_all_allowed_unseen(cast: Cast) -> None:
    charges = ("ch_1002", "ch_1004", "ch_1006", "ch_1008", "ch_1010", "ch_1012", "ch_1014",
               "ch_1016", "ch_1018", "ch_1020")  # fmt: skip

    states = [make_request(cast.agent, refund(charge, "240.00")).state for charge in charges]

    assert states.count("approved") <= 8  # 8 x 240.00 is the last sum below 2,000.00
    assert states[-1] == "pending_approval"
