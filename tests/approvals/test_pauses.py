"""What is paused is not taken, not approved and not called; and no old approval runs afterwards."""

from __future__ import annotations

import pytest

from approvals.choices import PauseScope
from approvals.exceptions import (
    ApprovalError,
    InvalidProposal,
    NotAuthorised,
    Paused,
    ReasonRequired,
)
from approvals.models import ActionRequest, Pause
from approvals.services import decide
from approvals.services.dry_run import check
from approvals.services.execute import execute
from approvals.services.pauses import lift, pause
from audit.actors import Actor
from audit.selectors import describe, events_of
from connectors.sandbox.server import Sandbox
from policies.models import User
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    approve_with_edits,
    crm,
    fresh,
    look_at,
    make_crm,
    make_person,
    make_proposal,
    make_request,
)
from tests.approvals.story import ROUTED, assert_story

SCOPES = [
    pytest.param(PauseScope.ALL, "", id="everything"),
    pytest.param(PauseScope.ACTION_TYPE, "crm.update", id="the action type"),
    pytest.param(PauseScope.CONNECTOR, "records", id="the connector"),
]


def stop(scope: PauseScope = PauseScope.ALL, key: str = "") -> Pause:
    return pause(scope, key, actor=INSTALLER, reason="numbers look odd")


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
            reviewed=look_at(request, cast.otto),
            params=crm(stage="lost"),
            reason_code="corrected",
        )

    assert_story(request, "pending_approval", ROUTED)
    decide.reject(
        request.pk,
        decider=cast.otto,
        reviewed=look_at(request, cast.otto),
        reason_code="not_justified",
    )
    assert fresh(request).state == "rejected"
