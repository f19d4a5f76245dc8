"""What a document says about facts that look the same to it, it says again: many answers, fast.

A clause looks at a few facts only, so its answers are remembered by their values; what a document
makes of its clauses' answers is remembered by those. Whatever was not met before, and whatever
ended in an error, is asked of `policies.evaluate` itself: there is one engine, and this is its
memory. Pure: no clock, no database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

from policies.cel import FALSE, TRUE, Activation, Condition
from policies.document import Document
from policies.evaluate import ENGINE, evaluate, fail_closed
from policies.facts import FactError, Facts, declared
from policies.verdicts import Evaluation, Verdict

READ_BY_THE_ENGINE = ("action.type", "action.supervised", "evidence.kinds")
"""Facts `policies.evaluate` looks at by itself, beside the clauses."""

_MOST_REMEMBERED = 100_000
_VERSION = "replay"

_Values: TypeAlias = Mapping[str, object]
_Key: TypeAlias = tuple[object, ...]


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


@dataclass(frozen=True, slots=True)
class Shape:
    """What one set of stored facts looks like: which names, of which types."""

    unknown: tuple[str, ...]  # names this release does not know; ignored
    problem: str  # why policy cannot use them; empty when it can
    is_complete: bool  # every fact of this release is named


class Precedents:
    """One document's answers to any number of stored facts. Not for several threads at once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        by_names: dict[tuple[str, ...], list[Condition]] = {}
        for text, condition in document.clauses.conditions.items():
            by_names.setdefault(_mentioned(text), []).append(condition)
        self._groups = [_Group(names, found) for names, found in sorted(by_names.items())]
        self._answers: dict[_Key, Answered] = {}
        self._shapes: dict[_Key, Shape] = {}

    def shape(self, facts: _Values) -> Shape:
        """What can be made of them in this release."""
        key = (tuple(facts), tuple(map(type, facts.values())))
        found = self._shapes.get(key)
        if found is None:
            found = _shape(facts)
            if len(self._shapes) < _MOST_REMEMBERED:
                self._shapes[key] = found
        return found

    def answer(self, facts: _Values) -> Answered:
        """What the document says. Never raises; what it cannot use, people must decide.

        Facts not named keep their defaults, facts of another release are left out.
        """
        shape = self.shape(facts)
        if shape.problem:
            return _unusable(shape.problem)
        values = facts if shape.is_complete else {**_DEFAULTS, **facts}
        key: list[object] = [group.answers(values) for group in self._groups]
        if None in key:
            return self._ask(facts)
        key.append(_read_directly(values))
        remembered = tuple(key)
        found = self._answers.get(remembered)
        if found is None:
            found = self._ask(facts)
            if len(self._answers) < _MOST_REMEMBERED:
                self._answers[remembered] = found
        return found

    def _ask(self, facts: _Values) -> Answered:
        try:
            return Answered.of(evaluate(self._document, readable(facts), version=_VERSION))
        except FactError as error:
            return _unusable(str(error))


def readable(facts: _Values) -> Facts:
    """Stored facts, without those this release does not know. Raises FactError as `Facts` does."""
    return Facts.from_flat({name: value for name, value in facts.items() if name in declared()})


def load(text: str) -> dict[str, object]:
    """Stored facts from their canonical JSON; raises ValueError for anything else."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("Facts are an object.")
    return found


class _Group:
    """The clauses that look at the same facts, and what they came to by those facts' values."""

    def __init__(self, names: tuple[str, ...], conditions: Collection[Condition]) -> None:
        self._names = names
        self._conditions = conditions
        self._pick = _picker(names)
        self._remembered: dict[object, int | None] = {}
        self._numbers: dict[tuple[bool, ...], int] = {}

    def answers(self, values: _Values) -> int | None:
        """A number for what the clauses came to; None when one of them is in error."""
        key = self._pick(values)
        try:
            return self._remembered[key]
        except KeyError:
            pass
        found = self._number(values)
        if len(self._remembered) < _MOST_REMEMBERED:
            self._remembered[key] = found
        return found

    def _number(self, values: _Values) -> int | None:
        try:
            activation = Activation.partly({name: values[name] for name in self._names})
        except FactError:
            return None
        outcomes = [condition.ask(activation) for condition in self._conditions]
        if not all(outcome is TRUE or outcome is FALSE for outcome in outcomes):
            return None
        truth = tuple(outcome is TRUE for outcome in outcomes)
        return self._numbers.setdefault(truth, len(self._numbers))


def _picker(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """Takes the facts of those names out, as something a dictionary can remember."""
    if not names:
        return lambda values: ()
    if any(declared()[name].kind is tuple for name in names):
        return lambda values: tuple(
            tuple(value) if isinstance(value := values[name], list) else value for name in names
        )
    return itemgetter(*names)


def _mentioned(text: str) -> tuple[str, ...]:
    """The facts a clause may look at.

    A fact spelled so that it is missed here has no value when the clause is asked: an error, and
    errors are asked of the engine.
    """
    return tuple(name for name, pattern in _PATTERNS.items() if pattern.search(text))


def _shape(facts: _Values) -> Shape:
    unknown = tuple(name for name in facts if name not in declared())
    wrong = [
        f"{name} is {fact.type_name}."
        for name, fact in declared().items()
        if name in facts and type(facts[name]) not in _TYPES[fact.kind]
    ]
    is_complete = all(name in facts for name in declared())
    return Shape(unknown, wrong[0] if wrong else "", is_complete)


def _unusable(problem: str) -> Answered:
    return Answered.of(fail_closed(f"A fact is unusable: {problem}", version=_VERSION))


_TYPES: dict[type, tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    float: (float, int),
    str: (str,),
    tuple: (list, tuple),
}
_PATTERNS = {
    name: re.compile(r"\b" + name.replace(".", r"\s*\.\s*") + r"\b") for name in declared()
}
_DEFAULTS: dict[str, object] = {name: fact.default for name, fact in declared().items()}
_read_directly = _picker(READ_BY_THE_ENGINE)
