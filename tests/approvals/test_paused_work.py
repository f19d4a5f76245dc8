"""What was approved or claimed before a pause does not run, however short the pause was."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.choices import PauseScope
from approvals.domain.attempts import call
from approvals.exceptions import Paused
from approvals.models import Attempt, Execution, Grant, Pause
from approvals.services import agents
from approvals.services.execute import execute, settle
from approvals.services.pauses import lift
from approvals.services.recover import recover
from approvals.services.sweep import sweep
from approvals.services.undo import propose_undo
from audit.lib import db_clock
from connectors.sandbox.server import Sandbox
from tests.approvals.executing import claimed, taken_over
from tests.approvals.make import INSTALLER, Cast, approve, fresh, make_crm
from tests.approvals.story import DECIDED, ROUTED, assert_story, codes
from tests.approvals.test_drift import BACK, events
from tests.approvals.test_pauses import SCOPES, stop
from tests.database import triggers_off


def stop_and_go(cast: Cast, what: str) -> None:
    """A pause so short that no worker looked while it was in force."""
    if what == "agent":
        agents.pause_agent(cast.agent.pk, actor=INSTALLER, reason="odd")
        agents.resume_agent(cast.agent.pk, actor=INSTALLER)
        return
    scope, key = {
        "everything": (PauseScope.ALL, ""),
        "action type": (PauseScope.ACTION_TYPE, "crm.update"),
        "connector": (PauseScope.CONNECTOR, "records"),
    }[what]
    lift(stop(scope, key).pk, actor=INSTALLER)


QUICK = ["everything", "action type", "connector", "agent"]


# --- Approved and not yet carried out ----------------------------------------------------------


@pytest.mark.parametrize(("scope", "key"), SCOPES)
def test_approved_work_goes_back_to_people(
    cast: Cast, sandbox: Sandbox, scope: PauseScope, key: str
) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    stop(scope, key)

    sweep()

    assert_story(request, "pending_approval", [*ROUTED, *DECIDED, *BACK])
    back = next(event for event in events(request) if event["reason"])
    assert "It was paused since it was approved." in back["reason"]
    assert sandbox.effects("records") == []


@pytest.mark.parametrize("what", QUICK)
def test_an_approval_from_before_a_pause_never_runs_after_it(
    cast: Cast, sandbox: Sandbox, what: str
) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    stop_and_go(cast, what)

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert sandbox.effects("records") == []
    approve(request, cast.otto)
    execute(request.pk)
    assert fresh(request).state == "audited"
    assert len(sandbox.effects("records")) == 1


@pytest.mark.parametrize("what", QUICK)
def test_an_approval_that_could_not_see_the_pause_does_not_run_either(
    cast: Cast, sandbox: Sandbox, what: str
) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    stop_and_go(cast, what)
    # committed in between: given after the pause began, by somebody who could not see it yet
    began = db_clock.now() - timedelta(minutes=2)
    with triggers_off():
        Pause.objects.update(paused_at=began)
        cast.agent.history.filter(paused_at__isnull=False).update(paused_at=began)
        Grant.objects.filter(request=request).update(created_at=began + timedelta(minutes=1))

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert sandbox.effects("records") == []


def test_an_approval_from_after_a_pause_runs(cast: Cast, sandbox: Sandbox) -> None:
    for what in QUICK:
        stop_and_go(cast, what)
    request = make_crm(cast)
    approve(request, cast.otto)

    execute(request.pk)

    assert fresh(request).state == "audited"


# --- Claimed ------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [*QUICK, "still everything"])
def test_claimed_work_that_has_not_called_out_ends_without_effect(
    cast: Cast, sandbox: Sandbox, what: str
) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    claim = claimed(request)
    if what == "still everything":
        stop()
    else:
        stop_and_go(cast, what)

    settle(claim, call(claim))

    found = fresh(request)
    assert found.state == "failed"
    assert codes(request)[-1] == "request.failed"
    assert "Nothing was sent." in Execution.objects.get(request=request).problem
    assert Attempt.objects.get(execution__request=request).outcome == "refused"
    assert sandbox.effects("records") == []


@pytest.mark.parametrize("what", [*QUICK, "still everything"])
def test_a_worker_lost_after_its_claim_is_not_repeated_but_may_be_read(
    cast: Cast, sandbox: Sandbox, what: str
) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    claimed(request)
    if what == "still everything":
        stop()
    else:
        stop_and_go(cast, what)

    taken_over(request)

    assert fresh(request).state == "outcome_unknown"
    assert sandbox.effects("records") == []


def test_an_effect_from_before_the_pause_is_read_back_and_verified_during_it(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    call(claimed(request))
    stop()

    taken_over(request)
    sweep()

    assert fresh(request).state == "audited"
    assert len(sandbox.effects("records")) == 1


def test_a_call_that_certainly_did_nothing_is_not_repeated_during_a_pause(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    claim = claimed(request)
    Attempt.objects.filter(execution_id=claim.execution_id).update(outcome="retry")
    Execution.objects.filter(request=request).update(lease_until=db_clock.now())
    stop()

    recover(request.pk)

    assert fresh(request).state == "failed"
    assert sandbox.effects("records") == []


# --- Cleaning up ----------------------------------------------------------------------------------


def test_a_persons_undo_passes_its_agents_and_its_types_pause_and_no_wider_one(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    execute(request.pk)
    agents.pause_agent(cast.agent.pk, actor=INSTALLER, reason="odd")
    stop(PauseScope.ACTION_TYPE, "crm.update")
    everything = stop()

    with pytest.raises(Paused, match="Everything is paused"):
        propose_undo(request.pk, person=cast.oona, reason="wrong account", idempotency_key="1")
    lift(everything.pk, actor=INSTALLER)
    undo = propose_undo(
        request.pk, person=cast.oona, reason="wrong account", idempotency_key="2"
    ).request
    approve(undo, cast.otto)
    connector = stop(PauseScope.CONNECTOR, "records")
    execute(undo.pk)

    assert fresh(undo).state == "pending_approval"
    lift(connector.pk, actor=INSTALLER)
    approve(undo, cast.otto)
    execute(undo.pk)
    assert fresh(undo).state == "audited"
    assert fresh(request).state == "compensated"
