"""What is paused is not taken, not approved and not called; and no old approval runs afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from approvals.choices import PauseScope
from approvals.exceptions import (
    ApprovalError,
    InvalidProposal,
    NotAuthorised,
    Paused,
    ReasonRequired,
)
from approvals.models import ActionRequest, Attempt, Execution, Grant, Pause
from approvals.selectors import clock
from approvals.services import agents, decide
from approvals.services.check import check
from approvals.services.edit import approve_with_edits
from approvals.services.execute import call, execute, settle
from approvals.services.pauses import lift, pause
from approvals.services.recover import recover
from approvals.services.sweep import sweep
from approvals.services.undo import propose_undo
from audit.actors import Actor
from audit.selectors import describe, events_of
from connectors.sandbox.server import Sandbox
from policies.models import User
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    crm,
    fresh,
    look_at,
    make_crm,
    make_person,
    make_proposal,
    make_request,
)
from tests.approvals.story import DECIDED, ROUTED, assert_story, codes
from tests.approvals.test_drift import BACK, events
from tests.approvals.test_recovery import claimed, taken_over

Begun = Callable[[], None]

SCOPES = [
    pytest.param(PauseScope.ALL, "", id="everything"),
    pytest.param(PauseScope.ACTION_TYPE, "crm.update", id="the action type"),
    pytest.param(PauseScope.CONNECTOR, "records", id="the connector"),
]


def stop(scope: PauseScope = PauseScope.ALL, key: str = "") -> Pause:
    return pause(scope, key, actor=INSTALLER, reason="numbers look odd")


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


# --- Who may ---------------------------------------------------------------------------------


def test_a_manager_stops_and_an_ops_admin_lets_it_go_on(cast: Cast) -> None:
    made = pause(PauseScope.ALL, actor=Actor.human(cast.mona), reason="fraud")
    with pytest.raises(NotAuthorised, match="Only an ops admin lifts"):
        lift(made.pk, actor=Actor.human(cast.mona))
    lift(made.pk, actor=Actor.human(cast.ada), reason="false alarm")

    made.refresh_from_db()
    assert (made.paused_by, made.lifted_by) == ("mona", "ada")
    assert [describe(event) for event in events_of(made)] == [
        "person mona paused everything: fraud",
        "person ada lifted the pause of everything",
    ]


@pytest.mark.parametrize("villain", ["finance", "agent owner", "auditor", "superuser", "agent"])
def test_nobody_else_stops_or_lifts_anything(cast: Cast, villain: str) -> None:
    root = make_person("root")
    User.objects.filter(pk=root.pk).update(is_superuser=True)
    actor = {
        "finance": Actor.human(cast.fred),
        "agent owner": Actor.human(cast.owner),
        "auditor": Actor.human(make_person("ida", "auditor")),
        "superuser": Actor.human(root),
        "agent": Actor.agent(cast.agent),
    }[villain]
    made = stop()

    with pytest.raises(NotAuthorised):
        lift(made.pk, actor=actor)
    with pytest.raises(NotAuthorised):
        pause(PauseScope.CONNECTOR, "payments", actor=actor, reason="because I can")

    assert Pause.objects.get().lifted_at is None


def test_a_pause_needs_a_reason_a_name_that_exists_and_to_be_new(cast: Cast) -> None:
    with pytest.raises(ReasonRequired):
        pause(PauseScope.ALL, actor=INSTALLER, reason="  ")
    with pytest.raises(InvalidProposal):
        pause(PauseScope.ACTION_TYPE, "refund.isue", actor=INSTALLER, reason="typo")
    with pytest.raises(InvalidProposal):
        pause(PauseScope.ALL, "payments", actor=INSTALLER, reason="which?")
    made = stop()
    with pytest.raises(ApprovalError) as again:
        stop()

    assert again.value.code == "already_paused"
    lift(made.pk, actor=INSTALLER)
    with pytest.raises(ApprovalError) as twice:
        lift(made.pk, actor=INSTALLER)
    assert twice.value.code == "already_lifted"
    assert stop().pk != made.pk


# --- Nothing new is taken, nothing is approved -------------------------------------------------


@pytest.mark.parametrize(("scope", "key"), SCOPES)
def test_nothing_it_covers_is_taken(cast: Cast, scope: PauseScope, key: str) -> None:
    stop(scope, key)

    for attempt in (
        lambda: make_crm(cast),
        lambda: check(make_proposal(crm(), action_type="crm.update"), agent=cast.agent),
    ):
        with pytest.raises(Paused) as refusal:
            attempt()
        assert (refusal.value.code, refusal.value.status) == ("paused", 403)
        assert "numbers look odd" in refusal.value.message

    assert not ActionRequest.objects.exists()


def test_what_it_does_not_cover_goes_on(cast: Cast, sandbox: Sandbox) -> None:
    stop(PauseScope.ACTION_TYPE, "crm.update")
    stop(PauseScope.CONNECTOR, "email")

    request = make_request(cast.agent)
    execute(request.pk)

    assert fresh(request).state == "audited"


@pytest.mark.parametrize(("scope", "key"), SCOPES)
def test_nobody_approves_what_is_paused_and_anybody_may_say_no(
    cast: Cast, scope: PauseScope, key: str
) -> None:
    request = make_crm(cast)
    stop(scope, key)

    with pytest.raises(Paused, match="by installation: numbers look odd"):
        approve(request, cast.otto)
    with pytest.raises(Paused):
        approve_with_edits(
            request.pk,
            decider=cast.otto,
            seen=look_at(request, cast.otto),
            params=crm(stage="lost"),
            reason_code="corrected",
        )

    assert_story(request, "pending_approval", ROUTED)
    decide.reject(
        request.pk,
        decider=cast.otto,
        seen=look_at(request, cast.otto),
        reason_code="not_justified",
    )
    assert fresh(request).state == "rejected"


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
    began = clock.now() - timedelta(minutes=2)
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
    Execution.objects.filter(request=request).update(lease_until=clock.now())
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


# --- From the command line, with nothing running but the database ---------------------------------


def run(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--all", "", "everything"),
        ("--action-type", "crm.update", "action type crm.update"),
        ("--connector", "records", "connector records"),
        ("--agent", "refund-bot", "agent refund-bot"),
    ],
)
def test_the_commands_stop_and_resume(cast: Cast, option: str, value: str, named: str) -> None:
    target = (option, value) if value else (option,)

    stopped = run("pause", *target, "--reason", "numbers look odd")

    assert stopped.startswith(f"{named}: since ")
    assert stopped == run("pause", "--list")
    cast.agent.refresh_from_db()  # whoever authenticates reads it anew each time
    with pytest.raises(Paused):
        make_crm(cast)
    with pytest.raises(CommandError, match="already"):
        run("pause", *target, "--reason", "again")
    assert run("resume", *target) == "Nothing is paused.\n"
    cast.agent.refresh_from_db()
    with pytest.raises(CommandError, match="not paused"):
        run("resume", *target)
    assert make_crm(cast).state == "pending_approval"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("pause", "--all"), "Write why"),
        (("pause", "--connector", "fax", "--reason", "x"), "payments"),
        (("pause", "--agent", "nobody", "--reason", "x"), "There are: refund-bot"),
    ],
)
def test_the_commands_say_what_is_wrong(cast: Cast, command: tuple[str, ...], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        run(*command)

    assert run("pause", "--list") == "Nothing is paused.\n"
