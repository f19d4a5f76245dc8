"""Conditions in CEL, typed by the declared facts: compiled once, asked many times."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeAlias

from cel_expr_python import cel

from policies.clauses.lexer import slow_part
from policies.facts import FactError, Facts, declared

Parameters: TypeAlias = "tuple[tuple[str, int], ...]"
"""A document's own numbers, by name."""

LONGEST_CLAUSE = 2_000
PARAMETER = "param"
"""How clauses say "the parameter": `param.refund_automatic`."""
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
        return cls(_plain().Activation(flat))

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
        return cls(_plain().Activation(accepted))


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


class Language:
    """CEL with the declared facts, and with one document's parameters as `param.name`."""

    def __init__(self, parameters: Parameters) -> None:
        self._env = _environment(parameters)
        self._names = [*declared(), *(f"{PARAMETER}.{name}" for name, _ in parameters)]

    def compile(self, text: str) -> Condition:
        """Compile and type-check one clause; raises ClauseError with position and advice."""
        if len(text) > LONGEST_CLAUSE:
            raise ClauseError(
                f"A clause has at most {LONGEST_CLAUSE:,} characters; split it into several."
            )
        try:
            program = self._env.compile(text)
        except RuntimeError as error:
            raise _explained(str(error), self._names) from error
        result = program.return_type()
        if result != cel.Type.BOOL:
            raise ClauseError(
                f"A clause is true or false, and this one is {result.name().lower()}. "
                "Compare it with something."
            )
        slow = slow_part(text)
        if slow:
            token, message = slow
            before = text[: token.at]
            line = before.count("\n") + 1
            raise ClauseError(message, line=line, column=len(before) - before.rfind("\n"))
        return Condition(text, program)

    def together(self, texts: Iterable[str]) -> Any | None:
        """One program for a list of clauses; None when they are too much for CEL taken together.

        Crossing into CEL once for a list costs a third of crossing once for each.
        """
        # Each clause ends with its line: it may end in a remark.
        listed = ",".join(f"({text}\n)" for text in texts)
        try:
            return self._env.compile(f"[{listed}]")
        except RuntimeError:
            return None


@lru_cache(maxsize=32)
def language(parameters: Parameters = ()) -> Language:
    """The language of documents with these parameters."""
    return Language(parameters)


def compile_clause(text: str, parameters: Parameters = ()) -> Condition:
    """Compile and type-check one clause; raises ClauseError with position and advice."""
    return language(parameters).compile(text)


def suggestion(name: str, known: list[str]) -> str:
    """ " Did you mean ...?" for the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def _explained(report: str, names: list[str]) -> ClauseError:
    found = _POSITION.search(report)
    if not found:
        return ClauseError(report)
    line, column, message = int(found[1]), int(found[2]), found[3]
    undeclared = _UNDECLARED.search(message)
    if undeclared:
        name = undeclared[1]
        what = "a parameter of this document" if name.startswith(f"{PARAMETER}.") else "a fact"
        advice = suggestion(name, names) or " See policies/facts.py for all of them."
        return ClauseError(f"'{name}' is not {what}.{advice}", line=line, column=column)
    if _MIXED_NUMBERS.search(message):
        message += ". Write decimal numbers with a point, as in 1.0"
    return ClauseError(f"{message.rstrip('.')}.", line=line, column=column)


def _environment(parameters: Parameters) -> Any:
    kinds = {
        bool: cel.Type.BOOL,
        int: cel.Type.INT,
        float: cel.Type.DOUBLE,
        str: cel.Type.STRING,
        tuple: cel.Type.List(cel.Type.STRING),
    }
    constants = "".join(
        f"- {{name: {PARAMETER}.{name}, type: int, value: {value}}}\n" for name, value in parameters
    )
    return cel.NewEnv(
        variables={name: kinds[item.kind] for name, item in declared().items()},
        config=cel.NewEnvConfigFromYaml(f"variables:\n{constants}") if constants else None,
    )


@cache
def _plain() -> Any:
    """The environment activations are made in; programs of every language take them."""
    return _environment(())
