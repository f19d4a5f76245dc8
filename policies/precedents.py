"""What a document says about facts that look the same to it, it says again: many answers, fast.

What the engine makes of its clauses' answers depends on those and on the few facts it looks at
itself, so each combination is asked of `policies.evaluate` once. There is one engine; this is
its memory. Pure: no clock, no database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter

from policies.battery import Battery, Values
from policies.document import Document
from policies.evaluate import ENGINE, evaluate_flat
from policies.facts import FactError, declared
from policies.looks import Looks, Question
from policies.plain import plain_question
from policies.verdicts import Evaluation, Verdict

_MOST_REMEMBERED = 50_000
_VERSION = "replay"


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
        names, parameters = document.clauses.names, dict(document.parameters)
        looks = Looks()
        self._questions: list[Question] = []
        others = []
        for text in document.clauses.conditions:
            question = plain_question(text, names, parameters, looks)
            if question is None:
                others.append(text)
            else:
                self._questions.append(question)
        self._looked_at = looks.key()
        self._said: dict[tuple[object, ...], bytes] = {}
        # the same facts in the same order, however few of them these clauses look at
        self._others = Battery(others, document.parameters, also=names)
        self._known: dict[tuple[object, ...], Answered] = {}
        self._values = _reader_of(document)
        self.with_unknown_facts = 0

    def answer(self, facts: Mapping[str, object]) -> Answered:
        """What the document says about stored facts. Never raises: it fails closed instead.

        Facts not named keep their defaults; facts this release does not know are left out.
        """
        if not facts.keys() <= _KNOWN:
            self.with_unknown_facts += 1
            facts = {name: value for name, value in facts.items() if name in _KNOWN}
        values = self._values(facts)
        try:
            heard = self._others.ask(values)
        except FactError:
            return self._ask(facts)
        if heard.errors:
            return self._ask(facts)
        key = (self._plainly(values), heard.true, self._document.engine_reads(values))
        found = self._known.get(key)
        if found is None:
            found = self._ask(facts)
            if len(self._known) < _MOST_REMEMBERED:
                self._known[key] = found
        return found

    def _plainly(self, values: Values) -> bytes:
        looked_at = self._looked_at(values)
        said = self._said.get(looked_at)
        if said is None:
            said = bytes([question(values) for question in self._questions])
            if len(self._said) < _MOST_REMEMBERED:
                self._said[looked_at] = said
        return said

    def _ask(self, facts: Mapping[str, object]) -> Answered:
        return Answered.of(evaluate_flat(self._document, facts, version=_VERSION))


def _reader_of(document: Document) -> Callable[[Mapping[str, object]], Values]:
    """`document.flat_values`, quicker where no fact is missing."""
    names = document.clauses.names
    pick = itemgetter(*names)
    kinds = [declared()[name].kind for name in names]
    lists = [at for at, kind in enumerate(kinds) if kind is tuple]
    decimals = [at for at, kind in enumerate(kinds) if kind is float]

    def values(facts: Mapping[str, object]) -> Values:
        try:
            found = list(pick(facts))
        except KeyError:
            return document.flat_values(facts)
        for at in lists:
            if type(found[at]) is list:
                found[at] = tuple(found[at])
        for at in decimals:
            if type(found[at]) is int:
                found[at] = float(found[at])
        return tuple(found)

    return values


def load(text: str) -> dict[str, object]:
    """Stored facts from their canonical JSON; raises ValueError for anything else."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("Facts are an object.")
    return found


_KNOWN = declared().keys()
