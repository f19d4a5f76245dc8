"""What may have been done in a life the database lost is looked up before the first call."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from pytest_django.fixtures import Settings

from approvals.domain.attempts import call
from approvals.models import ActionRequest
from approvals.services.execute import execute, settle
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
from tests.approvals.make import Cast, approve, fresh, make_request, manager_refund
from tests.approvals.story import codes
from tests.database import triggers_off


def done_in_a_life_that_was_lost(request: ActionRequest) -> None:
    """Carried out, and then the database is as it was before: only the outside remembers."""
    with transaction.atomic():
        claim = claimed(request)
        settle(claim, call(claim))
        transaction.set_rollback(True)
    assert fresh(request).state == "approved"


def test_a_mail_that_went_out_before_the_restore_is_not_sent_again(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = approved_mail(cast)
    done_in_a_life_that_was_lost(request)

    execute(request.pk)

    assert len(sandbox.effects("email")) == 1
    assert fresh(request).state == "audited"
    assert attempts(request) == ["receipt"]
    assert "execution.effect_found" in codes(request)


def test_a_payment_whose_key_may_be_forgotten_is_looked_up_and_not_paid_again(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)
    done_in_a_life_that_was_lost(request)
    a_day = action_type("refund.issue").at_most_once.window
    assert a_day is not None
    with triggers_off(), triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(
            created_at=db_clock.now() - a_day + timedelta(seconds=30)
        )
    plan(sandbox, Fault(mode="refuse", path="/v1/refunds", method="POST"))  # who pays, meets it

    execute(request.pk)

    assert fresh(request).state == "audited"
    assert len(sandbox.effects("payments")) == 1
    assert "execution.effect_found" in codes(request)


def test_a_payment_whose_key_is_remembered_is_called_without_a_look(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)

    assert claimed(request).may_be_done == ()


def test_a_payment_sent_back_to_people_is_asked_for_under_the_keys_of_all_its_versions(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    done_in_a_life_that_was_lost(request)

    execute(request.pk)  # the charge is not what she saw any more: it is refunded
    again = fresh(request)
    approve(again, cast.mona)
    execute(request.pk)

    assert (again.state, again.version) == ("pending_approval", 2)
    assert fresh(request).state == "audited"
    assert len(sandbox.effects("payments")) == 1


def test_a_mail_waits_for_an_archive_that_does_not_answer(cast: Cast, sandbox: Sandbox) -> None:
    request = approved_mail(cast)
    plan(sandbox, Fault(mode="error_500", path="/messages"), system="email")

    execute(request.pk)
    waiting = fresh(request).state, attempts(request), sandbox.effects("email")
    taken_over(request)

    assert waiting == ("executing", ["unasked"], [])
    assert fresh(request).state == "audited"
    assert attempts(request) == ["unasked", "receipt"]
    assert len(sandbox.effects("email")) == 1


def test_an_archive_that_stays_silent_is_asked_ever_more_rarely_and_then_people_are(
    cast: Cast, sandbox: Sandbox, settings: Settings
) -> None:
    request = approved_mail(cast)
    plan(sandbox, Fault(mode="error_500", path="/messages", times=99), system="email")

    execute(request.pk)
    pauses = []
    while fresh(request).state == "executing":
        pauses.append(round(time_until_next_attempt(request).total_seconds()))
        taken_over(request)

    assert fresh(request).state == "outcome_unknown"
    assert attempts(request) == ["unasked"] * (settings.EXECUTION_MAX_ATTEMPTS - 1) + ["unknown"]
    assert pauses == [15, 60, 300, 900, 0]  # seconds
    assert sandbox.effects("email") == []


@pytest.mark.parametrize("calls", [1, 2])
def test_what_was_never_sent_goes_out_once_however_often_it_is_carried_on(
    cast: Cast, sandbox: Sandbox, calls: int
) -> None:
    request = approved_mail(cast)

    for _ in range(calls):
        execute(request.pk)

    assert len(sandbox.effects("email")) == 1
    assert fresh(request).state == "audited"
    assert "execution.effect_found" not in codes(request)
