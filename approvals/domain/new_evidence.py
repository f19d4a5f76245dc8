"""A request's next version with more evidence: the same action, read and evaluated afresh.

Somebody supplied what was missing, or had the target read again. Approvals given so far are void:
nobody who gave one has seen it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from approvals.choices import Origin
from approvals.domain import compensation, notifications, reminders
from approvals.domain.derivation import as_stored
from approvals.domain.evidence import carry_over, store_reading, store_supplied
from approvals.domain.fact_builder import before_counted
from approvals.domain.new_version import route_to_people
from approvals.domain.policy_check import check_policy_of
from approvals.domain.routing import close_requirements, create_requirements, keep_policy_decision
from approvals.domain.transitions import POLICY, Moves
from approvals.models import ActionRequest, PolicyDecision, RequestContent
from approvals.proposal import SuppliedEvidence
from approvals.selectors.requests import content_of, forget_read, requirements_of
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
from audit.services import Entry
from connectors.base import Preview
from policies.models import User
from policies.verdicts import Verdict


def look_again(
    request: ActionRequest,
    preview: Preview,
    code: AuditCode,
    *,
    actor: Actor,
    supplied: Sequence[SuppliedEvidence] = (),
    supplied_by: User | None = None,
    at: datetime,
) -> None:
    """Make the locked request, which waits for people, its next version with that evidence.

    New evidence never removes people: where policy would now allow it, those asked stay asked.
    """
    content, asked = content_of(request), requirements_of(request)
    before = before_counted(request, as_stored(request), now=at)
    close_requirements(request)
    carry_over(request, to_version=request.version + 1)
    request.version += 1
    forget_read(request)
    RequestContent.objects.create(
        request=request,
        version=request.version,
        action=content.action,
        digest=content.digest,
        supplied_by=supplied_by,
        created_at=at,
    )
    store_reading(request, preview, at=at)
    origin = Origin.AGENT if supplied_by is None else Origin.PERSON
    items = store_supplied(request, supplied, origin=origin, at=at)
    evaluated = check_policy_of(request, preview, now=at, before=before)
    evaluation = evaluated.evaluation
    decision = keep_policy_decision(
        request,
        evaluated.policy,
        evaluation,
        evaluated.facts,
        purpose=PolicyDecision.Purpose.EVIDENCE,
        at=at,
    )
    request.risk_tier, request.verdict = evaluation.tier, evaluation.verdict.value
    request.updated_at = at
    moves = Moves(request, at)
    data: JsonObject = {
        "version": request.version,
        "kinds": sorted({item.kind for item in items}),
        "digests": [item.sha256 for item in items],
        "target_version": preview.target_version,
        "unavailable": bool(preview.unavailable),
    }
    moves.also(Entry(code, actor, request.state, data))
    if evaluation.verdict == Verdict.DENY:
        denial: JsonObject = {
            "reason": list(evaluation.denied_by),
            "policy": evaluation.version,
            "policy_decision": decision.pk,
        }
        moves.take(request.deny, AuditCode.DENIED, POLICY, denial)
        moves.write()
        compensation.end_undo(request)
        notifications.ended(request)
        return
    kept = tuple(requirement.spec for requirement in asked)
    requirements = create_requirements(request, evaluation.requirements or kept)
    escalated = {one.spec: one.escalated_to for one in asked if one.escalated_to}
    for requirement in requirements:
        if requirement.spec in escalated:
            requirement.escalated_to = escalated[requirement.spec]
            requirement.save(update_fields=["escalated_to"])
    recheck: JsonObject = {
        "policy": evaluation.version,
        "policy_decision": decision.pk,
        "verdict": evaluation.verdict.value,
        "tier": evaluation.tier,
        "matched": [rule.rule for rule in evaluation.matched],
    }
    moves.also(Entry(AuditCode.POLICY_RECHECKED, POLICY, request.state, recheck))
    reminders.announced(request, at=at)
    moves.keep(code, actor)
    moves.write()
    route_to_people(request, requirements, at=at)
