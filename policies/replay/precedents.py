"""A document's answers to many stored facts, as far as people notice them: for replays.

There is one engine; it remembers what it said about facts that look the same to it. Pure: no
clock, no database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from policies.document import Document
from policies.evaluate import ENGINE, evaluate_flat
from policies.facts import declared
from policies.verdicts import Evaluation, Verdict

_MOST_REMEMBERED = 50_000
_VERSION = "replay"
_KNOWN = declared().keys()


@dataclass(frozen=True, slots=True)
class Answered:
    """What matters of an evaluation when it is held against another one."""

    verdict: Verdict
    tier: int
    asked: tuple[str, ...]  # groups, by name
    people: int  # how many must say yes
    matched: tuple[str, ...]  # ids of the document's rules that matched
    failed_closed: str = ""

    @classmethod
    def of(cls, evaluation: Evaluation) -> Answered:
        specs = evaluation.requirements
        return cls(
            verdict=evaluation.verdict,
            tier=evaluation.tier,
            asked=tuple(sorted({spec.group for spec in specs})),
            people=sum(spec.quorum for spec in specs),
            matched=tuple(entry.rule for entry in evaluation.matched if entry.owner != ENGINE),
            failed_closed=evaluation.failed_closed,
        )


class Precedents:
    """One document's answers to any number of stored facts. Not for several threads at once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        # by identity, which the engine's memory keeps; the evaluation itself keeps it from reuse
        self._known: dict[int, tuple[Evaluation, Answered]] = {}
        self.with_unknown_facts = 0

    def answer(self, facts: Mapping[str, object]) -> Answered:
        """What the document says about stored facts. Never raises: it fails closed instead.

        Facts not named keep their defaults; facts this release does not know are left out.
        """
        if not facts.keys() <= _KNOWN:
            self.with_unknown_facts += 1
            facts = {name: value for name, value in facts.items() if name in _KNOWN}
        evaluation = evaluate_flat(self._document, facts, version=_VERSION)
        known = self._known.get(id(evaluation))
        if known is not None:
            return known[1]
        answered = Answered.of(evaluation)
        if len(self._known) < _MOST_REMEMBERED:
            self._known[id(evaluation)] = (evaluation, answered)
        return answered


def load(text: str) -> dict[str, object]:
    """Stored facts from their canonical JSON; raises ValueError for anything else."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("Facts are an object.")
    return found
