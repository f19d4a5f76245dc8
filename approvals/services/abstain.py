"""Abstaining: somebody leaves a request to others. It decides nothing and lowers no quorum."""

from __future__ import annotations

from uuid import UUID

from approvals.choices import DecisionVerdict
from approvals.domain import assignment
from approvals.domain.decision_context import begin_decision, record_decision, refusals_recorded
from approvals.domain.routing import alarm_empty_routes
from approvals.exceptions import ReasonRequired
from approvals.models import Decision
from approvals.selectors.authority import case_for_all, progress_of
from approvals.selectors.requests import requirements_of
from approvals.selectors.review_snapshot import ReviewedSnapshot
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
from audit.services import Entry
from policies.models import User


@refusals_recorded(DecisionVerdict.ABSTAIN)
def abstain(
    request_id: UUID, *, decider: User, reviewed: ReviewedSnapshot, reason: str
) -> Decision:
    """Count no more for this request, in any version and on nobody's authority, on record.

    As many people as before must say yes. What was suggested to them is suggested to somebody
    else, and where too few are left it goes up, with the alarm. Nobody takes it back. Raises what
    `decide.reject` raises.
    """
    context = begin_decision(request_id, decider, reviewed, needs_limit=False)
    request, at = context.request, context.at
    if not reason.strip():
        raise ReasonRequired("Write why you leave it to others; colleagues read it.")
    decision = record_decision(context, reviewed, DecisionVerdict.ABSTAIN, "", reason)
    data: JsonObject = {
        "decision": decision.pk,
        "group": context.authority.group,
        "reason": reason.strip()[:500],
    }
    context.moves.also(Entry(AuditCode.ABSTAINED, Actor.human(decider), request.state, data))
    context.moves.write()
    states = zip(requirements_of(request), progress_of(request), strict=True)
    waiting = [requirement for requirement, state in states if not state.met]
    case = case_for_all(request, at=at)
    # what went up already has its alarm, and whoever it went to
    not_yet_up = [requirement for requirement in waiting if not requirement.escalated_to]
    alarm_empty_routes(request, not_yet_up, case=case, at=at)
    theirs = [r for r in waiting if r.assignee and r.assignee.person == decider.person]
    assignment.suggest(request, theirs, case=case, at=at)
    return decision
