"""A plain failure of a target that keeps keys: looked up, then repeated under the same key."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from approvals.choices import PauseScope
from approvals.domain.attempts import Refused
from approvals.models import ActionRequest, Execution, Notice
from approvals.services.execute import execute, settle
from approvals.services.pauses import pause
from approvals.services.recover import recover
from approvals.services.sweep import sweep
from audit.actors import Actor
from audit.lib import db_clock
from connectors.registry import action_type
from connectors.sandbox.server import Sandbox
from connectors.sandbox.web import Fault
from tests.approvals.executing import (
    approved_mail,
    attempts,
    claimed,
    plan,
    taken_over,
    time_until_next_attempt,
)
from tests.approvals.make import Cast, fresh, make_older, make_request
from tests.approvals.story import ALLOWED, DONE, assert_story
from tests.database import triggers_off

PLAIN_FAILURES = ["error_500", "reset"]


@pytest.mark.parametrize("mode", PLAIN_FAILURES)
def test_a_plain_failure_is_repeated_under_the_same_key_until_it_works(
    cast: Cast, sandbox: Sandbox, mode: str
) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode=mode, path="/v1/refunds", method="POST", times=2))

    execute(request.pk)
    first = fresh(request).state
    taken_over(request)
    taken_over(request)

    assert first == "executing"
    assert attempts(request) == ["unknown", "unknown", "receipt"]
    (effect,) = sandbox.effects("payments")
    assert effect["idempotency_key"] == request.executions.get().provider_key
    told = [*ALLOWED, *DONE[:2], "execution.retried", "execution.retried", *DONE[2:]]
    assert_story(request, "audited", told)


def test_between_repeats_the_target_is_left_alone_longer_every_time(
    cast: Cast, sandbox: Sandbox, settings: Settings
) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="error_500", path="/v1/refunds", method="POST", times=99))

    execute(request.pk)
    waits = [time_until_next_attempt(request)]
    for _ in range(settings.EXECUTION_MAX_ATTEMPTS - 2):
        taken_over(request)
        waits.append(time_until_next_attempt(request))
    before = attempts(request)
    sweep()  # the pause of the last one is not over

    assert waits == sorted(waits)
    assert waits[-1] > timedelta(minutes=1)
    assert attempts(request) == before


def test_repeating_is_bounded_and_people_have_it_in_the_end(
    cast: Cast, sandbox: Sandbox, settings: Settings
) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="error_500", path="/v1/refunds", method="POST", times=99))

    execute(request.pk)
    for _ in range(settings.EXECUTION_MAX_ATTEMPTS - 1):
        taken_over(request)

    assert fresh(request).state == "outcome_unknown"
    assert attempts(request) == ["unknown"] * settings.EXECUTION_MAX_ATTEMPTS
    assert "had an error of its own" in request.executions.get().problem
    assert sandbox.effects("payments") == []


def test_an_effect_the_target_shows_is_not_asked_for_again(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="apply_then_500", path="/v1/refunds", method="POST"))
    execute(request.pk)
    plan(sandbox, Fault(mode="refuse", path="/v1/refunds", method="POST"))  # who calls, meets it

    taken_over(request)

    assert attempts(request) == ["unknown", "receipt"]
    assert fresh(request).state == "audited"
    assert len(sandbox.effects("payments")) == 1


def refused_for(request: ActionRequest, pause: timedelta) -> None:
    """A worker's call is answered: busy, and not again for so long."""
    busy = Refused("Payments is busy: later.", permanent=False, retry_after=pause)
    settle(claimed(request), busy)


def test_a_pause_longer_than_the_approval_holds_ends_with_people(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)

    refused_for(request, timedelta(days=400))

    execution = request.executions.get()
    assert fresh(request).state == "outcome_unknown"
    assert "longer pause than the approval holds" in execution.problem
    assert Notice.objects.filter(request=request, subject__contains="attention").exists()
    assert sandbox.effects("payments") == []
    assert attempts(request) == ["unknown"]


def test_a_pause_the_approval_outlives_is_waited_for(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)

    refused_for(request, timedelta(minutes=10))
    before = fresh(request).state
    waits = time_until_next_attempt(request)
    taken_over(request)

    assert (before, fresh(request).state) == ("executing", "audited")
    assert timedelta(minutes=9) < waits <= timedelta(minutes=10)


def test_what_waited_until_its_approval_was_over_is_not_called_any_more(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)
    refused_for(request, timedelta(minutes=10))
    make_older(request, by=timedelta(days=30))

    taken_over(request)

    assert fresh(request).state == "outcome_unknown"
    assert "approval's time is over" in request.executions.get().problem
    assert sandbox.effects("payments") == []


def test_past_the_window_of_its_key_nothing_is_repeated(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="error_500", path="/v1/refunds", method="POST"))
    execute(request.pk)
    window = action_type("refund.issue").at_most_once.window
    assert window is not None
    # the key is still known while this is asked, and forgotten by the time a call could arrive
    with triggers_off():
        Execution.objects.filter(request=request).update(
            started_at=db_clock.now() - window + timedelta(seconds=5)
        )

    taken_over(request)

    assert fresh(request).state == "outcome_unknown"
    assert attempts(request) == ["unknown", "unknown"]
    assert sandbox.effects("payments") == []


def test_a_pause_ends_the_repeating(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="error_500", path="/v1/refunds", method="POST"))
    execute(request.pk)
    pause(PauseScope.ALL, actor=Actor.human(cast.ada), reason="odd numbers")

    taken_over(request)

    assert fresh(request).state == "outcome_unknown"
    assert sandbox.effects("payments") == []


def test_a_definite_refusal_of_a_repeat_goes_to_people_and_is_not_called_a_failure(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="error_500", path="/v1/refunds", method="POST"))
    execute(request.pk)
    plan(sandbox, Fault(mode="refuse", path="/v1/refunds", method="POST"))

    taken_over(request)

    assert fresh(request).state == "outcome_unknown"
    assert "An earlier call may have had its effect" in request.executions.get().problem


def test_a_target_that_cannot_be_asked_is_not_called_either(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="error_500", path="/v1/refunds", method="POST"))
    execute(request.pk)
    plan(sandbox, Fault(mode="error_500", path="/v1/refunds", method="GET"))

    taken_over(request)

    assert fresh(request).state == "executing"
    assert sandbox.effects("payments") == []
    taken_over(request)
    assert fresh(request).state == "audited"
    assert len(sandbox.effects("payments")) == 1


def test_a_mail_is_never_sent_again(cast: Cast, sandbox: Sandbox) -> None:
    request = approved_mail(cast)
    plan(sandbox, Fault(mode="reset", path="/smtp"), system="email")

    execute(request.pk)
    recover(request.pk)
    sweep()

    assert fresh(request).state == "outcome_unknown"
    assert attempts(request) == ["unknown"]
    assert sandbox.effects("email") == []
