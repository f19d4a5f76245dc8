"""Past requests through another policy: what would have changed, which way, for how much money.

Pure: a document and past cases in, flips and a summary out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from policies.document import Document
from policies.evaluate import ENGINE, FLOOR, evaluate_stored
from policies.facts import CASE, declared
from policies.models.replays import Direction
from policies.replay.summary import Summary
from policies.verdicts import Evaluation, Verdict

LAID_OVER: frozenset[str] = frozenset({"target-unread", "no-longer-valid"})
"""Trace entries of whoever asked, laid over the document's answer: another document keeps them."""

_VERSION = "replay"
_STRICTNESS = {verdict: rank for rank, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True)
class Said:
    """One answer to one request, as far as people notice it."""

    verdict: Verdict
    tier: int
    asked: tuple[str, ...] = ()  # groups, by name
    people: int = 0  # how many had to say yes

    @classmethod
    def of(cls, evaluation: Evaluation) -> Said:
        specs = evaluation.requirements
        return cls(
            verdict=evaluation.verdict,
            tier=evaluation.tier,
            asked=tuple(sorted({spec.group for spec in specs})),
            people=sum(spec.quorum for spec in specs),
        )


@dataclass(frozen=True, slots=True)
class PastCase:
    """One request as it was evaluated then, and the facts it was evaluated on."""

    subject_id: str
    facts: str  # canonical JSON
    said: Said
    at: datetime


@dataclass(frozen=True, slots=True)
class Flip:
    """One past request the other document answers differently."""

    subject_id: str
    action_type: str
    agent: str
    amount_minor: int | None
    currency: str
    amount_base: int | None  # None without money, or without a rate
    direction: Direction
    before: Said
    after: Said
    at: datetime


class PastCases(Protocol):
    """Where past cases come from: what `settings.POLICY_PAST_CASES` names."""

    def how_many(self, most: int) -> int:
        """How many there are, `most` at the most."""

    def newest(self, most: int) -> Iterator[Sequence[PastCase]]:
        """The newest first, in batches."""

    def laid_over(self, subject_ids: Sequence[str]) -> Mapping[str, Verdict]:
        """Of these, what whoever asked laid over policy's answer: the least it came to."""

    def newly_within(
        self, action_type: str, currency: str, *, above: int, up_to: int, groups: Set[str]
    ) -> int:
        """How many of the last 30 days asked these groups for a limit between the two, minor units.

        `action_type` is a pattern. Of very many only the newest are counted.
        """


def direction_of(before: Said, after: Said) -> Direction:
    """Which way the second answer differs: by verdict, then people asked, then tier."""
    if before.verdict == after.verdict == Verdict.DENY:
        return Direction.SAME
    was, is_now = _strictness(before), _strictness(after)
    if was != is_now:
        return Direction.STRICTER if is_now > was else Direction.LOOSER
    return Direction.SAME if before.asked == after.asked else Direction.REROUTED


def _strictness(said: Said) -> tuple[int, int, int]:
    return _STRICTNESS[said.verdict], said.people, said.tier


def replay(document: Document, cases: Iterable[PastCase]) -> Iterator[Flip]:
    """What the document would have answered differently, in the order of the cases."""
    return iter(Replay(document).over(list(cases)))


@dataclass(slots=True)
class Replay:
    """Past cases through one document, batch by batch; the summary counts along."""

    document: Document
    past: PastCases | None = None
    base_currency: str = "EUR"
    rules: tuple[str, ...] = ()
    """Whose matches are of interest: ids of the replayed document's, where it has another beside
    it; else all."""
    summary: Summary = field(default_factory=Summary)
    _matched: set[str] = field(default_factory=set)

    def over(self, cases: Sequence[PastCase]) -> list[Flip]:
        """The flips of one batch; the summary has them too."""
        flips = [flip for case in cases if (flip := self._flip(case)) is not None]
        kept = self._kept_from_running(flips)
        self.summary.same += len(cases) - len(kept)
        for flip in kept:
            self.summary.add(
                direction=flip.direction,
                agent=flip.agent,
                action_type=flip.action_type,
                amount_base=flip.amount_base,
                before=flip.before.verdict,
                after=flip.after.verdict,
            )
        return kept

    def finished(self) -> Summary:
        """The summary, with what is only known at the end."""
        rules = self.rules or tuple(rule.id for rule in self.document.rules)
        self.summary.never_matched = tuple(
            id for id in rules if not self._matched & {id, f"{FLOOR}{id}"}
        )
        return self.summary

    def answer(self, facts: Mapping[str, object]) -> Evaluation:
        """What the document says about stored facts. Never raises: it fails closed instead.

        Facts not named keep their defaults; facts this release does not know are left out.
        """
        known = declared().keys() | CASE
        if not facts.keys() <= known:
            self.summary.unknown_facts += 1
            facts = {name: value for name, value in facts.items() if name in known}
        found = evaluate_stored(self.document, facts, version=_VERSION, with_clauses=False)
        self.summary.failed_closed += bool(found.failed_closed)
        self._matched.update(entry.rule for entry in found.matched if entry.owner != ENGINE)
        return found

    def _flip(self, case: PastCase) -> Flip | None:
        self.summary.total += 1
        try:
            facts: Mapping[str, object] = load(case.facts)
        except ValueError:
            self.summary.unreadable += 1
            facts = {"action.type": None}  # policy cannot use that: people decide
        after = Said.of(self.answer(facts))
        direction = direction_of(case.said, after)
        if direction == Direction.SAME:
            return None
        amount, currency = _money(facts)
        return Flip(
            subject_id=case.subject_id,
            action_type=_text(facts, "action.type"),
            agent=_text(facts, "agent.name"),
            amount_minor=amount,
            currency=currency,
            amount_base=self._in_base(facts, amount, currency),
            direction=direction,
            before=case.said,
            after=after,
            at=case.at,
        )

    def _in_base(
        self, facts: Mapping[str, object], amount: int | None, currency: str
    ) -> int | None:
        """Judged before amounts were converted, only the base currency itself can be added up."""
        if amount is None:
            return None
        stored = facts.get("action.amount_base")
        if type(stored) is int:
            return stored if facts.get("action.rate_known", True) is True else None
        return amount if currency == self.base_currency else None

    def _kept_from_running(self, flips: list[Flip]) -> list[Flip]:
        """Without what stays as it was because of something no document decides.

        An unreadable target, say: whoever asked made a person look, and would again.
        """
        looser = [flip.subject_id for flip in flips if flip.direction == Direction.LOOSER]
        floors = self.past.laid_over(looser) if self.past and looser else {}
        kept = []
        for flip in flips:
            raised = with_floor(flip.before, flip.after, floors.get(flip.subject_id))
            direction = direction_of(flip.before, raised)
            if direction != Direction.SAME:
                kept.append(replace(flip, after=raised, direction=direction))
        return kept


def with_floor(before: Said, after: Said, floor: Verdict | None) -> Said:
    """The answer with what was laid over the earlier one laid over it again."""
    if floor is None or _STRICTNESS[floor] <= _STRICTNESS[after.verdict]:
        return after
    return replace(before, tier=after.tier)


def load(text: str) -> dict[str, object]:
    """Stored facts from their canonical JSON; raises ValueError for anything else."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("Facts are an object.")
    return found


def _money(facts: Mapping[str, object]) -> tuple[int | None, str]:
    amount, currency = facts.get("action.amount"), _text(facts, "action.currency")
    return (amount, currency) if type(amount) is int and currency else (None, "")


def _text(facts: Mapping[str, object], name: str) -> str:
    value = facts.get(name)
    return value if isinstance(value, str) else ""
