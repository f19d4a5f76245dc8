"""What keeps a request from being approved: evidence that is not there, and why the rest is none.

Beside what the matrix demands, nobody approves a target that could not be read, an action its
target would refuse, or sources that contradict each other until somebody has cleared that up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from approvals.choices import Origin
from approvals.models import ActionRequest, EvidenceItem, PolicyDecision
from approvals.selectors.evidence_view import stored_json
from approvals.selectors.requests import evidence_of, reading_of
from audit.lib.canonical import JsonObject
from connectors.catalogue import ActionType
from connectors.registry import UnknownActionType, action_type
from policies.evidence import EvidenceDemand, Supplier

CLARIFICATION = "clarification"
"""What clears up sources that contradict each other, supplied after the proposal."""
DIFF, UNDO_PATH, IMPACT = "diff", "undo_path", "impact_estimate"
"""Kinds the system works out of the case: what changes, how it is undone, what it would cost."""
_RESTORES = frozenset({"risk_analysis", "test_result"})
"""What the undo of a done action need not bring: it restores what the target had before."""


class Problem(StrEnum):
    """Why evidence does not count."""

    MISSING = "missing"
    STALE = "stale"
    FLAGGED = "flagged"
    CONFLICTING = "conflicting"
    REFUSED = "refused"  # by the target, as far as can be seen
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing in the way of an approval: which kind of evidence, what is wrong, what to do."""

    kind: str
    problem: Problem
    by: Supplier = Supplier.SYSTEM
    detail: str = ""

    @property
    def words(self) -> str:
        return self.kind.replace("_", " ")

    @property
    def can_be_read_again(self) -> bool:
        """Whether another look at the target may close it."""
        about_reading = (Problem.UNREADABLE, Problem.REFUSED, Problem.STALE)
        return self.problem in about_reading or self.by == Supplier.SYSTEM

    @property
    def sentence(self) -> str:
        """What is wrong, and what to do about it."""
        return f"{self.wrong} {self.remedy}"

    @property
    def wrong(self) -> str:
        match self.problem:
            case Problem.UNREADABLE:
                return f"The target could not be read: {self.detail}"
            case Problem.REFUSED:
                return f"The target would refuse this: {self.detail}"
            case Problem.CONFLICTING:
                return "The agent's sources contradict each other or the action."
            case Problem.FLAGGED:
                return f"Evidence '{self.words}' does not count: its text was flagged."
            case Problem.STALE:
                return f"Evidence '{self.words}' is stale."
        return f"Evidence '{self.words}' is missing."

    @property
    def remedy(self) -> str:
        match self.problem:
            case Problem.UNREADABLE | Problem.REFUSED:
                return "Read the target again once that is mended, or reject it."
            case Problem.CONFLICTING:
                return f"Clear it up: supply a {self.words}, or ask the agent for one."
        match self.by:
            case Supplier.SYSTEM:
                return "Read the target again."
            case Supplier.PEOPLE:
                return "A colleague who will not decide supplies it."
        return "The agent answers with it, or a colleague who will not decide supplies it."


@dataclass(frozen=True, slots=True)
class Held:
    """The newest evidence of each kind, by who supplied it."""

    read: Mapping[str, datetime] = field(default_factory=dict)
    from_people: Mapping[str, datetime] = field(default_factory=dict)
    supplied: Mapping[str, datetime] = field(default_factory=dict)
    flagged: frozenset[str] = frozenset()

    def gaps(self, demands: Iterable[EvidenceDemand], *, at: datetime) -> tuple[Gap, ...]:
        """What is demanded and does not count now."""
        found = (self._gap(demand, at=at) for demand in demands)
        return tuple(gap for gap in found if gap)

    def _gap(self, demand: EvidenceDemand, *, at: datetime) -> Gap | None:
        counted = [self.read]
        if demand.by != Supplier.SYSTEM:
            counted.append(self.from_people)
        if demand.by == Supplier.ANYONE:
            counted.append(self.supplied)
        dated = [held[demand.kind] for held in counted if demand.kind in held]
        if any(when > at - demand.fresh for when in dated):
            return None
        problem = Problem.STALE if dated else Problem.MISSING
        if not dated and demand.by != Supplier.SYSTEM and demand.kind in self.flagged:
            problem = Problem.FLAGGED
        return Gap(demand.kind, problem, demand.by)


def derived_kinds(
    kind: ActionType | None,
    *,
    after: JsonObject,
    unavailable: str,
    rate_known: bool,
    is_undo: bool,
) -> frozenset[str]:
    """The kinds of evidence the system works out by itself of what it read."""
    found = set(_RESTORES) if is_undo else set()
    if kind is not None and kind.undo_type:
        found.add(UNDO_PATH)
    if not unavailable and after and "problem" not in after:
        found.add(DIFF)
    if not unavailable and rate_known:
        found.add(IMPACT)
    return frozenset(found)


def evidence_gaps(
    request: ActionRequest, policy: PolicyDecision, *, at: datetime
) -> tuple[Gap, ...]:
    """Everything that keeps the request from being approved now, whoever decides."""
    reading, facts = reading_of(request), stored_json(policy.facts)
    unavailable = reading.unavailable if reading else "It has not been read yet."
    after = stored_json(reading.after) if reading else {}
    items = evidence_of(request)
    is_conflicting = bool(facts.get("evidence.conflicting")) and not _is_cleared_up(request, items)
    gaps = case_gaps(unavailable=unavailable, after=after, is_conflicting=is_conflicting)
    held = _held(request, items)
    if reading is not None:
        derived = derived_kinds(
            _kind_of(request),
            after=after,
            unavailable=unavailable,
            rate_known=bool(facts.get("action.rate_known", True)),
            is_undo=request.compensates_id is not None,
        )
        read = {**held.read, **dict.fromkeys(derived, reading.read_at)}
        held = Held(read, held.from_people, held.supplied, held.flagged)
    return together(gaps, held.gaps(policy.evidence_demanded, at=at))


def gaps_at_evaluation(policy: PolicyDecision) -> tuple[Gap, ...]:
    """The same as policy saw it when it was asked, from what is stored with its answer."""
    facts = stored_json(policy.facts)
    there = {*facts.get("evidence.supplied", ()), *facts.get("evidence.from_people", ())}
    after = facts.get("after") or {}
    by = {demand.kind: demand.by for demand in policy.evidence_demanded}
    missing = facts.get("evidence.missing", ())
    return together(
        case_gaps(
            unavailable="" if facts.get("evidence.preview_available", True) else "no answer.",
            after=after,
            is_conflicting=bool(facts.get("evidence.conflicting")) and CLARIFICATION not in there,
        ),
        tuple(Gap(kind, Problem.MISSING, by[kind]) for kind in missing if kind in by),
    )


def together(case: tuple[Gap, ...], demanded: tuple[Gap, ...]) -> tuple[Gap, ...]:
    """Both, without what is missing only because the target could not be read or would refuse."""
    is_about_target = any(gap.kind == "target" for gap in case)
    rest = (g for g in demanded if not (is_about_target and g.by == Supplier.SYSTEM))
    return (*case, *rest)


def case_gaps(*, unavailable: str, after: JsonObject, is_conflicting: bool) -> tuple[Gap, ...]:
    """What is in the way whatever the matrix demands."""
    gaps = []
    if unavailable:
        gaps.append(Gap("target", Problem.UNREADABLE, detail=unavailable))
    elif "problem" in after:
        gaps.append(Gap("target", Problem.REFUSED, detail=str(after["problem"])))
    if is_conflicting:
        gaps.append(Gap(CLARIFICATION, Problem.CONFLICTING, Supplier.ANYONE))
    return tuple(gaps)


def _held(request: ActionRequest, items: Iterable[EvidenceItem]) -> Held:
    by_origin: dict[str, dict[str, datetime]] = {origin: {} for origin in Origin.values}
    flagged = set()
    for item in items:
        if not counts(item, request=request):
            flagged |= {item.kind} if item.flags else set()
            continue
        held, when = by_origin[item.origin], item.retrieved_at or item.created_at
        held[item.kind] = max(when, held.get(item.kind, when))
    return Held(
        by_origin[Origin.SYSTEM],
        by_origin[Origin.PERSON],
        by_origin[Origin.AGENT],
        frozenset(flagged),
    )


def counts(item: EvidenceItem, *, request: ActionRequest) -> bool:
    """Whether an item can be what policy demands.

    What the system read; what people and agents supplied, with something to read and no flags. A
    clarification clears up what was sent before it: one sent along with the proposal does not.
    """
    if item.kind == CLARIFICATION and item.created_at <= request.created_at:
        return False
    if item.origin == Origin.SYSTEM:
        return item.retrieved_at is not None
    return bool(item.body.strip() or item.uri) and not item.flags


def _is_cleared_up(request: ActionRequest, items: Iterable[EvidenceItem]) -> bool:
    return any(i.kind == CLARIFICATION and counts(i, request=request) for i in items)


def _kind_of(request: ActionRequest) -> ActionType | None:
    try:
        return action_type(request.action_type)
    except UnknownActionType:
        return None
