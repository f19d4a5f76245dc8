"""Reading what belongs to one request.

Each selector asks the database, unless the caller has read everything at once (`read_at_once`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Exists, Model, OuterRef, Prefetch, QuerySet

from approvals.choices import ENDED, State
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
from audit.lib.one_look import once_a_page
from audit.lib.prepared import Given, Prepared, Question
from connectors.base import Action
from connectors.registry import is_read_back
from policies.matrix import SAFEGUARDS

M = TypeVar("M", bound=Model)

COUNTED_WITH = ("requirement", "decider", "delegation__lender")
"""What is read with a decision that is counted."""

_CONTENTS = RequestContent.objects.select_related("edited_by", "supplied_by").order_by("version")
_EVALUATIONS = (
    PolicyDecision.objects.select_related("policy_version", "floor")
    .defer("policy_version__document", "floor__document")
    .order_by("id")
)
_READINGS = TargetReading.objects.order_by("id")
_EVIDENCE = EvidenceItem.objects.order_by("position")
_THREAD = ThreadEntry.objects.order_by("id")
_REQUIREMENTS = Requirement.objects.select_related("assignee").order_by("stage", "id")
_DECISIONS = Decision.objects.select_related(*COUNTED_WITH).order_by("id")
_STORED: dict[str, QuerySet[Any]] = {
    "contents": _CONTENTS,
    "policy_decisions": _EVALUATIONS,
    "readings": _READINGS,
    "evidence": _EVIDENCE,
    "thread": _THREAD,
    "requirements": _REQUIREMENTS,
    "decisions": _DECISIONS,
}


def _of_request(name: str) -> QuerySet[Any]:
    return _STORED[name].filter(request=Given("request"))


_OF_REQUEST = {name: Prepared(partial(_of_request, name)) for name in _STORED}


_IN_HAND = "_read_at_once"
"""Where a request keeps what was read of it at once."""


def stored(*relations: str) -> list[Prefetch[Any]]:
    """What is stored of requests, to be read with them: then the selectors find it there."""
    return [Prefetch(name, _STORED[name].all()) for name in relations]


def with_thread_seen(requests: QuerySet[ActionRequest]) -> QuerySet[ActionRequest]:
    """The requests, with whether anything was said about them: mostly nothing was."""
    return requests.annotate(has_thread=Exists(_THREAD.filter(request=OuterRef("pk")).order_by()))


def rows_of(request_id: UUID, *relations: str) -> list[Question]:
    """What `read_at_once` asks."""
    return [_OF_REQUEST[name].asking(request=request_id) for name in relations or _OF_REQUEST]


def read_at_once(request: ActionRequest, *relations: str) -> None:
    """Read what is stored of a locked request, of these kinds or of every kind, for the selectors.

    It is what was stored then: whoever stores more calls `forget_read` first.
    """
    in_hand = {name: _OF_REQUEST[name].all(request=request.pk) for name in relations or _OF_REQUEST}
    for rows in in_hand.values():
        for row in rows:
            row.request = request
    vars(request)[_IN_HAND] = in_hand  # for the selectors alone: managers ask the database


def forget_read(request: ActionRequest) -> None:
    """From here on selectors ask the database again."""
    vars(request).pop(_IN_HAND, None)
    prefetched = getattr(request, "_prefetched_objects_cache", {})
    for name in _STORED:
        prefetched.pop(name, None)


def prefetched_with(request: ActionRequest, relation: str) -> list[Any] | None:
    """The request's rows of that kind, if they were fetched with it; None if they were not."""
    for known in (_IN_HAND, "_prefetched_objects_cache"):
        found: dict[str, Any] = getattr(request, known, {})
        if relation in found:
            return list(found[relation])
    return None


def _all(request: ActionRequest, name: str) -> list[Any]:
    """Every version's rows: those in hand, or read now."""
    in_hand = prefetched_with(request, name)
    return _OF_REQUEST[name].all(request=request.pk) if in_hand is None else in_hand


def _current(request: ActionRequest, name: str) -> list[Any]:
    """The current version's rows: those in hand, or read now."""
    return [row for row in _all(request, name) if row.version == request.version]


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


def request_to_complain_about(request_id: UUID, agent: Agent) -> ActionRequest:
    """The agent's own; any, for an agent that reports complaints. Raises NotFound."""
    if not agent.reports_complaints:
        return request_of_agent(request_id, agent)
    found = ActionRequest.objects.filter(pk=request_id).first()
    if found is None:
        raise NotFound("There is no such request.")
    return found


def content_of(request: ActionRequest) -> RequestContent:
    """The current version's bytes, checked against both digests. Raises IntegrityBroken."""
    content = _current_content(request)
    if content is None or not content.is_intact or content.digest != request.digest:
        raise IntegrityBroken(f"The stored action of {request.pk} does not match its digest.")
    return content


@once_a_page
def _current_content(request: ActionRequest) -> RequestContent | None:
    return next(iter(_current(request, "contents")), None)


@once_a_page
def contents_of(request: ActionRequest) -> list[RequestContent]:
    """Every version's content with who edited it, the oldest first; not checked."""
    return sorted(_all(request, "contents"), key=lambda one: one.version)


def action_of(request: ActionRequest) -> Action:
    """The current version's action, from its checked bytes."""
    return action_in(content_of(request))


def action_in(content: RequestContent) -> Action:
    """The action of one version, whose bytes the caller has checked or only looks up with."""
    stored: dict[str, Any] = json.loads(content.action)
    return Action(type=stored["action_type"], params=stored["params"])


def proposal_of(request: ActionRequest) -> ProposalText:
    """What the agent wrote when it proposed."""
    body: dict[str, Any] = json.loads(contents_of(request)[0].proposal)
    return ProposalText(
        intent=body.get("intent", ""),
        alternatives=tuple(body.get("alternatives", ())),
        undo_note=body.get("undo_note", ""),
        confidence=body.get("confidence"),
        model=body.get("model", {}),
        callback_url=body.get("callback_url", ""),
    )


@once_a_page
def policy_decision_of(request: ActionRequest) -> PolicyDecision | None:
    """What policy said last about the current version."""
    said = _current(request, "policy_decisions")
    return max(said, key=lambda one: one.pk, default=None)


@once_a_page
def policy_decisions_of(request: ActionRequest) -> list[PolicyDecision]:
    """Everything policy said about any of its versions, the oldest first."""
    return sorted(_all(request, "policy_decisions"), key=lambda one: one.pk)


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
def requirements_of(request: ActionRequest) -> list[Requirement]:
    """The current version's requirements, in order."""
    found = _current(request, "requirements")
    return sorted(found, key=lambda one: (one.stage, one.pk))


@once_a_page
def decisions_of(request: ActionRequest) -> list[Decision]:
    """What people said about any of its versions, with who they are now, the oldest first."""
    return sorted(_all(request, "decisions"), key=lambda one: one.pk)


@once_a_page
def evidence_of(request: ActionRequest) -> tuple[EvidenceItem, ...]:
    """The current version's evidence, in order."""
    return tuple(_current(request, "evidence"))


def evidence_of_all_versions(request: ActionRequest) -> list[EvidenceItem]:
    """The evidence of every version, by position."""
    return _all(request, "evidence")


@once_a_page
def thread_of(request: ActionRequest) -> tuple[ThreadEntry, ...]:
    """Every question, answer and note, in order. Nobody asks where `has_thread` saw none."""
    return tuple(_all(request, "thread")) if getattr(request, "has_thread", True) else ()


@once_a_page
def reading_of(request: ActionRequest) -> TargetReading | None:
    """The target as it was last read for the current version."""
    read = _current(request, "readings")
    return max(read, key=lambda one: one.pk, default=None)


@once_a_page
def usable_grant_of(request: ActionRequest) -> Grant | None:
    """The grant that has neither been used nor revoked."""
    return _USABLE_GRANT.first(request=request.pk)


def usable_grant_asked(request: ActionRequest) -> Question:
    """What `usable_grant_of` asks."""
    return _USABLE_GRANT.asking(request=request.pk)


_USABLE_GRANT = Prepared(
    lambda: Grant.objects.filter(
        request=Given("request"), consumed_at=None, revoked_at=None
    ).order_by("id")[:1]
)


def agent_locked(request: ActionRequest) -> Agent:
    """The locked request's agent as it is, with no pause possible until this transaction ends.

    A shared lock: workers of one agent do not wait for each other.
    """
    (agent,) = _AGENT_HELD.all(pk=request.agent_id)
    if agent.owner_id == request.agent.owner_id:
        agent.owner = request.agent.owner  # read with the request
    return agent


def agent_locked_asked(request: ActionRequest) -> Question:
    """What `agent_locked` asks."""
    return _AGENT_HELD.asking(pk=request.agent_id)


_AGENT_HELD = Prepared(lambda: Agent.objects.filter(pk=Given("pk")).order_by(), shares=True)


def is_over(request: ActionRequest) -> bool:
    """Whether it waits for nobody any more, by its own row alone."""
    is_word = request.state == State.EXECUTED and not is_read_back(request.action_type)
    return is_word or request.state in ENDED


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
