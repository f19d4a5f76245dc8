"""All clauses of a document, asked together, and what they said about the same values before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

from policies.clauses.cel import (
    FALSE,
    TRUE,
    Activation,
    Answer,
    Condition,
    Language,
    Parameters,
    language,
)
from policies.clauses.landmarks import Landmarks
from policies.clauses.lexer import dotted_names
from policies.clauses.terms import region_of
from policies.facts import FactError, declared

Values: TypeAlias = "tuple[Any, ...]"
"""The facts a document looks at, in the order of its names."""

_MOST_TOGETHER = 32
_MOST_FACTS_JOINED = 5
_MOST_REMEMBERED = 5_000  # for each group: strangers choose the values
_DECLARED = declared()


class OutOfTime(Exception):
    """Asking took longer than whoever asked would wait."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What every clause came to: a bit for each one that is true, and the errors by text."""

    true: int
    errors: Mapping[str, Answer]

    def answer(self, text: str, bit: int) -> Answer:
        return self.errors.get(text) or (TRUE if self.true & bit else FALSE)


NO_ERRORS: Mapping[str, Answer] = {}


class Battery:
    """Every clause once, however many rules share it.

    A clause looks at a few facts only. Those that look at the same ones are asked together, and
    what they said is remembered by the facts' values, or by where numbers lie among those they are
    compared with: most requests look like earlier ones.
    """

    def __init__(
        self, texts: Iterable[str], parameters: Parameters = (), also: Iterable[str] = ()
    ) -> None:
        spoken = language(parameters)
        self.conditions = {text: spoken.compile(text) for text in dict.fromkeys(texts)}
        self.bits = {text: 1 << place for place, text in enumerate(self.conditions)}
        looks_at = {text: _facts_of(text) for text in self.conditions}
        used = {*also}.union(*looks_at.values())
        self.names = tuple(name for name in _DECLARED if name in used)
        self._kinds = tuple(_DECLARED[name].kind for name in self.names)
        landmarks = Landmarks(self.conditions, dict(parameters))
        place = {name: index for index, name in enumerate(self.names)}
        self._scales = [(place[name], scale) for name, scale in landmarks.scales.items()]
        self._pairs = [(place[one], place[other]) for one, other in landmarks.pairs]
        alike: dict[tuple[tuple[str, ...], _Guard | None], list[Condition]] = {}
        for text, names in looks_at.items():
            alike.setdefault((names, _guard(text, names)), []).append(self.conditions[text])
        self._groups = []
        for names, guard, found in _joined(alike, {*landmarks.scales}):
            # the facts themselves, then how those of them that are compared stand to each other
            columns = [place[name] for name in names] + [
                len(self.names) + index
                for index, pair in enumerate(landmarks.pairs)
                if {*pair} <= {*names}
            ]
            barrier = (place[guard.fact], guard.admits) if guard else None
            places = [place[name] for name in names]
            self._groups += [
                (barrier, _Group(spoken, names, places, columns, several, self.bits))
                for several in _portions(found)
            ]

    def check(self, values: Values) -> None:
        """Raises FactError for a fact of the wrong type: it must not be compared by luck."""
        if tuple(map(type, values)) != self._kinds:
            for name, value in zip(self.names, values, strict=True):
                if type(value) is not _DECLARED[name].kind:
                    raise FactError(name, f"{name} is {_DECLARED[name].type_name}, not {value!r}.")

    def ask(self, values: Values, in_time: Callable[[], bool] | None = None) -> Heard:
        """Every clause's answer about these facts; raises FactError and OutOfTime."""
        self.check(values)
        true = 0
        errors = NO_ERRORS
        marked = self._marked(values)
        for barrier, group in self._groups:
            if barrier is not None and values[barrier[0]] not in barrier[1]:
                continue  # none of its clauses is true
            key = group.pick(marked)
            heard = group.remembered.get(key)
            if heard is None:
                if in_time is not None and not in_time():
                    raise OutOfTime
                heard = group.ask(key, values, in_time)
            if heard.errors:
                errors = {**errors, **heard.errors}
            true |= heard.true
        return Heard(true, errors)

    def _marked(self, values: Values) -> Values:
        """What answers are remembered by. Raises FactError for a number CEL cannot hold."""
        marked = list(values)
        for index, scale in self._scales:
            marked[index] = scale.place(values[index])
        for one, other in self._pairs:
            first, second = values[one], values[other]
            marked.append((first > second) - (first < second))
        return tuple(marked)


@dataclass(frozen=True, slots=True)
class _Guard:
    """A clause is false for every value of the fact but these."""

    fact: str
    admits: frozenset[str]


class _Group:
    """Clauses that look at the same facts."""

    def __init__(
        self,
        spoken: Language,
        names: tuple[str, ...],
        places: list[int],
        columns: list[int],
        conditions: Sequence[Condition],
        bits: Mapping[str, int],
    ) -> None:
        self._names = names
        self._conditions = conditions
        self._bits = bits
        self._together = spoken.together(condition.text for condition in conditions)
        self._values = _picker(places)
        self.pick = _picker(columns)
        self.remembered: dict[Values, Heard] = {}

    def ask(self, key: Values, values: Values, in_time: Callable[[], bool] | None) -> Heard:
        """Ask CEL about the values, and remember what it said by the key."""
        activation = Activation.partly(dict(zip(self._names, self._values(values), strict=True)))
        heard = self._all_at_once(activation) or self._one_by_one(activation, in_time)
        if len(self.remembered) >= _MOST_REMEMBERED:
            self.remembered.clear()
        self.remembered[key] = heard
        return heard

    def _all_at_once(self, activation: Activation) -> Heard | None:
        """None when they have to be asked one by one: one error spoils the whole list."""
        if self._together is None:
            return None
        try:
            found = self._together.eval(activation.inner).plain_value()
        except RuntimeError:  # the budget is for all together; each by itself may be within it
            return None
        if not isinstance(found, list):
            return None
        outcomes = zip(self._conditions, found, strict=True)
        return Heard(
            sum(self._bits[condition.text] for condition, value in outcomes if value is True),
            NO_ERRORS,
        )

    def _one_by_one(self, activation: Activation, in_time: Callable[[], bool] | None) -> Heard:
        true = 0
        errors = {}
        for condition in self._conditions:
            if in_time is not None and not in_time():
                raise OutOfTime
            answer = condition.ask(activation)
            if answer is TRUE:
                true |= self._bits[condition.text]
            elif answer is not FALSE:
                errors[condition.text] = answer
        return Heard(true, errors)


def _facts_of(text: str) -> tuple[str, ...]:
    spelled = dotted_names(text)
    return tuple(name for name in _DECLARED if name in spelled)


def _guard(text: str, names: tuple[str, ...]) -> _Guard | None:
    """What a clause such as `action.type == "x" && ...` asks first, if it asks about strangers'
    texts after that: those are rarely the same twice, so they are rarely remembered."""
    if sum(_DECLARED[name].kind in (str, tuple) for name in names) < 2:
        return None
    for fact, span in region_of([text]).spans.items():
        if fact in names and _DECLARED[fact].kind is str and span.allowed is not None:
            return _Guard(fact, frozenset(str(value) for value in span.allowed))
    return None


def _joined(
    alike: Mapping[tuple[tuple[str, ...], _Guard | None], list[Condition]], scaled: set[str]
) -> Iterable[tuple[tuple[str, ...], _Guard | None, list[Condition]]]:
    """The groups, those of few possible keys several at a time: fewer look-ups for as much."""
    names: tuple[str, ...] = ()
    conditions: list[Condition] = []
    for (wanted, guard), found in alike.items():
        if not all(name in scaled or _DECLARED[name].kind is bool for name in wanted):
            yield wanted, guard, found
            continue
        both = tuple(dict.fromkeys((*names, *wanted)))
        if len(both) > _MOST_FACTS_JOINED and conditions:
            yield names, None, conditions
            both, conditions = wanted, []
        names, conditions = both, [*conditions, *found]
    if conditions:
        yield names, None, conditions


def _portions(conditions: list[Condition]) -> Iterable[list[Condition]]:
    for start in range(0, len(conditions), _MOST_TOGETHER):
        yield conditions[start : start + _MOST_TOGETHER]


def _picker(places: list[int]) -> Callable[[Values], Values]:
    """Takes the values at those places out, always as a tuple."""
    if not places:
        return lambda values: ()
    if len(places) == 1:
        place = places[0]
        return lambda values: (values[place],)
    return itemgetter(*places)
