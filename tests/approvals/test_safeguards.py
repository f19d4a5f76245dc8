"""What the matrix asks for on a tier is asked for: a proof of identity, a sign-off, a reason."""

from __future__ import annotations

import pytest

from approvals.exceptions import StepUpRequired
from approvals.selectors.requests import is_asked
from approvals.services import close, decide
from approvals.services.execute import execute
from connectors.sandbox.server import Sandbox
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    look_at,
    make_crm,
    make_proof,
    publish,
)

TIER_2 = "evidence: [diff, source_record, undo_path]\n    decide_by: 8h\n"


def switched_on(cast: Cast, name: str) -> None:
    publish(cast, (TIER_2, f"{TIER_2}    {name}: true\n"))


def test_tier_2_asks_for_neither_unless_the_matrix_says_so(cast: Cast, sandbox: Sandbox) -> None:
    request = make_crm(cast)

    decide.approve(request.pk, decider=cast.otto, reviewed=look_at(request, cast.otto))
    execute(request.pk)

    assert fresh(request).state == "audited"


def test_a_proof_of_identity_asked_for_on_tier_2_is_demanded(cast: Cast) -> None:
    switched_on(cast, "step_up")
    request = make_crm(cast)

    with pytest.raises(StepUpRequired):
        decide.approve(request.pk, decider=cast.otto, reviewed=look_at(request, cast.otto))

    assert fresh(request).state == "pending_approval"
    decision = decide.approve(
        request.pk,
        decider=cast.otto,
        reviewed=look_at(request, cast.otto),
        proof=make_proof(cast.otto),
    )
    assert decision.authentication is not None


def test_a_sign_off_asked_for_on_tier_2_waits_for_a_person(cast: Cast, sandbox: Sandbox) -> None:
    switched_on(cast, "sign_off")
    request = make_crm(cast)
    approve(request, cast.otto)

    execute(request.pk)
    waiting = fresh(request).state
    close.sign_off(request.pk, person=cast.otto, note="Looked at it.")

    assert (waiting, fresh(request).state) == ("verified", "audited")


def test_what_was_asked_for_when_people_decided_still_is_when_policy_changes(cast: Cast) -> None:
    switched_on(cast, "step_up")
    request = make_crm(cast)
    publish(cast, ("business_hours:", "business_hours: "))

    assert is_asked(fresh(request), "step_up")
    assert not is_asked(fresh(request), "sign_off")


def test_a_request_whose_tier_nobody_knows_is_asked_for_everything(cast: Cast) -> None:
    request = make_crm(cast)
    request.risk_tier = None

    assert is_asked(request, "step_up")
    assert is_asked(request, "sign_off")
    assert is_asked(request, "reason_required")
