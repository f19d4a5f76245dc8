"""All clauses of a document as one CEL program, over the facts they look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter
from typing import Any, TypeAlias

from policies import patterns
from policies.cel.analysis import facts_of
from policies.cel.compiler import Activation, Condition, Parameters, language
from policies.facts import CASE, FactError, Facts, declared, weekday_of
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


@dataclass(frozen=True, slots=True)
class Scoped:
    """Clauses that are asked about these types of action only, and may look into the case."""

    on: tuple[str, ...]
    """Patterns of action types."""
    clauses: tuple[str, ...]

    def covers(self, action_type: str) -> bool:
        return any(patterns.applies(pattern, action_type) for pattern in self.on)


class RuleSet:
    """Every clause once, however many rules share it. Remembers nothing between requests.

    One crossing into CEL answers them all: a list of a hundred clauses costs as much as seven
    clauses one by one. One error spoils a whole list, so then each is asked by itself: a rule whose
    other clauses are false must not hide it.
    """

    def __init__(
        self,
        clauses: Iterable[str],
        parameters: Parameters = (),
        also: Iterable[str] = (),
        scoped: Iterable[Scoped] = (),
    ) -> None:
        """`also` names facts that are wanted beside those the clauses look at."""
        spoken = language(parameters)
        self._parameters, self._scoped = parameters, tuple(scoped)
        self._conditions = {text: spoken.compile(text) for text in dict.fromkeys(clauses)}
        general = [*self._conditions.values()]
        spoken = language(parameters, with_case=True)
        for text in (text for one in self._scoped for text in one.clauses):
            self._conditions.setdefault(text, spoken.compile(text))
        used = {*also}.union(*(facts_of(found.tree) for found in self._conditions.values()))
        facts = [fact for name, fact in declared().items() if name in used]
        self.names = tuple(fact.name for fact in facts)
        self._kinds = [fact.kind for fact in facts]
        self._defaults = [(fact.name, fact.default) for fact in facts]
        self._lists = [fact.name for fact in facts if fact.kind is tuple]
        self._decimals = [fact.name for fact in facts if fact.kind is float]
        self._numbers = [fact.name for fact in facts if fact.kind is int]
        self._take = attrgetter(*self.names, "action.type", "action.type")  # always a tuple
        self._programs = list(_programs(general, parameters))
        self._programs_on: dict[str, list[_Program]] = {}

    def values(self, facts: Facts) -> Values:
        """The facts this document looks at, and the case."""
        return dict(zip(self.names, self._take(facts), strict=False)) | facts.case.known()

    def stored_values(self, facts: Mapping[str, object]) -> Values:
        """The same of flat facts, as stored: lists of texts, whole numbers for decimal ones.

        Facts not named have their defaults; facts this document does not look at are not read.
        Raises FactError for a name that is not declared.
        """
        if not facts.keys() <= declared().keys() | CASE:
            name = min(facts.keys() - declared().keys() - {*CASE})
            raise FactError(name, f"'{name}' is not a fact.")
        found: Values = {name: facts.get(name, default) for name, default in self._defaults}
        found |= {name: facts[name] for name in CASE if name in facts}
        if "time.weekday" in found and "time.weekday" not in facts:  # kept only since 2026-11-22
            found["time.weekday"] = weekday_of(facts.get("time.today"), found["time.weekday"])
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
        for texts, program, conditions in (*self._programs, *self._about(values)):
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

    def _about(self, values: Values) -> list[_Program]:
        """The clauses about this type of action in particular, compiled when it is first seen."""
        if not self._scoped:
            return []
        action_type = str(values["action.type"])
        known = self._programs_on.get(action_type)
        if known is None:
            texts = dict.fromkeys(
                text for one in self._scoped if one.covers(action_type) for text in one.clauses
            )
            conditions = [self._conditions[text] for text in texts]
            known = list(_programs(conditions, self._parameters, with_case=True))
            self._programs_on[action_type] = known
        return known

    def _check(self, values: Values) -> None:
        """CEL takes a number of 65 bits for another one, and True for no number at all."""
        values = {name: values[name] for name in self.names}
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


def _programs(
    conditions: Sequence[Condition], parameters: Parameters, *, with_case: bool = False
) -> Iterable[_Program]:
    """One program for all of them; several for a document too long for CEL to take at once."""
    if not conditions:
        return
    texts = [condition.text for condition in conditions]
    program = language(parameters, with_case=with_case).together(texts)
    if program is not None or len(conditions) == 1:
        yield texts, program, conditions
        return
    middle = len(conditions) // 2
    yield from _programs(conditions[:middle], parameters, with_case=with_case)
    yield from _programs(conditions[middle:], parameters, with_case=with_case)


def _all_at_once(program: Any | None, facts: Activation) -> list[bool] | None:
    """None when they have to be asked one by one."""
    if program is None:
        return None
    try:
        found = program.eval(facts.inner).plain_value()
    except RuntimeError:  # the budget is for all together; each by itself may be within it
        return None
    return found if isinstance(found, list) else None
