"""Everything a reviewer is shown about one request, in the order they need it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from approvals.choices import FINAL_VERDICTS
from approvals.inspection import inspect, inspect_all, reveal, strings_in
from approvals.models import (
    ActionRequest,
    Compensation,
    Decision,
    Execution,
    Grant,
    PolicyDecision,
    ThreadEntry,
)
from approvals.selectors.case import amount_of
from approvals.selectors.pack import (
    Line,
    Reading,
    Source,
    flag_words,
    other_amounts,
    params_as_lines,
    reading_shown,
    source_shown,
)
from approvals.selectors.requests import (
    action_of,
    latest_execution_of,
    policy_decision_of,
    proposal_of,
    reading_of,
    usable_grant_of,
)
from approvals.selectors.standing import Need, Standing, needs_of, standing_of
from audit.actors import ActorKind
from audit.models import AuditEvent
from audit.selectors import actor_of, describe, events_of
from connectors.catalogue import ActionType
from connectors.registry import UnknownActionType, action_type
from policies.models import User

_SIMILAR = 5
_HISTORY = 200


@dataclass(frozen=True, slots=True)
class ClauseShown:
    text: str
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True)
class RuleShown:
    """One rule of the policy and how it fared; `is_near_miss`: all clauses but one held."""

    rule: str
    owner: str
    reason: str
    effect: str
    matched: bool
    is_near_miss: bool
    clauses: tuple[ClauseShown, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What the agent wrote, made visible."""

    intent: str
    flags: tuple[str, ...]
    other_amounts: tuple[str, ...]
    alternatives: tuple[tuple[str, str], ...]
    undo_note: str
    confidence: str
    model: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class ThreadLine:
    by: str
    is_agent: bool
    body: str
    flags: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Moment:
    at: datetime
    actor: str  # "" where the sentence begins with it
    sentence: str


@dataclass(frozen=True, slots=True)
class CaseFile:
    """One request, ready to be judged."""

    request: ActionRequest
    kind: ActionType | None
    effect: str
    target: str
    on_behalf_of: str
    amount: str
    params: tuple[Line, ...]
    policy: PolicyDecision | None
    policy_version: str
    matched: tuple[RuleShown, ...]
    trace: tuple[RuleShown, ...]
    reading: Reading | None
    from_system: tuple[Source, ...]
    from_agent: tuple[Source, ...]
    said: Said
    thread: tuple[ThreadLine, ...]
    needs: tuple[Need, ...]
    decisions: tuple[Decision, ...]
    similar: tuple[Decision, ...]
    history: tuple[Moment, ...]
    grant: Grant | None
    execution: Execution | None
    undo: ActionRequest | None
    standing: Standing


def case_file(request: ActionRequest, *, viewer: User, at: datetime) -> CaseFile:
    """Collect the page. Raises IntegrityBroken when the stored action is not what was digested."""
    kind = _kind(request)
    policy = policy_decision_of(request)
    trace = _trace(policy)
    sources = [
        source_shown(item)
        for item in request.evidence.filter(version=request.version).order_by("position")
    ]
    undo = Compensation.objects.filter(original=request, is_active=True).first()
    amount = amount_of(request)
    return CaseFile(
        request=request,
        kind=kind,
        effect=reveal(request.effect),
        target=reveal(request.target),
        on_behalf_of=reveal(request.on_behalf_of),
        amount=str(amount) if amount else "",
        params=params_as_lines(action_of(request).params, amount),
        policy=policy,
        policy_version=_policy_label(policy),
        matched=tuple(rule for rule in trace if rule.matched),
        trace=trace,
        reading=reading_shown(reading_of(request)),
        from_system=tuple(s for s in sources if s.is_system),
        from_agent=tuple(s for s in sources if not s.is_system),
        said=_said(request),
        thread=tuple(_line(entry) for entry in request.thread.all()),
        needs=needs_of(request),
        decisions=tuple(request.decisions.select_related("decider").order_by("id")),
        similar=_similar(request),
        history=_history(request),
        grant=usable_grant_of(request),
        execution=latest_execution_of(request),
        undo=undo.undo if undo else None,
        standing=standing_of(request, viewer, policy=policy, kind=kind, at=at),
    )


def _kind(request: ActionRequest) -> ActionType | None:
    try:
        return action_type(request.action_type)
    except UnknownActionType:  # retired since: the record stays readable
        return None


def _policy_label(policy: PolicyDecision | None) -> str:
    if policy is None:
        return ""
    return str(json.loads(policy.trace).get("version", "")) or "no policy"


def _trace(policy: PolicyDecision | None) -> tuple[RuleShown, ...]:
    """Every rule: those that matched, those that nearly did, the rest in the policy's order."""
    if policy is None:
        return ()
    rules: list[dict[str, Any]] = json.loads(policy.trace)["rules"]
    shown = [_rule(rule) for rule in rules]
    return tuple(sorted(shown, key=lambda rule: (not rule.matched, not rule.is_near_miss)))


def _rule(rule: dict[str, Any]) -> RuleShown:
    clauses = tuple(ClauseShown(c["text"], c["outcome"], c["detail"]) for c in rule["clauses"])
    failed = sum(1 for clause in clauses if clause.outcome != "true")
    return RuleShown(
        rule=rule["rule"],
        owner=rule["owner"],
        reason=rule["reason"],
        effect=str(rule["effect"]).replace("_", " "),
        matched=rule["matched"],
        is_near_miss=not rule["matched"] and failed == 1 and len(clauses) > 1,
        clauses=clauses,
    )


def _said(request: ActionRequest) -> Said:
    proposal = proposal_of(request)
    confidence = proposal.confidence
    texts = [proposal.intent, proposal.undo_note, *strings_in(list(proposal.alternatives))]
    return Said(
        intent=reveal(proposal.intent),
        flags=flag_words(inspect_all(texts), *texts),
        other_amounts=other_amounts(proposal.intent, amount_of(request)),
        alternatives=tuple(
            (reveal(str(a.get("summary", ""))), reveal(str(a.get("risk", ""))))
            for a in proposal.alternatives
        ),
        undo_note=reveal(proposal.undo_note),
        confidence="" if confidence is None else f"{confidence:.0%}",
        model=tuple(Line(reveal(k), reveal(str(v))) for k, v in proposal.model.items()),
    )


def _line(entry: ThreadEntry) -> ThreadLine:
    is_agent = entry.actor_kind == ActorKind.AGENT
    return ThreadLine(
        by=reveal(entry.actor_name),
        is_agent=is_agent,
        body=reveal(entry.body),
        flags=flag_words(inspect(entry.body), entry.body) if is_agent else (),
        at=entry.created_at,
    )


def _similar(request: ActionRequest) -> tuple[Decision, ...]:
    """The last decisions of people on the same kind of action, newest first."""
    decided = Decision.objects.filter(
        request__action_type=request.action_type, verdict__in=FINAL_VERDICTS
    ).exclude(request=request)
    return tuple(decided.select_related("request", "decider").order_by("-id")[:_SIMILAR])


def _history(request: ActionRequest) -> tuple[Moment, ...]:
    return tuple(_moment(event) for event in events_of(request)[:_HISTORY])


def _moment(event: AuditEvent) -> Moment:
    actor, sentence = reveal(actor_of(event)), reveal(describe(event))
    return Moment(event.at, "" if sentence.startswith(actor) else actor, sentence)
