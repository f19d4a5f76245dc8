"""Ending an incident: a person says whether it happened, and an undo takes that at its word."""

from __future__ import annotations

import json

import pytest

from approvals.domain.attempts import Claim, Lost, call
from approvals.domain.evidence import read_target
from approvals.exceptions import NotAuthorised
from approvals.models import ActionRequest, Compensation
from approvals.services.close import resolve
from approvals.services.execute import _due_action, claim_now, execute, settle
from approvals.services.undo import propose_undo
from audit.models import AuditEvent
from connectors.sandbox.server import Sandbox
from tests.approvals.make import Cast, approve, fresh, make_crm
from tests.approvals.story import codes, snapshot


@pytest.fixture
def original(cast: Cast) -> ActionRequest:
    """A record change, carried out and closed."""
    request = make_crm(cast)
    approve(request, cast.otto)
    execute(request.pk)
    return fresh(request)


@pytest.fixture
def undo(cast: Cast, original: ActionRequest) -> ActionRequest:
    """Its undo, which nobody knows the outcome of."""
    undo = propose_undo(original.pk, person=cast.oona).request
    approve(undo, cast.otto)
    action, _ = _due_action(undo.pk)
    assert action is not None
    claim = claim_now(undo.pk, read_target(action))
    assert isinstance(claim, Claim)
    call(claim)
    settle(claim, Lost("connection reset", is_final=True))
    assert fresh(undo).state == "outcome_unknown"
    return undo


def data_of(request: ActionRequest, code: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        AuditEvent.objects.get(subject_id=str(request.pk), code=code).data
    )
    return found


def test_an_undo_that_did_happen_compensates_and_leaves_no_room_for_a_second(
    cast: Cast, sandbox: Sandbox, original: ActionRequest, undo: ActionRequest
) -> None:
    resolve(undo.pk, person=cast.mona, applied=True, outcome="Seen in the CRM.")

    assert fresh(undo).state == "resolved"
    assert fresh(original).state == "compensated"
    assert codes(original)[-2:] == ["compensation.proposed", "request.compensated"]
    told = AuditEvent.objects.get(subject_id=str(original.pk), code="request.compensated")
    assert told.actor_name == "mona"
    assert data_of(undo, "request.resolved") == {"applied": True, "outcome": "Seen in the CRM."}
    again = propose_undo(original.pk, person=cast.oona)
    assert (again.request, again.replayed) == (undo, True)
    assert len(sandbox.effects("records")) == 2


def test_an_undo_that_did_not_happen_makes_room_for_another(
    cast: Cast, original: ActionRequest, undo: ActionRequest
) -> None:
    resolve(undo.pk, person=cast.mona, applied=False, outcome="The CRM shows nothing.")

    assert fresh(undo).state == "resolved"
    assert fresh(original).state == "audited"
    assert data_of(undo, "request.resolved")["applied"] is False
    assert not Compensation.objects.filter(is_active=True).exists()
    assert propose_undo(original.pk, person=cast.oona).request != undo


def test_who_may_not_conclude_it_says_nothing_about_it(
    cast: Cast, original: ActionRequest, undo: ActionRequest
) -> None:
    before = snapshot(undo), snapshot(original)

    for villain in (cast.owner, cast.oona, cast.ada):
        with pytest.raises(NotAuthorised):
            resolve(undo.pk, person=villain, applied=True, outcome="Trust me.")

    assert (snapshot(undo), snapshot(original)) == before
