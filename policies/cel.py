"""Conditions in CEL, typed by the declared facts: compiled once, asked many times."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cel_expr_python import cel

from policies.facts import FactError, Facts, declared

LONGEST_CLAUSE = 2_000
_POSITION = re.compile(r"<input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_MIXED_NUMBERS = re.compile(r"applied to '\((double, int|int, double)\)'")


class ClauseError(ValueError):
    """The clause cannot be a condition; line and column are its own, counted from 1."""

    def __init__(self, message: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Answer:
    """What a clause came to on some facts: "true", "false" or "error" with its detail."""

    outcome: str
    detail: str = ""


TRUE = Answer("true")
FALSE = Answer("false")


@dataclass(frozen=True, slots=True)
class Activation:
    """Facts in the form CEL takes them; made once per evaluation and shared by all clauses."""

    inner: Any

    @classmethod
    def of(cls, facts: Facts) -> Activation:
        """Raises FactError for a fact of the wrong type: it must not be compared by luck."""
        flat = facts.flat()
        for name, declaration in declared().items():
            declaration.accept(flat[name])
        return cls(_environment().Activation(flat))

    @classmethod
    def partly(cls, values: Mapping[str, object]) -> Activation:
        """Only the facts named; a clause that asks for another one comes to an error.

        Raises FactError for a name that is not declared or a value of another type.
        """
        accepted: dict[str, object] = {}
        for name, value in values.items():
            if name not in declared():
                raise FactError(name, f"'{name}' is not a fact.")
            found = declared()[name].accept(value)
            accepted[name] = list(found) if isinstance(found, tuple) else found
        return cls(_environment().Activation(accepted))


@dataclass(frozen=True, slots=True)
class Condition:
    """One compiled clause."""

    text: str
    program: Any

    def ask(self, facts: Activation) -> Answer:
        """Never raises: errors come as CEL's ERROR value, an exhausted budget as an exception."""
        try:
            value = self.program.eval(facts.inner).value()
        except RuntimeError as error:
            return Answer("error", str(error))
        if value is True:
            return TRUE
        if value is False:
            return FALSE
        return Answer("error", str(value))


class Battery:
    """All clauses of a document, asked together.

    Crossing into CEL once for a list of conditions costs a third of crossing once for each. One
    error spoils the whole list, so then each is asked by itself.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.conditions = {text: compile_clause(text) for text in dict.fromkeys(texts)}
        self._together = self._joined()

    def ask(self, facts: Activation) -> dict[str, Answer]:
        """Every clause's answer, by its text."""
        values = self._values(facts)
        if values is None:
            return {text: condition.ask(facts) for text, condition in self.conditions.items()}
        return {
            text: TRUE if value is True else FALSE
            for text, value in zip(self.conditions, values, strict=True)
        }

    def _values(self, facts: Activation) -> list[object] | None:
        """All answers in order, or None when they have to be asked for one by one."""
        if self._together is None:
            return None
        try:
            values = self._together.eval(facts.inner).plain_value()
        except RuntimeError:  # the budget is for all together; each by itself may be within it
            return None
        return values if isinstance(values, list) else None

    def _joined(self) -> Any | None:
        # Each clause ends with its line: it may end in a comment.
        listed = ",".join(f"({text}\n)" for text in self.conditions)
        try:
            return _environment().compile(f"[{listed}]")
        except RuntimeError:  # over CEL's size limits taken together: asked one by one
            return None


def compile_clause(text: str) -> Condition:
    """Compile and type-check one clause; raises ClauseError with position and advice."""
    if len(text) > LONGEST_CLAUSE:
        raise ClauseError(
            f"A clause has at most {LONGEST_CLAUSE:,} characters; split it into several."
        )
    try:
        program = _environment().compile(text)
    except RuntimeError as error:
        raise _explained(str(error)) from error
    result = program.return_type()
    if result != cel.Type.BOOL:
        raise ClauseError(
            f"A clause is true or false, and this one is {result.name().lower()}. "
            "Compare it with something."
        )
    return Condition(text, program)


def suggestion(name: str, known: list[str]) -> str:
    """ " Did you mean ...?" for the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def _explained(report: str) -> ClauseError:
    found = _POSITION.search(report)
    if not found:
        return ClauseError(report)
    line, column, message = int(found[1]), int(found[2]), found[3]
    undeclared = _UNDECLARED.search(message)
    if undeclared:
        name = undeclared[1]
        advice = suggestion(name, list(declared())) or " See policies/facts.py for all of them."
        return ClauseError(f"'{name}' is not a fact.{advice}", line=line, column=column)
    if _MIXED_NUMBERS.search(message):
        message += ". Write decimal numbers with a point, as in 1.0"
    return ClauseError(f"{message.rstrip('.')}.", line=line, column=column)


@cache
def _environment() -> Any:
    kinds = {
        bool: cel.Type.BOOL,
        int: cel.Type.INT,
        float: cel.Type.DOUBLE,
        str: cel.Type.STRING,
        tuple: cel.Type.List(cel.Type.STRING),
    }
    return cel.NewEnv(variables={name: kinds[item.kind] for name, item in declared().items()})
