"""A database that was put back from a backup stands still until people know what was done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from approvals.domain.attempts import call
from approvals.exceptions import ApprovalError, NotAuthorised, ReasonRequired
from approvals.models import ActionRequest, Attempt, Pause, RestoreCheck
from approvals.selectors import due
from approvals.selectors.restores import freeze_in_force
from approvals.services import restores
from approvals.services.execute import execute, settle
from approvals.services.pauses import lift
from approvals.services.sweep import sweep
from audit.actors import Actor
from audit.lib import db_clock
from connectors.catalogue import AtMostOnce, Proof
from connectors.sandbox.server import Sandbox
from connectors.sandbox.web import Fault
from policies.models import User
from tests.approvals.executing import approved_mail, attempts, claimed, plan, taken_over
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    make_crm,
    make_older,
    make_request,
    manager_refund,
)
from tests.approvals.restoring import a_life_that_is_lost, end_freeze
from tests.approvals.story import codes
from tests.database import triggers_off
from tests.systems import declare


def carried_out(request: ActionRequest) -> None:
    claim = claimed(request)
    settle(claim, call(claim))


# --- standing still ------------------------------------------------------------------------------


def test_while_it_is_frozen_nothing_is_proposed_approved_called_sent_back_or_expired(
    cast: Cast, sandbox: Sandbox
) -> None:
    approved = make_request(cast.agent)
    pending = make_request(cast.agent, manager_refund())
    restores.freeze(actor=Actor.system("test"), reason="restored")
    make_older(approved, timedelta(days=2))
    make_older(pending, timedelta(days=30))

    execute(approved.pk)
    sweep()

    assert fresh(approved).state == "approved"
    assert fresh(pending).state == "pending_approval"
    assert due.run_out(db_clock.now()) == []
    with pytest.raises(ApprovalError):
        make_request(cast.agent)
    with pytest.raises(ApprovalError):
        approve(pending, cast.mona)
    assert sandbox.effects("all") == []


def test_a_claim_made_just_before_the_freeze_sends_nothing_and_is_not_called_a_failure(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)
    claim = claimed(request)
    restores.freeze(actor=Actor.system("test"), reason="restored")

    settle(claim, call(claim))

    assert fresh(request).state == "outcome_unknown"
    assert sandbox.effects("payments") == []


def test_a_busy_target_of_before_the_backup_is_read_and_not_given_up(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)
    claim = claimed(request)
    Attempt.objects.filter(execution_id=claim.execution_id).update(outcome="retry")
    with a_life_that_is_lost():
        call(claim)
    restores.notice()

    taken_over(request)

    assert fresh(request).state == "audited"
    assert len(sandbox.effects("payments")) == 1


# --- reconciling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda cast: make_request(cast.agent), approved_mail])
def test_what_was_done_before_the_restore_is_found_and_kept_as_done(
    cast: Cast, sandbox: Sandbox, make: Callable[[Cast], ActionRequest]
) -> None:
    request = make(cast)
    with a_life_that_is_lost():
        carried_out(request)

    sweep()

    assert fresh(request).state == "audited"
    assert attempts(request) == ["receipt"]
    assert len(sandbox.effects("all")) == 1
    check = RestoreCheck.objects.get()
    assert (check.request_id, check.finding, check.state_before) == (
        request.pk,
        "found",
        "approved",
    )
    assert "restore.checked" in codes(request)


def test_what_was_not_done_goes_back_to_people_and_then_runs_once(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    with a_life_that_is_lost():
        make_crm(cast)

    sweep()
    assert RestoreCheck.objects.get(request=request).finding == "absent"
    end_freeze(cast.ada)
    sweep()

    assert fresh(request).state == "pending_approval"
    assert sandbox.effects("all") == []
    approve(request, cast.mona)
    sweep()
    sweep()
    assert fresh(request).state == "audited"
    assert len(sandbox.effects("payments")) == 1


def test_what_was_done_before_by_its_next_version_is_found_as_well(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    with a_life_that_is_lost():
        restores.freeze(actor=Actor.system("test"), reason="some pause")
        end_freeze_unchecked = Pause.objects.filter(lifted_at=None)
        with triggers_off():
            end_freeze_unchecked.update(lifted_at=db_clock.now(), lifted_by="ada")
        execute(request.pk)
        assert fresh(request).version == 2
        approve(request, cast.mona)
        carried_out(fresh(request))

    sweep()

    assert fresh(request).version == 1
    assert fresh(request).state == "audited"
    assert len(sandbox.effects("payments")) == 1


def test_what_is_approved_only_after_the_restore_is_asked_for_before_it_is_called(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent, manager_refund())
    with a_life_that_is_lost():
        approve(request, cast.mona)
        carried_out(request)
    sweep()
    assert RestoreCheck.objects.get(request=request).finding == "found"
    end_freeze(cast.ada)
    plan(sandbox, Fault(mode="refuse", path="/v1/refunds", method="POST"))  # who pays, meets it

    approve(request, cast.mona)  # without having read the page
    sweep()
    again = fresh(request)
    approve(again, cast.mona)  # nor why it came back: the charge is not what it was
    sweep()

    assert (again.state, again.version) == ("pending_approval", 2)
    assert fresh(request).state == "audited"
    assert len(sandbox.effects("payments")) == 1


def test_a_target_that_cannot_be_asked_is_asked_again_and_never_called_blindly(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = approved_mail(cast)
    with a_life_that_is_lost():
        carried_out(request)
    plan(sandbox, Fault(mode="error_500", path="/messages", times=1), system="email")

    sweep()

    check = RestoreCheck.objects.get()
    assert check.finding == "unclear"
    assert fresh(request).state == "approved"
    assert due.unchecked_after_restore(db_clock.now()) == []
    assert due.unchecked_after_restore(db_clock.now() + timedelta(minutes=2)) == [request.pk]
    restores.look_up(request.pk)
    assert fresh(request).state == "audited"
    assert len(sandbox.effects("email")) == 1


def test_what_nothing_would_show_is_never_called_again_and_a_person_finds_out(
    cast: Cast, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, "email.send", at_most_once=AtMostOnce(Proof.NONE))
    request = approved_mail(cast)
    with a_life_that_is_lost():
        carried_out(request)
    sweep()
    check = RestoreCheck.objects.get()
    assert (check.finding, fresh(request).state) == ("unclear", "approved")
    end_freeze(cast.ada)
    sweep()
    assert fresh(request).state == "pending_approval"

    approve(request, *User.objects.filter(username__startswith="sam"))
    execute(request.pk)
    sweep()

    assert fresh(request).state == "outcome_unknown"
    assert "cannot be asked whether it was done before" in request.executions.get().problem
    assert len(sandbox.effects("email")) == 1
    again = approved_mail(cast)  # proposed after the restore, it runs like any other
    execute(again.pk)
    assert len(sandbox.effects("email")) == 2


# --- ending --------------------------------------------------------------------------------------


def test_the_freeze_ends_by_an_ops_admin_with_a_reason_once_everything_was_looked_up(
    cast: Cast, sandbox: Sandbox
) -> None:
    make_request(cast.agent)
    freeze = restores.freeze(actor=Actor.system("test"), reason="restored")
    ada = Actor.human(cast.ada)

    with pytest.raises(NotAuthorised):
        lift(freeze.pk, actor=Actor.human(cast.mona), reason="looks fine")
    with pytest.raises(ReasonRequired):
        lift(freeze.pk, actor=ada, reason=" ")
    with pytest.raises(ApprovalError) as early:
        lift(freeze.pk, actor=ada, reason="looks fine")
    sweep()
    lift(freeze.pk, actor=ada, reason="Compared with the bank's list.")

    assert early.value.code == "not_reconciled"
    assert freeze_in_force() is None
    assert codes(freeze) == ["pause.begun", "pause.lifted"]
