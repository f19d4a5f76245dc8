"""Reading what belongs to one request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from approvals.choices import DecisionVerdict
from approvals.exceptions import IntegrityBroken, NotFound
from approvals.models import (
    ActionRequest,
    Agent,
    Compensation,
    Decision,
    EvidenceItem,
    Execution,
    Grant,
    PolicyDecision,
    RequestContent,
    Requirement,
    TargetReading,
    ThreadEntry,
)
from audit.lib import db
from audit.lib.one_look import once_a_page
from connectors.base import Action
from policies.matrix import SAFEGUARDS


@dataclass(frozen=True, slots=True)
class ProposalText:
    """What the agent said about its proposal: never trusted, always marked as the agent's."""

    intent: str
    alternatives: tuple[dict[str, str], ...]
    undo_note: str
    confidence: float | None
    model: dict[str, str]
    callback_url: str


def request_of_agent(request_id: UUID, agent: Agent) -> ActionRequest:
    """The agent's own request; another agent's does not exist for it. Raises NotFound."""
    try:
        return ActionRequest.objects.select_related("agent").get(pk=request_id, agent=agent)
    except ActionRequest.DoesNotExist:
        raise NotFound("There is no such request of yours.") from None


@once_a_page
def _content(request: ActionRequest, version: int) -> RequestContent:
    for content in prefetched_with(request, "contents") or ():
        if content.version == version:
            found: RequestContent = content
            return found
    return request.contents.get(version=version)


def content_of(request: ActionRequest) -> RequestContent:
    """The current version's bytes, checked against both digests. Raises IntegrityBroken."""
    content = _content(request, request.version)
    if not content.is_intact or content.digest != request.digest:
        raise IntegrityBroken(f"The stored action of {request.pk} does not match its digest.")
    return content


def action_of(request: ActionRequest) -> Action:
    """The current version's action, from its checked bytes."""
    return action_in(content_of(request))


def action_in(content: RequestContent) -> Action:
    """The action of one version, whose bytes the caller has checked or only looks up with."""
    stored: dict[str, Any] = json.loads(content.action)
    return Action(type=stored["action_type"], params=stored["params"])


def proposal_of(request: ActionRequest) -> ProposalText:
    """What the agent wrote when it proposed."""
    body: dict[str, Any] = json.loads(_content(request, 1).proposal)
    return ProposalText(
        intent=body.get("intent", ""),
        alternatives=tuple(body.get("alternatives", ())),
        undo_note=body.get("undo_note", ""),
        confidence=body.get("confidence"),
        model=body.get("model", {}),
        callback_url=body.get("callback_url", ""),
    )


def prefetched_with(request: ActionRequest, relation: str) -> list[Any] | None:
    """The request's rows of that kind, if they were fetched with it; None if they were not."""
    known: dict[str, Any] = getattr(request, "_prefetched_objects_cache", {})
    return list(known[relation]) if relation in known else None


@once_a_page
def policy_decision_of(request: ActionRequest) -> PolicyDecision | None:
    """What policy said last about the current version."""
    known: list[PolicyDecision] | None = prefetched_with(request, "policy_decisions")
    if known is not None:
        current = (one for one in known if one.version == request.version)
        return max(current, key=lambda one: one.pk, default=None)
    return (
        request.policy_decisions.filter(version=request.version)
        .select_related("policy_version")
        .order_by("-id")
        .first()
    )


def is_asked(
    request: ActionRequest, safeguard: str, *, policy: PolicyDecision | None = None
) -> bool:
    """Whether its tier always asks for that, or policy did of this request.

    `policy` is `policy_decision_of(request)`, for who has it already. `safeguard` is one of
    `policies.matrix.SWITCHES`. A tier not known yet counts as the highest.
    """
    if getattr(SAFEGUARDS[request.effective_tier], safeguard):
        return True
    policy = policy or policy_decision_of(request)
    return policy is None or policy.asks(safeguard)


@once_a_page
def evidence_of(request: ActionRequest) -> tuple[EvidenceItem, ...]:
    """The current version's evidence, in order."""
    return tuple(request.evidence.filter(version=request.version).order_by("position"))


@once_a_page
def thread_of(request: ActionRequest) -> tuple[ThreadEntry, ...]:
    """Every question and answer, in order. The first is always somebody's who asked."""
    known: list[Decision] | None = prefetched_with(request, "decisions")
    if known is not None and not any(d.verdict == DecisionVerdict.REQUEST_CHANGES for d in known):
        return ()
    return tuple(request.thread.all())


@once_a_page
def requirements_of(request: ActionRequest) -> list[Requirement]:
    """The current version's requirements, in order."""
    known: list[Requirement] | None = prefetched_with(request, "requirements")
    if known is not None:
        current = (one for one in known if one.version == request.version)
        return sorted(current, key=lambda one: (one.stage, one.pk))
    return list(request.requirements.filter(version=request.version).order_by("stage", "id"))


@once_a_page
def reading_of(request: ActionRequest) -> TargetReading | None:
    """The target as it was last read for the current version."""
    return request.readings.filter(version=request.version).order_by("-id").first()


@once_a_page
def usable_grant_of(request: ActionRequest) -> Grant | None:
    """The grant that has neither been used nor revoked."""
    return request.grants.filter(consumed_at=None, revoked_at=None).first()


def agent_locked(agent_id: int) -> Agent:
    """The agent as it is, with no pause possible until this transaction ends.

    A shared lock: workers of one agent do not wait for each other.
    """
    db.hold("SELECT 1 FROM approvals_agent WHERE id = %s FOR SHARE", [agent_id])
    return Agent.objects.get(pk=agent_id)


def active_undo_of(original: ActionRequest) -> ActionRequest | None:
    """The undo that is open or done; an undo that came to nothing is not one."""
    link = (
        Compensation.objects.filter(original=original, is_active=True)
        .select_related("undo", "undo__agent")
        .first()
    )
    return link.undo if link else None


def latest_execution_of(request: ActionRequest) -> Execution | None:
    """The newest execution, whatever became of it."""
    return request.executions.order_by("-id").first()
