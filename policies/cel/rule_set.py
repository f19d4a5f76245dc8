"""All clauses of a document as one CEL program, over the facts they look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter
from typing import Any, TypeAlias

from policies.cel.compiler import Activation, Condition, Parameters, language
from policies.facts import FactError, Facts, declared
from policies.verdicts import Clause

Values: TypeAlias = "dict[str, Any]"
"""The facts a document looks at, by name, each in its fact's own type."""


class OutOfTime(Exception):
    """Asking took longer than whoever asked would wait."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What every clause came to: the ones that are true, and the errors."""

    true: frozenset[str]
    errors: Mapping[str, Clause]
    _conditions: Mapping[str, Condition]

    def hold(self, clauses: Sequence[str]) -> bool:
        """Whether all of these clauses are true."""
        return self.true.issuperset(clauses)

    def of(self, clause: str) -> Clause:
        """The clause with what it came to."""
        condition = self._conditions[clause]
        return self.errors.get(clause) or (
            condition.true if clause in self.true else condition.false
        )


class RuleSet:
    """Every clause once, however many rules share it. Remembers nothing between requests.

    One crossing into CEL answers them all: a list of a hundred clauses costs as much as seven
    clauses one by one. One error spoils a whole list, so then each is asked by itself: a rule whose
    other clauses are false must not hide it.
    """

    def __init__(
        self, clauses: Iterable[str], parameters: Parameters = (), also: Iterable[str] = ()
    ) -> None:
        """`also` names facts that are wanted beside those the clauses look at."""
        spoken = language(parameters)
        self._conditions = {text: spoken.compile(text) for text in dict.fromkeys(clauses)}
        used = {*also}.union(*(found.tree.facts() for found in self._conditions.values()))
        facts = [fact for name, fact in declared().items() if name in used]
        self.names = tuple(fact.name for fact in facts)
        self._kinds = [fact.kind for fact in facts]
        self._defaults = [(fact.name, fact.default) for fact in facts]
        self._lists = [fact.name for fact in facts if fact.kind is tuple]
        self._decimals = [fact.name for fact in facts if fact.kind is float]
        self._numbers = [fact.name for fact in facts if fact.kind is int]
        self._take = attrgetter(*self.names, "action.type", "action.type")  # always a tuple
        self._programs = list(_programs([*self._conditions.values()], parameters))

    def values(self, facts: Facts) -> Values:
        """The facts this document looks at."""
        return dict(zip(self.names, self._take(facts), strict=False))

    def stored_values(self, facts: Mapping[str, object]) -> Values:
        """The same of flat facts, as stored: lists of texts, whole numbers for decimal ones.

        Facts not named have their defaults; facts this document does not look at are not read.
        Raises FactError for a name that is not declared.
        """
        if not facts.keys() <= declared().keys():
            name = min(facts.keys() - declared().keys())
            raise FactError(name, f"'{name}' is not a fact.")
        found: Values = {name: facts.get(name, default) for name, default in self._defaults}
        for name in self._lists:
            if isinstance(found[name], list):
                found[name] = tuple(found[name])
        for name in self._decimals:
            if type(found[name]) is int:
                found[name] = float(found[name])
        return found

    def ask(self, values: Values, in_time: Callable[[], bool] | None = None) -> Answers:
        """Every clause's answer about these facts.

        Raises FactError for a fact of the wrong type: it must not be compared by luck. Raises
        OutOfTime when `in_time`, asked before each crossing into CEL, says no.
        """
        self._check(values)
        facts = Activation.trusted({**values, **{name: list(values[name]) for name in self._lists}})
        true: set[str] = set()
        errors: dict[str, Clause] = {}
        for texts, program, conditions in self._programs:
            if in_time is not None and not in_time():
                raise OutOfTime
            found = _all_at_once(program, facts)
            if found is not None:
                true.update(compress(texts, found))
                continue
            for condition in conditions:
                if in_time is not None and not in_time():
                    raise OutOfTime
                answer = condition.ask(facts)
                if answer is condition.true:
                    true.add(condition.text)
                elif answer is not condition.false:
                    errors[condition.text] = answer
        return Answers(frozenset(true), errors, self._conditions)

    def _check(self, values: Values) -> None:
        """CEL takes a number of 65 bits for another one, and True for no number at all."""
        if (
            list(map(type, values.values())) == self._kinds
            and all(-(2**63) <= values[name] < 2**63 for name in self._numbers)
            and all(values[name] == values[name] for name in self._decimals)
            and all(type(item) is str for name in self._lists for item in values[name])
        ):
            return
        for name, value in values.items():
            declaration = declared()[name]
            if type(value) is not declaration.kind:
                raise FactError(name, f"{name} is {declaration.type_name}, not {value!r}.")
            declaration.accept(value)


_Program: TypeAlias = "tuple[list[str], Any, Sequence[Condition]]"


def _programs(conditions: Sequence[Condition], parameters: Parameters) -> Iterable[_Program]:
    """One program for all of them; several for a document too long for CEL to take at once."""
    if not conditions:
        return
    texts = [condition.text for condition in conditions]
    program = language(parameters).together(texts)
    if program is not None or len(conditions) == 1:
        yield texts, program, conditions
        return
    middle = len(conditions) // 2
    yield from _programs(conditions[:middle], parameters)
    yield from _programs(conditions[middle:], parameters)


def _all_at_once(program: Any | None, facts: Activation) -> list[bool] | None:
    """None when they have to be asked one by one."""
    if program is None:
        return None
    try:
        found = program.eval(facts.inner).plain_value()
    except RuntimeError:  # the budget is for all together; each by itself may be within it
        return None
    return found if isinstance(found, list) else None
