"""Several people, or one twice, in the same moment: one wins and the others are told.

Each race runs many rounds with real threads and real locks; `test_naive.py` shows that without the
locks the same rounds go wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from approvals.exceptions import (
    AlreadyDecided,
    ApprovalError,
    NotAuthorised,
    Paused,
    StalePage,
    WrongState,
)
from approvals.models import ActionRequest, Attempt, Decision
from approvals.services import agents, clocks, decide
from approvals.services.answer import withdraw
from approvals.services.edit import approve_with_edits
from approvals.services.execute import execute
from approvals.services.undo import propose_undo
from audit.reading import one_snapshot
from audit.verify import verify
from connectors.sandbox.server import Sandbox
from policies.models import User
from tests.approvals.make import (
    DECIDED,
    INSTALLER,
    ROUTED,
    Cast,
    approve,
    assert_story,
    codes,
    crm,
    fresh,
    look_at,
    make_access,
    make_limit,
    make_request,
    manager_refund,
)
from tests.races.make import Call, at_once, losers

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ROUNDS = range(12)


def crm_for(cast: Cast, round_number: int) -> ActionRequest:
    """A record change of its own account each round, so that rounds are no duplicates."""
    account = f"acct_{2001 + round_number}"
    return make_request(cast.agent, crm(account, notes="x"), action_type="crm.update")


def approving(request: ActionRequest, user: User) -> Call:
    """Approve with a page opened before the race."""
    seen = look_at(request, user)
    return partial(decide.approve, request.pk, decider=user, seen=seen, reason_code="as_proposed")


def test_of_two_approvers_one_decides_and_the_other_is_told(cast: Cast) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)

        results = at_once(approving(request, cast.otto), approving(request, cast.oona))

        (loser,) = losers(results)
        assert isinstance(loser, WrongState)
        assert "decided at" in loser.message
        assert_story(request, "approved", [*ROUTED, *DECIDED])
        assert (request.decisions.count(), request.grants.count()) == (1, 1)


def test_two_groups_at_once_are_both_counted_and_unlock_one_grant(cast: Cast) -> None:
    for _ in ROUNDS:
        request = make_access(cast)

        results = at_once(approving(request, cast.otto), approving(request, cast.sara))

        assert losers(results) == []
        assert_story(request, "approved", [*ROUTED, "decision.recorded", *DECIDED])
        assert request.grants.get().approvers == ["otto", "sara"]
        withdraw(request.pk, agent=cast.agent)


def test_a_double_click_counts_once(cast: Cast) -> None:
    for _ in ROUNDS:
        request = make_access(cast)
        click = approving(request, cast.otto)

        results = at_once(click, click)

        (loser,) = losers(results)
        assert isinstance(loser, AlreadyDecided)
        assert_story(request, "pending_approval", [*ROUTED, "decision.recorded"])
        withdraw(request.pk, agent=cast.agent)


def test_two_windows_of_one_person_count_once(cast: Cast) -> None:
    for _ in ROUNDS:
        request = make_access(cast)

        results = at_once(approving(request, cast.otto), approving(request, cast.otto))

        (loser,) = losers(results)
        assert isinstance(loser, AlreadyDecided)
        assert request.decisions.count() == 1
        withdraw(request.pk, agent=cast.agent)


def rejecting(request: ActionRequest, cast: Cast) -> Call:
    seen = look_at(request, cast.oona)
    return partial(
        decide.reject, request.pk, decider=cast.oona, seen=seen, reason_code="suspicious"
    )


def editing(request: ActionRequest, user: User) -> Call:
    return partial(
        approve_with_edits,
        request.pk,
        decider=user,
        seen=look_at(request, user),
        params=crm(request.target.removeprefix("account "), notes="y"),
        reason_code="corrected",
    )


def test_approve_and_reject_have_one_winner(cast: Cast) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)

        results = at_once(approving(request, cast.otto), rejecting(request, cast))

        (loser,) = losers(results)
        assert isinstance(loser, WrongState)
        won = "rejected" if isinstance(results[0], Exception) else "approved"
        assert fresh(request).state == won
        assert request.decisions.count() == 1
        assert request.grants.count() == (won == "approved")


def test_approve_and_edit_have_one_winner(cast: Cast) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)

        results = at_once(approving(request, cast.otto), editing(request, cast.oona))

        (loser,) = losers(results)
        assert isinstance(loser, (WrongState, StalePage))
        if isinstance(results[0], Exception):
            assert (fresh(request).state, fresh(request).version) == ("pending_approval", 2)
            assert request.grants.count() == 0
        else:
            assert_story(request, "approved", [*ROUTED, *DECIDED])


def test_approve_and_expire_have_one_winner(cast: Cast) -> None:
    won: set[str] = set()
    for number in ROUNDS:
        request = crm_for(cast, number)
        decision = approving(request, cast.otto)
        ActionRequest.objects.filter(pk=request.pk).update(decide_by=request.created_at)

        results = at_once(decision, partial(clocks.expire, request.pk))

        assert isinstance(results[0], WrongState)  # past its time nobody approves, swept or not
        assert results[1] is True
        won.add(fresh(request).state)
    assert won == {"expired"}


def test_an_unused_approval_expires_or_runs_and_never_both(cast: Cast, sandbox: Sandbox) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)
        approve(request, cast.otto)
        at = fresh(request).execute_by
        assert at is not None
        ActionRequest.objects.filter(pk=request.pk).update(execute_by=request.created_at)

        results = at_once(partial(execute, request.pk), partial(clocks.expire, request.pk))

        assert losers(results) == []
        ran = [e for e in sandbox.effects("records") if e["target"] in request.target]
        assert fresh(request).state == ("audited" if ran else "expired")
        assert len(ran) == (fresh(request).state == "audited")


def test_approve_and_withdraw_have_one_order(cast: Cast) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)

        results = at_once(
            approving(request, cast.otto), partial(withdraw, request.pk, agent=cast.agent)
        )

        assert fresh(request).state == "withdrawn"  # first or last, a withdrawal holds
        assert not request.grants.filter(consumed_at=None, revoked_at=None).exists()
        if isinstance(results[0], Exception):
            assert isinstance(results[0], WrongState)
            assert codes(request) == [*ROUTED, "request.withdrawn"]
        else:
            assert codes(request) == [*ROUTED, *DECIDED, "grant.revoked", "request.withdrawn"]


def test_approve_and_pause_have_one_order_and_nothing_runs_after_the_pause(
    cast: Cast, sandbox: Sandbox
) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)

        results = at_once(
            approving(request, cast.otto),
            partial(agents.pause_agent, cast.agent.pk, actor=INSTALLER, reason="odd"),
        )

        assert not isinstance(results[1], Exception)
        if isinstance(results[0], Exception):
            assert isinstance(results[0], Paused)
            assert "odd" in results[0].message
            assert_story(request, "pending_approval", ROUTED)
        execute(request.pk)
        assert fresh(request).state == "pending_approval"
        assert sandbox.effects("records") == []
        agents.resume_agent(cast.agent.pk, actor=INSTALLER)


def test_a_claim_and_a_pause_have_one_order(cast: Cast, sandbox: Sandbox) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)
        approve(request, cast.otto)

        def pause_and_look(request: ActionRequest = request) -> str:
            agents.pause_agent(cast.agent.pk, actor=INSTALLER, reason="odd")
            return fresh(request).state

        results = at_once(partial(execute, request.pk), pause_and_look)

        assert losers(results) == []
        if fresh(request).state == "audited":  # then it had begun when the pause returned
            assert results[1] != "approved"
        else:
            assert fresh(request).state == "pending_approval"
        agents.resume_agent(cast.agent.pk, actor=INSTALLER)


def test_many_executors_make_one_attempt(cast: Cast, sandbox: Sandbox) -> None:
    for number in range(8):
        request = crm_for(cast, number)
        approve(request, cast.otto)

        results = at_once(*[partial(execute, request.pk)] * 4)

        assert losers(results) == []
        assert Attempt.objects.filter(execution__request=request).count() == 1
        assert fresh(request).state == "audited"
        assert codes(request).count("request.execution_begun") == 1
    assert len(sandbox.effects("records")) == 8


def test_one_person_does_not_spend_the_day_twice_at_once(cast: Cast) -> None:
    for number in ROUNDS:
        user = User.objects.get(pk=cast.mona.pk if number % 2 else cast.max.pk)
        spent = spent_by(user)
        make_limit(user, "1000.00", per_day=f"{spent // 100 + 1000}.00")
        first, second = (
            make_request(cast.agent, manager_refund(f"{amount}.00")) for amount in (600, 601)
        )

        results = at_once(approving(first, user), approving(second, user))

        (loser,) = losers(results)
        assert isinstance(loser, NotAuthorised)
        assert loser.code == "over_daily_limit"
        assert sorted([fresh(first).state, fresh(second).state]) == [
            "approved",
            "pending_approval",
        ]


def spent_by(user: User) -> int:
    given = Decision.objects.filter(person=user.person).values_list("amount_minor", flat=True)
    return sum(amount or 0 for amount in given)


def test_people_whose_edits_notify_each_other_do_not_deadlock(cast: Cast) -> None:
    for number in ROUNDS:
        first, second = crm_for(cast, 2 * number), crm_for(cast, 2 * number + 1)

        results = at_once(editing(first, cast.otto), editing(second, cast.oona))

        assert losers(results) == []
        assert (fresh(first).version, fresh(second).version) == (2, 2)


def test_two_people_who_undo_at_once_open_one_undo(cast: Cast) -> None:
    for number in range(8):
        request = crm_for(cast, number)
        approve(request, cast.otto)
        execute(request.pk)

        results = at_once(
            undoing(request, cast.otto, f"a{number}"), undoing(request, cast.oona, f"b{number}")
        )

        assert [r for r in losers(results) if not isinstance(r, ApprovalError)] == []
        assert request.undo_requests.count() == 1
        assert request.compensations.filter(is_active=True).count() == 1


def undoing(request: ActionRequest, person: User, key: str) -> Call:
    return partial(propose_undo, request.pk, person=person, reason=key, idempotency_key=key)


@pytest.fixture(autouse=True)
def _the_trail_is_whole_after_every_race(cast: Cast) -> Iterator[None]:
    yield
    with one_snapshot():
        assert verify().problem is None
