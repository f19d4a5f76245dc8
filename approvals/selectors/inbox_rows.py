"""The rows of an inbox: what, who, why and how risky, so that most need no opening to be sorted."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from uuid import UUID

from django.db.models import (
    Exists,
    F,
    FilteredRelation,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    prefetch_related_objects,
)

from approvals.choices import FINAL_VERDICTS, DecisionVerdict, Origin, State
from approvals.inspection import reveal
from approvals.models import (
    ActionRequest,
    Decision,
    PolicyDecision,
    RequestContent,
    Requirement,
    TargetReading,
    ThreadEntry,
)
from approvals.selectors.authority import approval_of
from approvals.selectors.case import amount_of
from approvals.selectors.evidence_view import flag_words
from approvals.selectors.inbox_deciders import TookPart, Turn, turns_of
from approvals.selectors.requests import COUNTED_WITH
from audit.actors import ActorKind
from connectors.catalogue import Reversibility
from policies.models import User
from policies.quorum import progress

_HARD_TO_UNDO = {
    Reversibility.IRREVERSIBLE: "cannot be undone",
    Reversibility.EXTERNALLY_REVERSIBLE: "undone only by others",
}


@dataclass(frozen=True, slots=True)
class Claimed:
    """Somebody works on it, until then."""

    by: str
    is_viewer: bool
    until: datetime


@dataclass(frozen=True, slots=True)
class Row:
    """What the list says about one request."""

    request: ActionRequest
    effect: str
    amount: str
    progress: str
    reasons: tuple[str, ...]
    """Why a person is asked, as the rules that matched say it."""
    hard_to_undo: str
    flags: tuple[str, ...]
    escalated_to: str
    asked_by_agent: bool
    decided_by_viewer: bool
    suggested_to_viewer: bool
    claims: tuple[Claimed, ...]
    turn: Turn | None
    """Whether the viewer may approve it, and who else; None once nobody decides any more."""
    needs_words: bool
    """Whether policy asks whoever approves it for a reason, or to prove who they are."""
    at: datetime  # when it was read
    twins: int = 1
    """How many on the page ask for the same: same kind, target, payee and amount."""
    is_later_twin: bool = False

    @property
    def deadline(self) -> datetime | None:
        """The deadline that runs now."""
        if self.request.state == State.CHANGES_REQUESTED:
            return self.request.answer_by
        if self.request.state == State.APPROVED:
            return self.request.execute_by
        return self.request.decide_by if self.request.state == State.PENDING_APPROVAL else None

    @property
    def more_reasons(self) -> int:
        """How many reasons beside the first."""
        return max(len(self.reasons) - 1, 0)

    @property
    def may_be_chosen(self) -> bool:
        """Whether it may be decided together with others, as far as a list can tell."""
        is_theirs = self.turn is not None and self.turn.may_approve
        needs_no_words = not self.needs_words or self.twins > 1
        return is_theirs and self.request.plan_id is None and needs_no_words

    @property
    def is_for_others(self) -> bool:
        """It waits, and not for the viewer."""
        return self.turn is not None and not self.turn.may_approve


def rows_of(requests: Sequence[ActionRequest], *, viewer: User, at: datetime) -> list[Row]:
    """The list's rows, in as many queries whatever their number; twins follow each other."""
    prefetch_related_objects(
        list(requests),
        Prefetch(
            "requirements",
            Requirement.objects.filter(version=F("request__version")).select_related("assignee"),
        ),
        Prefetch(
            "decisions",
            Decision.objects.filter(
                Q(version=F("request__version")) | Q(verdict=DecisionVerdict.ABSTAIN)
            ).select_related(*COUNTED_WITH),
        ),
    )
    remarks = _remarks_on(requests, viewer)
    took_part = {pk: one.took_part for pk, one in remarks.items()}
    turns = turns_of(requests, took_part, viewer=viewer, at=at)
    rows = [
        _row(request, remarks[request.pk], turns.get(request.pk), viewer, at)
        for request in requests
    ]
    return _twins_together(rows)


def _twins_together(rows: Sequence[Row]) -> list[Row]:
    """Each group of twins where its first one stands."""
    first: dict[tuple[str, str], int] = {}
    for place, row in enumerate(rows):
        first.setdefault(_same(row), place)
    together: list[Row] = []
    for _, group in groupby(sorted(rows, key=lambda row: first[_same(row)]), key=_same):
        alike = list(group)
        together += [
            replace(row, twins=len(alike), is_later_twin=number > 0)
            for number, row in enumerate(alike)
        ]
    return together


def _same(row: Row) -> tuple[str, str]:
    """What twins have in common; what nobody decides any more has none."""
    waits = row.request.state == State.PENDING_APPROVAL
    return (row.request.business_key if waits else str(row.request.pk), row.request.state)


@dataclass(slots=True)
class _Remarks:
    """What was noticed about a request."""

    flags: set[str]
    reasons: tuple[str, ...]
    asked_by_agent: bool
    needs_words: bool
    sentence: str
    took_part: TookPart = field(default_factory=TookPart)


def _remarks_on(requests: Sequence[ActionRequest], viewer: User) -> dict[UUID, _Remarks]:
    """What policy and the detectors found, who spoke last, and who changed it."""
    evaluated = PolicyDecision.objects.filter(request=OuterRef("pk")).order_by("-id")
    asked = evaluated.exclude(purpose=PolicyDecision.Purpose.EXECUTION)
    last = ThreadEntry.objects.filter(request=OuterRef("pk"), for_people=False).order_by("-id")
    contents = RequestContent.objects.filter(request=OuterRef("pk")).order_by("-version")
    readings = TargetReading.objects.filter(request=OuterRef("pk")).order_by("-id")
    of_viewer = Q(edited_by__person=viewer.person) | Q(supplied_by__person=viewer.person)
    supplied = Q(evidence__version=F("version"), evidence__origin=Origin.AGENT)
    rows = (
        ActionRequest.objects.filter(pk__in=[request.pk for request in requests])
        .order_by()
        .annotate(
            facts=Subquery(evaluated.values("facts")[:1]),
            trace=Subquery(asked.values("trace")[:1]),
            reasoned=Subquery(asked.values("reason_required")[:1]),
            speaker=Subquery(last.values("actor_kind")[:1]),
            editor=Subquery(contents.exclude(edited_by=None).values("edited_by__person")[:1]),
            supplier=Subquery(contents.exclude(supplied_by=None).values("supplied_by__person")[:1]),
            sentence=Subquery(readings.filter(version=OuterRef("version")).values("sentence")[:1]),
            by_viewer=Exists(contents.filter(of_viewer)),
            supplied=FilteredRelation("evidence", condition=supplied),
        )
        .values_list(
            "pk",
            "facts",
            "trace",
            "reasoned",
            "speaker",
            "editor",
            "supplier",
            "sentence",
            "by_viewer",
            "supplied__flags",
        )
    )
    found: dict[UUID, _Remarks] = {}
    for pk, facts, trace, reasoned, speaker, editor, supplier, sentence, by_viewer, flags in rows:
        if pk not in found:
            by_policy = json.loads(facts).get("evidence.flags", ()) if facts else ()
            found[pk] = _Remarks(
                {str(flag) for flag in by_policy},
                _reasons_in(trace),
                speaker == ActorKind.AGENT,
                bool(reasoned) or bool(json.loads(trace).get("step_up") if trace else True),
                sentence or "",
                TookPart(editor or "", supplier or "", viewer.person if by_viewer else ""),
            )
        found[pk].flags.update(str(flag) for flag in flags or ())
    return found


def _reasons_in(trace: str | None) -> tuple[str, ...]:
    """The sentences of the rules that matched, those that asked for people before the others."""
    rules = json.loads(trace).get("rules", ()) if trace else ()
    matched = [rule for rule in rules if rule.get("matched") and rule.get("reason")]
    matched.sort(key=lambda rule: rule.get("effect") == "allow")
    return tuple(dict.fromkeys(reveal(str(rule["reason"])) for rule in matched))


def _row(
    request: ActionRequest, remarks: _Remarks, turn: Turn | None, viewer: User, at: datetime
) -> Row:
    requirements = list(request.requirements.all())
    decisions = list(request.decisions.all())
    amount = amount_of(request)
    return Row(
        request=request,
        effect=reveal(remarks.sentence or request.effect),
        amount=str(amount) if amount else "",
        progress=_progress(requirements, decisions),
        reasons=remarks.reasons,
        hard_to_undo=_HARD_TO_UNDO.get(Reversibility(request.reversibility), ""),
        flags=flag_words(sorted(remarks.flags)),
        escalated_to=next((r.escalated_to for r in requirements if r.escalated_to), ""),
        asked_by_agent=remarks.asked_by_agent,
        decided_by_viewer=any(
            d.person == viewer.person and d.verdict in FINAL_VERDICTS for d in decisions
        ),
        suggested_to_viewer=any(
            r.is_open and r.assignee_id == viewer.pk and not _claim(r, viewer, at)
            for r in requirements
        ),
        claims=tuple(found for r in requirements if (found := _claim(r, viewer, at))),
        turn=turn,
        needs_words=remarks.needs_words,
        at=at,
    )


def _claim(requirement: Requirement, viewer: User, at: datetime) -> Claimed | None:
    holder, until = requirement.assignee, requirement.claimed_until
    if not requirement.is_open or holder is None or until is None or until <= at:
        return None
    name = holder.get_full_name() or holder.get_username()
    return Claimed(name, holder.person == viewer.person, until)


def claimants_of(
    requests: Collection[UUID], *, at: datetime, besides: User
) -> Iterator[tuple[UUID, str]]:
    """Who works on these requests now, by name; the viewer needs not be told."""
    claimed = Requirement.objects.filter(
        request__in=requests, is_open=True, version=F("request__version"), claimed_until__gt=at
    )
    for one in claimed.exclude(assignee__person=besides.person).select_related("assignee"):
        assert one.assignee is not None  # noqa: S101 - the filter excludes those without
        yield one.request_id, one.assignee.get_full_name() or one.assignee.get_username()


def _progress(requirements: Iterable[Requirement], decisions: Iterable[Decision]) -> str:
    specs = [r.spec for r in requirements]
    given = [approval_of(d) for d in decisions if d.verdict == DecisionVerdict.APPROVE]
    if not specs:
        return ""
    met = sum(one.met_count for one in progress(specs, given))
    return f"{met} of {sum(spec.quorum for spec in specs)}"
