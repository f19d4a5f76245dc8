"""Whoever reads a request's event codes alone finds the state it was in after each."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import transaction

from approvals.choices import State
from approvals.domain.transitions import POLICY, move
from approvals.lifecycle import LEADS_TO, edges, state_after
from approvals.models import ActionRequest
from audit.events import AuditCode
from audit.models import AuditEvent
from audit.services import record
from audit.verify import verify
from tests.approvals.make import (
    Cast,
    approve_with_edits,
    crm,
    fresh,
    look_at,
    make_crm,
    make_request,
)
from tests.approvals.story import assert_codes_tell_states, codes


def edited(cast: Cast) -> ActionRequest:
    request = make_crm(cast)
    approve_with_edits(
        request.pk,
        decider=cast.otto,
        reviewed=look_at(request, cast.otto),
        params=crm(stage="lost"),
        reason_code="corrected",
    )
    return request


def test_every_move_has_one_code_and_every_state_can_be_told() -> None:
    moves = {(name, target) for _, name, target in edges()}

    begun = Counter([State.REQUESTED])  # nothing moves there: it is how a request begins
    assert Counter(LEADS_TO.values()) == Counter(target for _, target in moves) + begun
    assert set(LEADS_TO.values()) == set(State)


def test_an_edit_is_judged_again_and_that_is_no_move(cast: Cast) -> None:
    request = edited(cast)

    told = codes(request)
    assert told.count("request.policy_checked") == 1
    assert told[-1] == "request.policy_rechecked"
    assert state_after(told) == fresh(request).state == "pending_approval"


def test_a_code_that_is_another_moves_is_refused(cast: Cast) -> None:
    request = make_crm(cast)

    with pytest.raises(ValueError, match="is not the event of a move to denied"):
        move(request, request.deny, AuditCode.APPROVED, actor=POLICY)

    assert fresh(request).state == "pending_approval"


def test_a_trail_that_called_the_second_look_by_the_first_ones_name_still_verifies(
    cast: Cast,
) -> None:
    """As releases before `request.policy_rechecked` wrote it."""
    request = fresh(make_crm(cast))
    record(
        AuditCode.POLICY_CHECKED,
        actor=POLICY,
        subject=request,
        data={"policy": "1", "verdict": "require_approval", "tier": 2, "matched": []},
    )

    assert verify().problem is None
    assert state_after(codes(request)) == "pending_approval"


def test_a_moves_code_for_what_is_no_move_is_noticed(cast: Cast) -> None:
    request = make_request(cast.agent)

    with transaction.atomic():
        record(AuditCode.WITHDRAWN, actor=POLICY, subject=request, data={"reason": "x"})
        with pytest.raises(AssertionError):
            assert_codes_tell_states(AuditEvent.objects.all())
        transaction.set_rollback(True)
