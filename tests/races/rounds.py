"""A round of a race: a request of its own, somebody's answer to it, and a sound trail after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from time import sleep

import pytest

from approvals.exceptions import EditNotForeseen
from approvals.models import ActionRequest
from approvals.services import decide
from approvals.services.edit import approve_with_edits
from audit.lib.canonical import JsonObject
from audit.reading import one_snapshot
from audit.verify import verify
from policies.models import User
from tests.approvals.make import Cast, crm, foreseeing, look_at, make_proof, make_request
from tests.approvals.make import approve_with_edits as look_and_edit
from tests.races.make import Call
from tests.trials import trials

ROUNDS = range(trials())
"""Of each race."""


LONGEST_CLAIM = 0.03
"""Seconds. A worker reads the target before it claims: what races with it must not come first."""


def crm_for(cast: Cast, round_number: int) -> ActionRequest:
    """A record change of its own each round, so that rounds are no duplicates."""
    return make_request(cast.agent, crm(notes=f"note {round_number}"), action_type="crm.update")


def approving(request: ActionRequest, user: User) -> Call:
    """Approve with a page opened before the race."""
    return partial(
        decide.approve,
        request.pk,
        decider=user,
        reviewed=look_at(request, user),
        reason_code="as_proposed",
        proof=make_proof(user),
    )


def editing(request: ActionRequest, user: User) -> Call:
    """Edit, with what comes of it looked at before the race."""
    params = crm(request.target.removeprefix("account "), notes="y")
    return partial(
        approve_with_edits,
        request.pk,
        decider=user,
        reviewed=foreseeing(request, user, params),
        params=params,
        reason_code="corrected",
    )


def looking_and_editing(request: ActionRequest, user: User, params: JsonObject) -> Call:
    """Edit as people do: look again where others made policy say something else meanwhile."""
    reviewed = look_at(request, user)

    def until_sent() -> object:
        while True:
            with suppress(EditNotForeseen):
                return look_and_edit(
                    request.pk,
                    decider=user,
                    reviewed=reviewed,
                    params=params,
                    reason_code="corrected",
                )

    return until_sent


def a_moment_later(number: int, call: Call) -> Call:
    """The call, begun later each round, over the time a claim takes and back to the start."""

    def later() -> object:
        sleep(LONGEST_CLAIM * (number * 7 % 20) / 20)  # few rounds are spread over it too
        return call()

    return later


@pytest.fixture(autouse=True)
def the_trail_is_whole_after_every_race(cast: Cast) -> Iterator[None]:
    yield
    with one_snapshot():
        assert verify().problem is None
