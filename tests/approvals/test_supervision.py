"""What a person starts and watches, and what a person closes."""

from __future__ import annotations

import json

import pytest

from approvals.domain.attempts import call
from approvals.exceptions import NotAuthorised, ReasonRequired, WrongState
from approvals.models import ActionRequest
from approvals.services.close import sign_off, start, stop
from approvals.services.execute import execute, settle
from approvals.services.sweep import sweep
from audit.models import AuditEvent
from connectors.sandbox.server import Sandbox
from policies.services import people
from tests.approvals.executing import claimed
from tests.approvals.make import (
    INSTALLER,
    ROBOT,
    Cast,
    approve,
    fresh,
    make_access,
    make_crm,
    make_person,
    make_proof,
    make_request,
    supply,
)
from tests.approvals.story import DECIDED, DONE, ROUTED, assert_story, codes, snapshot
from tests.database import triggers_off

TWO_DECIDED = ["decision.recorded", *DECIDED]
VERIFIED = DONE[:-1]
SUPPLIED = ["evidence.supplied", "request.policy_rechecked"]


def robot(cast: Cast) -> ActionRequest:
    request = make_request(cast.agent, ROBOT, action_type="robot.run")
    supply(request, make_person("hazel", "operations"))
    approve(request, cast.mona, cast.otto)
    return request


def test_a_supervised_action_waits_for_the_person_who_starts_it(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = robot(cast)

    execute(request.pk)
    sweep()
    assert_story(request, "approved", [*ROUTED, *SUPPLIED, *TWO_DECIDED])
    assert sandbox.effects("logistics") == []

    start(request.pk, operator=cast.otto, proof=make_proof(cast.otto))
    execute(request.pk)
    assert_story(
        request, "verified", [*ROUTED, *SUPPLIED, *TWO_DECIDED, "execution.started", *VERIFIED]
    )
    assert len(sandbox.effects("logistics")) == 1


@pytest.mark.parametrize("leaves", ["deactivated", "another role", "a hand in it"])
def test_who_started_it_must_still_be_there_when_it_begins(
    cast: Cast, sandbox: Sandbox, leaves: str
) -> None:
    """The worker was down; meanwhile nobody who may watches any more."""
    request = robot(cast)
    start(request.pk, operator=cast.oona, proof=make_proof(cast.oona))
    if leaves == "deactivated":
        people.deactivate(cast.oona.pk, actor=INSTALLER, reason="left")
    elif leaves == "another role":
        people.change_roles(cast.oona.pk, actor=INSTALLER, roles=["support"], reason="moved")
    else:
        with triggers_off():
            ActionRequest.objects.filter(pk=request.pk).update(on_behalf_of="oona")

    execute(request.pk)

    back = ["grant.revoked", "request.invalidated"]
    story = [*ROUTED, *SUPPLIED, *TWO_DECIDED, "execution.started", *back]
    assert_story(request, "pending_approval", story)
    said = json.loads(AuditEvent.objects.get(code="request.invalidated").data)
    assert "oona started it" in said["reason"]
    assert sandbox.effects("logistics") == []


def test_only_people_who_may_decide_start_it_and_once(cast: Cast) -> None:
    request = robot(cast)
    before, known = snapshot(request), codes(request)

    for villain in (cast.owner, cast.sara, cast.ada):
        with pytest.raises(NotAuthorised):
            start(request.pk, operator=villain, proof=make_proof(villain))
    assert (snapshot(request), codes(request)) == (before, known)

    start(request.pk, operator=cast.oona, proof=make_proof(cast.oona))
    with pytest.raises(WrongState, match="already"):
        start(request.pk, operator=cast.otto, proof=make_proof(cast.otto))
    with pytest.raises(WrongState):
        start(make_crm(cast).pk, operator=cast.otto, proof=make_proof(cast.otto))


@pytest.mark.parametrize("is_started", [False, True])
def test_who_watches_stops_it_before_it_begins(
    cast: Cast, sandbox: Sandbox, is_started: bool
) -> None:
    request = robot(cast)
    if is_started:
        start(request.pk, operator=cast.otto, proof=make_proof(cast.otto))

    stop(request.pk, person=cast.oona, reason="Somebody is in zone A.")
    execute(request.pk)
    sweep()

    assert fresh(request).state == "withdrawn"
    assert codes(request)[-2:] == ["grant.revoked", "request.withdrawn"]
    said = json.loads(AuditEvent.objects.get(code="request.withdrawn").data)
    assert said["reason"] == "Stopped by oona: Somebody is in zone A."
    assert sandbox.effects("logistics") == []


def test_what_is_stopped_during_its_call_is_not_called_again_and_read_back(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = robot(cast)
    start(request.pk, operator=cast.otto, proof=make_proof(cast.otto))
    claim = claimed(request)

    stop(request.pk, person=cast.oona, reason="Somebody is in zone A.")
    settle(claim, call(claim))  # the call was out

    assert fresh(request).state == "outcome_unknown"
    assert codes(request)[-2:] == ["request.outcome_unknown", "execution.late_result"]
    sweep()
    assert fresh(request).state == "verified"
    assert len(sandbox.effects("logistics")) == 1


def test_a_stop_needs_a_reason_an_authority_and_something_to_stop(cast: Cast) -> None:
    request, other = robot(cast), make_crm(cast)
    before = snapshot(request)

    with pytest.raises(ReasonRequired):
        stop(request.pk, person=cast.oona, reason=" ")
    for villain in (cast.owner, cast.sara, cast.ada):
        with pytest.raises(NotAuthorised):
            stop(request.pk, person=villain, reason="I say so.")
    approve(other, cast.otto)
    with pytest.raises(WrongState, match="nothing to stop"):
        stop(other.pk, person=cast.oona, reason="It runs by itself.")

    assert snapshot(request) == before


def test_from_tier_4_on_an_accountable_person_closes_the_record(cast: Cast) -> None:
    request = make_access(cast)
    approve(request, cast.sara, cast.otto)
    with pytest.raises(WrongState):
        sign_off(request.pk, person=cast.sara, note="too early")

    execute(request.pk)

    assert fresh(request).state == "verified"
    for villain in (cast.owner, cast.fred, cast.ada):
        with pytest.raises(NotAuthorised):
            sign_off(request.pk, person=villain, note="fine", proof=make_proof(villain))
    proof = make_proof(cast.sara)
    sign_off(request.pk, person=cast.sara, note="seen in the directory", proof=proof)
    assert_story(request, "audited", [*ROUTED, *TWO_DECIDED, *VERIFIED, "request.signed_off"])
    with pytest.raises(WrongState):
        sign_off(request.pk, person=cast.sara, note="again")
