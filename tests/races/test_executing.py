"""Executors, pauses, clocks and undos in the same moment: one order, one attempt, one effect."""

from __future__ import annotations

from functools import partial

import pytest

from approvals.exceptions import ApprovalError, Paused
from approvals.models import ActionRequest, Attempt
from approvals.services import agents, deadlines
from approvals.services.execute import execute
from approvals.services.undo import propose_undo
from connectors.sandbox.server import Sandbox
from policies.models import User
from tests.approvals.make import INSTALLER, Cast, approve, fresh
from tests.approvals.story import ROUTED, assert_story, codes
from tests.races.make import Call, at_once, losers
from tests.races.rounds import (
    ROUNDS,
    a_moment_later,
    approving,
    crm_for,
    the_trail_is_whole_after_every_race,
)

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

__all__ = ["the_trail_is_whole_after_every_race"]  # runs around every test here


def test_an_unused_approval_expires_or_runs_and_never_both(cast: Cast, sandbox: Sandbox) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)
        approve(request, cast.otto)
        at = fresh(request).execute_by
        assert at is not None
        ActionRequest.objects.filter(pk=request.pk).update(execute_by=request.created_at)

        before = len(sandbox.effects("records"))

        expire = a_moment_later(number, partial(deadlines.expire, request.pk))

        results = at_once(partial(execute, request.pk), expire)

        assert losers(results) == []
        ran = sandbox.effects("records")[before:]
        assert fresh(request).state == ("audited" if ran else "expired")
        assert len(ran) == (fresh(request).state == "audited")


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

        results = at_once(partial(execute, request.pk), a_moment_later(number, pause_and_look))

        assert losers(results) == []
        # it had begun when the pause returned: called, or stopped just before the call
        if fresh(request).state in {"audited", "failed"}:
            assert results[1] != "approved"
        else:
            assert fresh(request).state == "pending_approval"
        agents.resume_agent(cast.agent.pk, actor=INSTALLER)


def test_many_executors_make_one_attempt(cast: Cast, sandbox: Sandbox) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)
        approve(request, cast.otto)

        results = at_once(*[partial(execute, request.pk)] * 4)

        assert losers(results) == []
        assert Attempt.objects.filter(execution__request=request).count() == 1
        assert fresh(request).state == "audited"
        assert codes(request).count("request.execution_begun") == 1
    assert len(sandbox.effects("records")) == len(ROUNDS)


def test_two_people_who_undo_at_once_open_one_undo(cast: Cast) -> None:
    for number in ROUNDS:
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
