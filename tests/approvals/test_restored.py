"""A database that was put back from a backup stands still until people know what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction
from pytest_django.fixtures import Settings

from approvals.choices import PauseScope
from approvals.exceptions import ApprovalError, NotAuthorised, ReasonRequired
from approvals.models import ActionRequest, Attempt, Pause, RestoreCheck
from approvals.selectors import clock, due
from approvals.selectors.restores import freeze_in_force
from approvals.services import restores
from approvals.services.call import call
from approvals.services.execute import execute, settle
from approvals.services.pauses import lift
from approvals.services.sweep import sweep
from audit import outside
from audit.actors import Actor
from connectors.sandbox.faults import Fault
from connectors.sandbox.server import Sandbox
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
from tests.approvals.story import codes


@contextmanager
def a_life_that_is_lost() -> Iterator[None]:
    """What happens in the block is not in the backup; the outside remembers it."""
    with transaction.atomic():
        yield
        outside.remember_newest()
        transaction.set_rollback(True)


def carried_out(request: ActionRequest) -> None:
    claim = claimed(request)
    settle(claim, call(claim))


def frozen() -> Pause:
    found = freeze_in_force()
    assert found is not None
    return found


def end_freeze(person: User) -> None:
    lift(frozen().pk, actor=Actor.human(person), reason="Compared with the bank's list.")


# --- noticing ------------------------------------------------------------------------------------


def test_a_database_older_than_what_the_outside_remembers_is_frozen_once_and_on_record(
    cast: Cast, sandbox: Sandbox
) -> None:
    with a_life_that_is_lost():
        make_request(cast.agent)

    sweep()
    sweep()

    (found,) = Pause.objects.filter(scope=PauseScope.RESTORED)
    assert "restored from a backup" in found.reason
    assert codes(found) == ["pause.begun"]
    end_freeze(cast.ada)
    sweep()
    assert freeze_in_force() is None  # it is the same restore, and people know of it


def test_a_worker_that_starts_notices_before_it_takes_a_message(
    cast: Cast, sandbox: Sandbox
) -> None:
    with a_life_that_is_lost():
        make_request(cast.agent)

    assert restores.notice() is not None
    assert restores.notice() is None


@pytest.mark.parametrize("stored", ["", "{", "[]", '{"x": 1}', '{"x": {"id": "a"}}', None])
def test_an_empty_or_unreadable_memory_freezes_nothing(
    cast: Cast, settings: Settings, stored: str | None
) -> None:
    if stored is not None:
        file = Path(settings.NEWEST_EVENT_FILE)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(stored)

    assert restores.notice() is None
    assert restores.notice() is None
    assert freeze_in_force() is None


def test_the_memory_of_another_database_freezes_nothing(cast: Cast, settings: Settings) -> None:
    file = Path(settings.NEWEST_EVENT_FILE)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"another first event": {"id": 4711, "mac": "of another database"}}')

    assert restores.notice() is None
    assert "another first event" in file.read_text()


def test_an_ordinary_day_freezes_nothing(cast: Cast, sandbox: Sandbox) -> None:
    for _ in range(3):
        execute(make_request(cast.agent).pk)
        sweep()

    assert not Pause.objects.exists()


def test_a_slower_worker_does_not_make_the_memory_forget(cast: Cast, sandbox: Sandbox) -> None:
    with a_life_that_is_lost():
        make_request(cast.agent)

    outside.remember_newest()  # by a worker that looked for the lost event before the restore

    assert outside.lost_event() is not None


def test_the_operator_s_word_is_enough(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)

    call_command("restored", "--reason", "Last night's dump, the disk was gone.")
    sweep()

    assert frozen().reason.startswith("Last night's dump")
    assert fresh(request).state == "approved"
    assert sandbox.effects("all") == []


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
    assert due.run_out(clock.now()) == []
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
        end_freeze_unchecked.update(lifted_at=clock.now(), lifted_by="ada")
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
    assert due.unchecked_after_restore(clock.now()) == []
    assert due.unchecked_after_restore(clock.now() + timedelta(minutes=2)) == [request.pk]
    restores.look_up(request.pk)
    assert fresh(request).state == "audited"
    assert len(sandbox.effects("email")) == 1


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
