"""Proposals at the same moment never get more past a limit than it allows; unlocked sums do."""

from __future__ import annotations

from functools import partial
from threading import Barrier

import pytest
from django.db import transaction
from django.db.models import Sum

from approvals.models import ActionRequest, Agent, VelocityBucket
from approvals.models.usage import VelocityScope
from approvals.services import agent_replies
from approvals.services.budgets import Budget, set_budget
from approvals.services.execute import execute
from audit.reading import one_snapshot
from audit.verify import verify
from connectors.sandbox.server import Sandbox
from tests.approvals.counting import UNSEEN_IN_A_DAY, another_charge
from tests.approvals.make import (
    INSTALLER,
    Cast,
    make_agent,
    make_request,
    manager_refund,
    refund,
    reject,
)
from tests.approvals.test_usage import by_the_requests, in_the_counters
from tests.races.make import Call, at_once, losers
from tests.races.rounds import looking_and_editing
from tests.trials import trials

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

AT_ONCE = 20
TAGS = AT_ONCE * trials(10, least=2)


def tagging(agent: Agent, number: int) -> Call:
    """What policy allows by itself, unless the agent is above its budget."""
    params = {"record": f"acct_20{number % 40 + 1:02}", "tag": f"tag-{number}"}
    return partial(make_request, agent, params, action_type="crm.tag")


def test_twenty_at_once_again_and_again_stay_within_a_budget(cast: Cast) -> None:
    set_budget(cast.agent.pk, action_type="crm.*", budget=Budget(count=30), actor=INSTALLER)

    for first in range(0, TAGS, AT_ONCE):
        results = at_once(*(tagging(cast.agent, first + n) for n in range(AT_ONCE)))
        assert losers(results) == []

    verdicts = list(ActionRequest.objects.values_list("verdict", flat=True))
    assert (verdicts.count("allow"), verdicts.count("require_approval")) == (30, TAGS - 30)
    assert in_the_counters() == by_the_requests()
    with one_snapshot():
        assert verify().problem is None


def test_what_an_agent_may_refund_unseen_is_not_exceeded_at_once(
    cast: Cast, sandbox: Sandbox
) -> None:
    """2,000.00 EUR a day: ten customers' 200.00, whoever comes first of twenty-four."""
    charges = [
        another_charge(sandbox, like=f"ch_{1002 + n}", customer=f"cus_{1002 + n}")
        for n in range(24)
    ]

    results = at_once(
        *(partial(make_request, cast.agent, refund(charge, "200.00")) for charge in charges)
    )

    assert losers(results) == []
    allowed = ActionRequest.objects.filter(verdict="allow").aggregate(sum=Sum("amount_base"))
    assert allowed["sum"] == 200_000
    assert in_the_counters() == by_the_requests()


def test_whatever_is_proposed_meanwhile_all_that_was_allowed_runs_and_no_more(
    cast: Cast, sandbox: Sandbox
) -> None:
    """One customer's 250.00 EUR a day: each is proposed and carried out while others are."""
    agents = [cast.agent, make_agent(cast.owner, "second-bot")]
    charges = [another_charge(sandbox) for _ in range(16)]

    def propose_and_run(number: int) -> str:
        amount = f"{60 + number}.00"
        request = make_request(agents[number % 2], refund(charges[number], amount))
        answered = request.state
        execute(request.pk)
        return answered

    results = at_once(*(partial(propose_and_run, number) for number in range(16)))

    assert losers(results) == []
    done = ActionRequest.objects.filter(executions__isnull=False)
    assert results.count("approved") == done.count() > 1
    assert set(done.values_list("state", flat=True)) == {"audited"}
    assert 0 < (done.aggregate(sum=Sum("amount_base"))["sum"] or 0) <= UNSEEN_IN_A_DAY
    assert in_the_counters() == by_the_requests()


def test_summing_without_the_lock_lets_more_through(cast: Cast) -> None:
    """The naive way: look at the counters, meet everybody else who looked, then add."""
    meeting = Barrier(AT_ONCE)
    make_request(cast.agent, manager_refund("600.00"))
    scope = VelocityScope.AGENT

    @transaction.atomic
    def look_then_add() -> bool:
        held = VelocityBucket.objects.filter(counter__scope=scope)
        spent = held.aggregate(sum=Sum("sum_base"))["sum"]
        meeting.wait(timeout=120)
        return bool(spent + 100_00 <= 700_00)

    results = at_once(*[look_then_add] * AT_ONCE)

    assert results.count(True) > 1  # room was for one


def test_every_way_counters_are_touched_at_once_ends_without_a_deadlock(
    cast: Cast, sandbox: Sandbox
) -> None:
    """Two agents, two customers, the same charges in both orders, edits, noes and withdrawals."""
    agents = [cast.agent, make_agent(cast.owner, "second-bot")]
    for round_number in range(trials(6)):
        charges = [
            another_charge(sandbox, like="ch_1002", customer=f"cus_{1002 + n % 2}")
            for n in range(4)
        ]
        waiting = [
            make_request(agents[n % 2], refund(charges[n], f"60{round_number}.00"))
            for n in range(4)
        ]
        edited, refused, withdrawn, _ = waiting
        calls: list[Call] = [
            looking_and_editing(edited, cast.mona, refund(charges[3], "550.00")),
            partial(reject, refused, cast.max),
            partial(agent_replies.withdraw, withdrawn.pk, agent=withdrawn.agent),
        ]
        for n in range(9):
            params = refund(charges[n % 4], f"{round_number + 1}{n}.00")
            calls.append(partial(make_request, agents[n % 2], params))

        results = at_once(*calls)

        assert losers(results) == []
        assert in_the_counters() == by_the_requests()
