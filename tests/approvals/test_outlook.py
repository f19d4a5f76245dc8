"""What is said of what comes after the last yes: when, or why it cannot."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from approvals.choices import PauseScope
from approvals.exceptions import Paused, WrongState
from approvals.models import ActionRequest, Agent
from approvals.selectors.outlook import Outlook, after_last_yes, of_approved
from approvals.selectors.pauses import stop_of
from approvals.selectors.requests import policy_decision_of
from approvals.services.close import start
from approvals.services.pauses import pause
from audit.lib import db_clock
from audit.lib.dates import format_moment
from connectors.registry import action_type
from policies.services.evaluation import held_until
from tests.approvals.agents_own import make_command
from tests.approvals.make import (
    INSTALLER,
    ROBOT,
    Cast,
    approve,
    fresh,
    make_access,
    make_crm,
    make_proof,
    make_request,
    publish,
    supply,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

FREEZE = (
    "\n- {{name: close, from: {}T00:00, to: {}T00:00, tz: UTC, action_types: [{}], reason: busy}}"
)


def window_on(days_ahead: int) -> tuple[str, str]:
    """The change window of the default policy, open on one day of the week alone."""
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    day = names[(timezone.now().weekday() + days_ahead) % 7]
    return ("days: [mon, tue, wed, thu, fri, sat, sun]", f"days: [{day}]")


def ahead_of(request: ActionRequest) -> Outlook:
    policy = policy_decision_of(request)
    assert policy is not None
    kind = action_type(request.action_type)
    return after_last_yes(request, kind, policy, at=db_clock.now())


def since_approved(request: ActionRequest) -> Outlook:
    approved = fresh(request)
    found = of_approved(approved, stop_of(approved), at=db_clock.now())
    assert found is not None
    return found


def robot(cast: Cast) -> ActionRequest:
    request = make_request(cast.agent, ROBOT, action_type="robot.run")
    supply(request, cast.oona)
    return fresh(request)


def test_what_runs_at_once_is_said_to(cast: Cast) -> None:
    request = make_crm(cast)

    ahead = ahead_of(request)
    approve(request, cast.otto)

    assert ahead.is_possible
    assert "Countersign then does exactly this, once, until" in ahead.sentence
    assert since_approved(request).sentence.startswith("Countersign carries it out now")


def test_a_window_that_opens_after_the_approval_ends_is_no_promise(cast: Cast) -> None:
    publish(cast, window_on(3))
    request = make_access(cast)
    opens_at = held_until("changes", "access.grant", db_clock.now())
    assert opens_at is not None

    ahead = ahead_of(request)
    approve(request, cast.sara, cast.otto)
    since = since_approved(request)

    assert not ahead.is_possible
    assert f"opens on {format_moment(opens_at)}, after an approval ends" in ahead.sentence
    assert "It would expire, and nothing would be done." in ahead.sentence
    assert "does exactly this" not in ahead.sentence
    assert not since.is_possible
    assert "It expires, and nothing is done." in since.sentence


def test_what_a_person_must_start_is_never_said_to_be_carried_out(cast: Cast) -> None:
    request = robot(cast)

    ahead = ahead_of(request)
    approve(request, cast.otto, cast.mona)
    waits = since_approved(request)
    start(request.pk, operator=cast.otto, proof=make_proof(cast.otto))
    begun = since_approved(request)

    assert "Nothing begins by itself: a person starts it and watches." in ahead.sentence
    assert "A person has to start it, until" in waits.sentence
    assert "carries it out now" not in waits.sentence
    assert begun.sentence.startswith("otto started it. Countersign carries it out now")


def test_what_the_agent_does_itself_is_never_said_to_be_done_by_us(
    cast: Cast, coder: Agent
) -> None:
    request = make_command(coder)

    ahead = ahead_of(request)
    approve(request, cast.sara, cast.otto)

    assert ahead.sentence.startswith("Yours is the last yes. The agent may then do exactly this")
    assert since_approved(request).sentence.startswith("The agent may carry it out itself now")


def test_nothing_is_started_while_it_is_paused(cast: Cast) -> None:
    request = robot(cast)
    approve(request, cast.otto, cast.mona)
    pause(PauseScope.ACTION_TYPE, "robot.run", actor=INSTALLER, reason="a person in zone A")

    waits = since_approved(request)
    with pytest.raises(Paused, match="Nothing is started while that lasts"):
        start(request.pk, operator=cast.otto, proof=make_proof(cast.otto))

    assert "Nothing begins while that lasts." in waits.sentence
    assert not waits.begins_now
    assert not fresh(request).grants.exclude(started_by=None).exists()


def test_nothing_is_started_in_a_freeze(cast: Cast) -> None:
    request = robot(cast)
    approve(request, cast.otto, cast.mona)
    begins, ends = (timezone.now().date() + timedelta(days=days) for days in (-1, 2))
    publish(cast, ("freezes: []", f"freezes:{FREEZE.format(begins, ends, 'robot.run')}"))

    with pytest.raises(WrongState, match="Nothing may begin now; it may on"):
        start(request.pk, operator=cast.otto, proof=make_proof(cast.otto))

    assert not since_approved(request).begins_now
