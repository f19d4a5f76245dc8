"""A pause against approving, claiming and calling: nothing runs that began before it, after it."""

from __future__ import annotations

from functools import partial

import pytest

from approvals.choices import PauseScope
from approvals.exceptions import ApprovalError, Paused
from approvals.models import Pause
from approvals.services.execute import execute
from approvals.services.pauses import lift, pause
from connectors.sandbox.server import Sandbox
from tests.approvals.make import INSTALLER, Cast, approve, fresh
from tests.races.make import at_once, losers
from tests.races.rounds import ROUNDS, approving, crm_for, the_trail_is_whole_after_every_race

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

__all__ = ["the_trail_is_whole_after_every_race"]  # runs around every test here


def stop() -> Pause:
    return pause(PauseScope.ALL, actor=INSTALLER, reason="odd")


def test_an_approval_in_the_moment_of_a_pause_never_runs_after_it(
    cast: Cast, sandbox: Sandbox
) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)

        results = at_once(approving(request, cast.otto), stop)

        assert isinstance(results[1], Pause)
        assert all(isinstance(one, Paused) for one in losers(results))
        lift(results[1].pk, actor=INSTALLER)
        execute(request.pk)
        assert fresh(request).state == "pending_approval"
        assert sandbox.effects("records") == []


def test_what_is_claimed_in_the_moment_of_a_pause_is_called_before_it_or_not_at_all(
    cast: Cast, sandbox: Sandbox
) -> None:
    for number in ROUNDS:
        request = crm_for(cast, number)
        approve(request, cast.otto)
        before = len(sandbox.effects("records"))

        results = at_once(partial(execute, request.pk), stop)

        assert losers(results) == []
        ran = sandbox.effects("records")[before:]
        state = fresh(request).state
        assert state in {"audited", "failed", "pending_approval"}
        assert len(ran) == (state == "audited")
        assert isinstance(results[1], Pause)
        lift(results[1].pk, actor=INSTALLER)
        execute(request.pk)
        assert fresh(request).state == state
        assert len(sandbox.effects("records")[before:]) == len(ran)


def test_of_two_pauses_of_the_same_thing_one_stands(cast: Cast) -> None:
    for _ in ROUNDS:
        results = at_once(stop, stop)

        (loser,) = losers(results)
        assert isinstance(loser, ApprovalError)
        assert loser.code == "already_paused"
        lift(Pause.objects.get(lifted_at=None).pk, actor=INSTALLER)
