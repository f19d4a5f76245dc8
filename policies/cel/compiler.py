"""Conditions in CEL, typed by the declared facts: compiled once, asked many times, always quick.

CEL bounds how often a clause goes round, not what a round costs: a pattern tried for every pair of
two lists takes minutes, a list doubled thirty times takes all memory. So clauses go round few
lists, never one within another, and patterns are short, literal and tried once; anything else is
refused when it is written, not when it hangs a worker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeAlias

from cel_expr_python import cel

from audit.lib.cel_tree import Complaint, Node, Tree, macro, parts
from audit.lib.spelling import suggestion
from policies.facts import CASE, Facts, declared
from policies.verdicts import Clause

MOST_ROUNDS = 2
"""How many lists one clause may go through."""
MOST_PATTERNS = 2
LONGEST_PATTERN = 100

# Counted repetitions, Unicode classes and characters by their number.
_COSTLY = re.compile(r"\{|\\[pPxXuU0-7]")


@dataclass(frozen=True, slots=True)
class SlowPart:
    """What could take long: the word it is written as, where CEL sees it, and the remedy."""

    word: str
    position: int
    message: str


def slow_part(tree: Tree) -> SlowPart | None:
    """The first part of the clause that could take long; None when nothing could."""
    rounds = patterns = 0
    asks_the_case = any(node.ident_expr.name in CASE for node in tree.nodes())
    for node, is_repeated in _as_written(tree.root, is_repeated=False):
        word = message = ""
        if node.WhichOneof("kind") == "comprehension_expr":
            rounds += 1
            word, message = macro(node), _round_problem(macro(node), rounds, is_repeated)
        elif node.call_expr.function == "matches":
            patterns += 1
            word, message = "matches", _pattern_problem(tree, node, patterns, is_repeated)
        elif is_repeated and asks_the_case:
            word = _SIZED.get(node.call_expr.function, "")
            message = _size_problem(tree, node, word) if word else ""
        if message:
            return SlowPart(word, tree.position(node), message)
    return None


def _as_written(node: Node, *, is_repeated: bool) -> Iterator[tuple[Node, bool]]:
    """Every node, and whether it is asked of each entry of a list: what a call is made on first."""
    repeated, call = node.comprehension_expr, node.call_expr
    on = [call.target] if call.HasField("target") else []
    if node.WhichOneof("kind") == "comprehension_expr":
        on = [repeated.iter_range]
    for part in on:
        yield from _as_written(part, is_repeated=is_repeated)
    yield node, is_repeated
    for part in parts(node)[len(on) :]:
        yield from _as_written(part, is_repeated=is_repeated or bool(repeated.iter_var))


def _round_problem(word: str, rounds: int, is_repeated: bool) -> str:
    if word not in ("all", "exists"):
        return f"'{word}' is not for clauses; ask with exists or all."
    if is_repeated:
        return f"'{word}' within another one takes too long; write two rules."
    if rounds > MOST_ROUNDS:
        return f"more than {MOST_ROUNDS} of exists and all; split it into clauses."
    return ""


_SIZED = {
    "contains": "contains",
    "startsWith": "startsWith",
    "endsWith": "endsWith",
    "_+_": "+",
    "@in": "in",
}
"""What takes as long as both its sides are, as CEL calls it and as it is written."""


def _size_problem(tree: Tree, node: Node, word: str) -> str:
    """Lists and texts of a case may be long: nothing of the kind for every entry of another one."""
    call = node.call_expr
    sides = [*([call.target] if call.HasField("target") else []), *call.args]
    if any(tree.literal(one) is not None or tree.literals(one) is not None for one in sides):
        return ""
    return f"'{word}' of two unknowns for every entry takes too long; write one of them out."


def _pattern_problem(tree: Tree, node: Node, patterns: int, is_repeated: bool) -> str:
    """What is wrong with this `matches`, the patterns-th of the clause."""
    if is_repeated:
        return "a pattern tried for every entry takes too long; compare with ==."
    if patterns > MOST_PATTERNS:
        return f"more than {MOST_PATTERNS} patterns; split it into clauses."
    args = node.call_expr.args
    pattern = tree.literal(args[0]) if node.call_expr.HasField("target") else None
    if not isinstance(pattern, str):
        return 'a pattern is written out where it is used: name.matches("...").'
    if len(pattern) > LONGEST_PATTERN:
        return f"a pattern has at most {LONGEST_PATTERN} characters."
    if _COSTLY.search(pattern):
        return "a pattern has no counted repetition ({2,5}), Unicode class or numeric escape."
    return ""


Parameters: TypeAlias = "tuple[tuple[str, int], ...]"
"""A document's own numbers, by name."""

LONGEST_CLAUSE = 2_000
PARAMETER = "param"
"""How clauses say "the parameter": `param.refund_automatic`."""
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_MIXED_NUMBERS = re.compile(r"applied to '\((double, int|int, double)\)'")


class ClauseError(ValueError):
    """The clause cannot be a condition; line and column are its own, counted from 1."""

    def __init__(self, message: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


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
    def trusted(cls, values: Mapping[str, object]) -> Activation:
        """Only the facts named, whose types somebody checked; lists as lists.

        A clause that asks for another fact comes to an error.
        """
        return cls(_plain().Activation(values))


class Condition:
    """One compiled clause."""

    def __init__(self, text: str, program: Any, tree: Tree) -> None:
        self.text = text
        self.tree = tree
        self.true = Clause(text, "true")
        self.false = Clause(text, "false")
        self._program = program

    def ask(self, facts: Activation) -> Clause:
        """Never raises: errors come as CEL's ERROR value, an exhausted budget as an exception."""
        try:
            value = self._program.eval(facts.inner).value()
        except RuntimeError as error:
            return Clause(self.text, "error", str(error))
        if value is True:
            return self.true
        if value is False:
            return self.false
        return Clause(self.text, "error", str(value))


class Language:
    """CEL with the declared facts, and with one document's parameters as `param.name`.

    For rules that name their action types also with the case: `params`, `before`, `after`.
    """

    def __init__(self, parameters: Parameters, *, with_case: bool) -> None:
        self._env = _environment(parameters, with_case=with_case)
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
        tree = Tree(program)
        slow = slow_part(tree)
        if slow:
            at = text.rfind(slow.word, 0, slow.position)
            before = text[: at if at >= 0 else slow.position]
            line = before.count("\n") + 1
            raise ClauseError(slow.message, line=line, column=len(before) - before.rfind("\n"))
        return Condition(text, program, tree)

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
def language(parameters: Parameters = (), *, with_case: bool = False) -> Language:
    """The language of documents with these parameters."""
    return Language(parameters, with_case=with_case)


@lru_cache(maxsize=512)
def compile_clause(text: str, parameters: Parameters = (), *, with_case: bool = False) -> Condition:
    """Compile and type-check one clause; raises ClauseError with position and advice.

    `with_case` is for clauses of rules that name their action types. What was compiled last is
    kept, about two policies' clauses: static checks ask for each clause dozens of times.
    """
    return language(parameters, with_case=with_case).compile(text)


def _explained(report: str, names: list[str]) -> ClauseError:
    complaint = Complaint.of(report)
    line, column, message = complaint.line, complaint.column, complaint.message
    undeclared = _UNDECLARED.search(message)
    if undeclared:
        name = undeclared[1]
        column = max(1, column - len(name.rpartition(".")[0]))  # CEL points at the last point
        if name.partition(".")[0] in CASE:
            message = f"'{name}' differs by action type: name those it is about in the rule's 'on'."
            return ClauseError(message, line=line, column=column)
        what = "a parameter of this document" if name.startswith(f"{PARAMETER}.") else "a fact"
        advice = suggestion(name, names) or " See policies/facts.py for all of them."
        return ClauseError(f"'{name}' is not {what}.{advice}", line=line, column=column)
    if _MIXED_NUMBERS.search(message):
        message += ". Write decimal numbers with a point, as in 1.0"
    return ClauseError(f"{message.rstrip('.')}.", line=line, column=column)


def _environment(parameters: Parameters, *, with_case: bool) -> Any:
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
        variables={name: kinds[item.kind] for name, item in declared().items()}
        | (dict.fromkeys(CASE, cel.Type.Map(cel.Type.STRING, cel.Type.DYN)) if with_case else {}),
        config=cel.NewEnvConfigFromYaml(f"variables:\n{constants}") if constants else None,
    )


@cache
def _plain() -> Any:
    """The environment activations are made in; programs of every language take them."""
    return _environment((), with_case=True)
