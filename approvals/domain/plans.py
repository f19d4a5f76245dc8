"""What a plan comes to, and how it hears that something about its steps has changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from approvals.domain import dispatch
from approvals.domain.derivation import Candidate
from approvals.models import Plan
from connectors.catalogue import Verb
from policies.facts import PlanFacts
from policies.services.rates import to_base

CHANGES_NOTHING = (Verb.READ, Verb.DRAFT)


def facts_of(candidates: Sequence[Candidate], *, at: datetime) -> PlanFacts:
    """What is known of a plan before any of its steps has been judged."""
    day = at.astimezone(UTC).date()
    amounts = [to_base(one.amount, day) or 0 for one in candidates if one.amount is not None]
    stay = [
        one for one in candidates if not one.type.undo_type and one.type.verb not in CHANGES_NOTHING
    ]
    return PlanFacts(
        steps=len(candidates),
        sum_base=sum(amounts),
        systems=tuple(sorted({one.type.system for one in candidates})),
        irreversible=len(stay),
    )


def look_again(plan_id: UUID, *, at: datetime) -> None:
    """In the transaction of the change, so that no lost message leaves a plan standing.

    The caller holds the step, or the request that undoes one; plans are locked after requests.
    """
    if Plan.objects.filter(pk=plan_id, closed_at=None).update(next_look_at=at):
        dispatch.plan_of(plan_id)
