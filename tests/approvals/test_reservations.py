"""What a request reserved when it was counted stays its own: whoever comes later is asked about."""

from __future__ import annotations

from random import Random

import pytest

from approvals.models import ActionRequest, CountedRequest
from approvals.services import agent_replies, agents
from approvals.services.budgets import Budget, set_budget
from approvals.services.execute import execute
from connectors.sandbox.server import Sandbox
from policies.services import people
from tests.approvals.answers import answer_of
from tests.approvals.counting import UNSEEN_IN_A_DAY, another_charge, enlarge, unseen
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    approve_with_edits,
    fresh,
    look_at,
    make_agent,
    make_crm,
    make_request,
    refund,
)
from tests.trials import trials


def test_what_was_answered_approved_runs_whatever_is_proposed_after_it(
    cast: Cast, sandbox: Sandbox
) -> None:
    charge = enlarge(sandbox)
    first = make_request(cast.agent, refund(charge, "240.00"))
    later = [
        make_request(cast.agent, refund(charge, "240.00")),
        make_request(make_agent(cast.owner, "second-bot"), refund(charge, "10.00")),
        make_request(cast.agent, refund(another_charge(sandbox), "900.00")),
    ]

    execute(first.pk)

    assert fresh(first).state == "audited"
    assert [fresh(one).state for one in later] == ["pending_approval"] * 3


def test_an_edit_is_counted_after_everybody_who_came_meanwhile(
    cast: Cast, sandbox: Sandbox
) -> None:
    edited = make_request(cast.agent, refund(another_charge(sandbox), "700.00"))
    between = make_request(cast.agent, refund(another_charge(sandbox), "20.00"))
    approve_with_edits(
        edited.pk,
        decider=cast.mona,
        reviewed=look_at(edited, cast.mona),
        params=refund(another_charge(sandbox), "90.00"),
        reason_code="corrected",
    )

    numbers = dict(CountedRequest.objects.values_list("request", "number"))
    assert numbers[edited.pk] > numbers[between.pk]


def test_a_budget_is_kept_by_who_came_first(cast: Cast, sandbox: Sandbox) -> None:
    set_budget(cast.agent.pk, action_type="crm.*", budget=Budget(count=1), actor=INSTALLER)
    first, second = (tag(cast, f"vip-{n}") for n in range(2))

    execute(first.pk)

    assert fresh(second).state == "pending_approval"
    assert fresh(first).state == "audited"


def test_a_budget_made_tighter_since_counts_and_the_later_one_is_over_it(cast: Cast) -> None:
    first, second = (tag(cast, f"vip-{n}") for n in range(2))
    set_budget(cast.agent.pk, action_type="crm.*", budget=Budget(count=1), actor=INSTALLER)

    execute(second.pk)
    execute(first.pk)

    assert (fresh(first).state, fresh(second).state) == ("audited", "pending_approval")


def tag(cast: Cast, name: str) -> ActionRequest:
    return make_request(cast.agent, {"record": "acct_2001", "tag": name}, action_type="crm.tag")


# --- Splitting is caught all the same


@pytest.mark.parametrize("seed", range(trials(6)))
def test_in_any_order_what_is_allowed_runs_and_never_sums_to_more(
    cast: Cast, sandbox: Sandbox, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 - a story, not a secret
    bots = [cast.agent, make_agent(cast.owner, "second-bot")]
    charges = [another_charge(sandbox) for _ in range(3)]
    proposed: list[ActionRequest] = []
    withdrawn: list[ActionRequest] = []

    for _ in range(14):
        amount = f"{random.choice([10, 60, 120, 240])}.{random.randrange(100):02}"
        request = make_request(random.choice(bots), refund(random.choice(charges), amount))
        proposed.append(request)
        one = random.choice(proposed)
        if random.random() < 0.5:
            execute(one.pk)
        elif random.random() < 0.2 and fresh(one).state == "approved":
            agent_replies.withdraw(one.pk, agent=one.agent)
            withdrawn.append(one)
    for request in proposed:
        execute(request.pk)

    kept = [one for one in proposed if one not in withdrawn]
    assert 0 < unseen(kept) <= UNSEEN_IN_A_DAY
    allowed = [one for one in map(fresh, kept) if one.verdict == "allow"]
    assert [one.state for one in allowed] == ["audited"] * len(allowed)
    ran = [one for one in kept if one.executions.exists()]
    assert {one.pk for one in ran} == {one.pk for one in allowed}


# --- Where it must be taken away


def test_the_answer_says_why_it_was_sent_back(cast: Cast) -> None:
    request = make_request(cast.agent)
    agents.pause_agent(cast.agent.pk, actor=INSTALLER, reason="odd behaviour")

    execute(request.pk)

    told = answer_of(request)
    assert (told["state"], told["verdict"]) == ("pending_approval", "require_approval")
    assert {
        "rule": "sent-back",
        "reason": "It was approved and goes back to people before execution. It was paused since "
        "it was approved. Agent refund-bot is paused: odd behaviour",
        "effect": "require_approval",
    } in told["policy"]["matched"]


def test_the_answer_names_no_colleague(cast: Cast) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    people.deactivate(cast.otto.pk, actor=INSTALLER, reason="left")

    execute(request.pk)

    reasons = [rule["reason"] for rule in answer_of(request)["policy"]["matched"]]
    assert any(reason.endswith("An approval it rests on no longer holds.") for reason in reasons)
    assert "otto" not in " ".join(reasons)
