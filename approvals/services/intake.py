"""Carrying on what stands in `requested`: its target did not answer while its agent waited."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from approvals.choices import State
from approvals.domain import dispatch, intake
from approvals.domain.derivation import rederive
from approvals.domain.evidence import read_target
from approvals.exceptions import InvalidProposal
from approvals.models import ActionRequest
from audit.lib import db_clock
from connectors.base import Preview


@transaction.atomic
def leave_to_worker(request_id: UUID) -> None:
    """The agent gets its answer now; a worker waits for the target."""
    # no move, so no history row either
    ActionRequest.objects.filter(pk=request_id).update(intake_claimed_until=None)
    dispatch.intake_of(request_id)


def continue_intake(request_id: UUID) -> None:
    """Carry on an intake that somebody began and did not finish. Does nothing to any other."""
    with transaction.atomic():
        request = ActionRequest.objects.locked(request_id)
        at = db_clock.now()
        claimed = request.intake_claimed_until
        if request.state != State.REQUESTED or (claimed is not None and claimed > at):
            return
        # no move, so no history row either
        ActionRequest.objects.filter(pk=request.pk).update(intake_claimed_until=at + intake.CLAIM)
    finish_intake(request_id)


def finish_intake(request_id: UUID) -> None:
    """Read the target, however long it takes, evaluate policy, route. Claimed by the caller."""
    request = ActionRequest.objects.select_related("agent").get(pk=request_id)
    if request.state != State.REQUESTED:
        return
    try:
        preview = read_target(rederive(request).action)
    except InvalidProposal as error:
        # the action type became stricter between the two halves
        preview = Preview(unavailable=f"No longer valid: {error.problems[0].message}"[:300])
    intake.carry_on(request_id, preview)
