"""Several people, or one twice, in the same moment: one wins and the others are told.

Each race runs many rounds with real threads and real locks; `test_naive.py` shows that without the
locks the same rounds go wrong.
"""

from __future__ import annotations

from functools import partial
from threading import Event
from uuid import UUID

import pytest
from django.db import transaction

from approvals.exceptions import AlreadyDecided, NotAuthorised, StalePage, WrongState
from approvals.models import ActionRequest, Decision
from approvals.services import deadlines, decide
from approvals.services.agent_replies import withdraw
from approvals.services.deadlines_together import expire_all
from approvals.services.edit import approve_with_edits
from policies.models import User
from tests.approvals.make import (
    ACCESS,
    Cast,
    approve,
    crm,
    foreseeing,
    fresh,
    look_at,
    make_access,
    make_limit,
    make_person,
    make_proof,
    make_request,
    manager_refund,
)
from tests.approvals.story import DECIDED, ROUTED, assert_story, codes
from tests.races.make import Call, at_once, losers
from tests.races.rounds import (
    ROUNDS,
    a_moment_later,
    approving,
    crm_for,
    editing,
    looking_and_editing,
    the_trail_is_whole_after_every_race,
)

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

__all__ = ["the_trail_is_whole_after_every_race"]  # runs around every test here


def test_of_two_approvers_one_decides_and_the_other_is_told(cast: Cast) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)

        results = at_once(approving(request, cast.otto), approving(request, cast.oona))

        (loser,) = losers(results)
        assert isinstance(loser, WrongState)
        assert "decided on" in loser.message
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
    reviewed = look_at(request, cast.oona)
    return partial(
        decide.reject, request.pk, decider=cast.oona, reviewed=reviewed, reason_code="suspicious"
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

        results = at_once(decision, partial(deadlines.expire, request.pk))

        assert isinstance(results[0], WrongState)  # past its time nobody approves, swept or not
        assert results[1] is True
        won.add(fresh(request).state)
    assert won == {"expired"}


def test_ending_many_waits_for_nobody_and_a_decision_in_progress_wins(cast: Cast) -> None:
    for number in ROUNDS:
        request, other = crm_for(cast, 2 * number), crm_for(cast, 2 * number + 1)
        decision = approving(request, cast.otto)
        ActionRequest.objects.filter(pk=other.pk).update(decide_by=other.created_at)
        decided, ended = Event(), Event()

        def decide_slowly(
            decision: Call = decision, decided: Event = decided, ended: Event = ended
        ) -> None:
            with transaction.atomic():
                decision()
                decided.set()
                assert ended.wait(60)

        def end_all(
            ids: list[UUID] = [request.pk, other.pk],  # noqa: B006 - this round's
            decided: Event = decided,
            ended: Event = ended,
        ) -> list[UUID]:
            assert decided.wait(60)
            try:
                return expire_all(ids)
            finally:
                ended.set()

        results = at_once(decide_slowly, end_all)

        assert results == [None, []]
        assert_story(request, "approved", [*ROUTED, *DECIDED])
        assert_story(other, "expired", [*ROUTED, "request.expired"])


def test_two_who_end_the_same_end_each_once(cast: Cast) -> None:
    for number in ROUNDS:
        requests = [crm_for(cast, 4 * number + n) for n in range(4)]
        ids = [request.pk for request in requests]
        for request in requests:
            ActionRequest.objects.filter(pk=request.pk).update(decide_by=request.created_at)

        results = at_once(
            partial(expire_all, ids),
            partial(expire_all, ids),
            partial(deadlines.expire, ids[-1]),
        )

        assert losers(results) == []
        for request in requests:
            if fresh(request).state == "pending_approval":
                assert deadlines.expire(request.pk)  # both had found it locked
            assert_story(request, "expired", [*ROUTED, "request.expired"])


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

        results = at_once(
            looking_and_editing(first, cast.otto, crm(notes="y")),
            looking_and_editing(second, cast.oona, crm(notes="z")),
        )

        assert losers(results) == []
        assert (fresh(first).version, fresh(second).version) == (2, 2)


def test_two_accounts_of_one_person_count_once(cast: Cast) -> None:
    second = make_person("otto-two", "security", person="otto")
    for _ in ROUNDS:
        request = make_access(cast)

        results = at_once(approving(request, cast.otto), approving(request, second))

        (loser,) = losers(results)
        assert isinstance(loser, AlreadyDecided)
        assert_story(request, "pending_approval", [*ROUTED, "decision.recorded"])
        withdraw(request.pk, agent=cast.agent)


def test_an_edit_after_the_first_of_two_approvals_never_keeps_it(cast: Cast) -> None:
    sven = make_person("sven", "security")
    for number in ROUNDS:
        request = make_access(cast)
        approve(request, cast.otto)
        params = {**ACCESS, "until": f"2030-0{1 + number % 9}-01"}
        edit = partial(
            approve_with_edits,
            request.pk,
            decider=cast.sara,
            reviewed=foreseeing(request, cast.sara, params),
            params=params,
            reason_code="corrected",
            proof=make_proof(cast.sara),
        )

        results = at_once(edit, a_moment_later(number, approving(request, sven)))

        (loser,) = losers(results)
        assert isinstance(loser, (WrongState, StalePage))
        if results[0] is loser:
            assert fresh(request).state == "approved"
            assert request.grants.get().approvers == ["otto", "sven"]
        else:
            assert (fresh(request).state, fresh(request).version) == ("pending_approval", 2)
            assert not request.decisions.filter(version=2).exists()
        withdraw(request.pk, agent=cast.agent)
