"""What a number is to a document: on which side of the numbers it is compared with.

A clause that only compares a fact with numbers written out, or with another fact, says the same of
every value between two of them. So answers can be remembered by where a value lies, not by the
value: most amounts are alike. Whatever else a clause does with a fact, it keeps its value.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from policies.clauses.lexer import Token, tokens
from policies.facts import FactError, declared

Number: TypeAlias = "int | float"

_BEFORE = frozenset({"", "(", "[", ",", "&", "|", "?", ":"})
_AFTER = frozenset({"", ")", "]", ",", "&", "|", "?", ":"})
_OPERATORS = ("==", "!=", "<=", ">=", "<", ">")
_DECLARED = declared()
_EXTREMES: Mapping[type, tuple[Number, Number]] = {
    int: (-(2**63), 2**63 - 1),  # CEL counts in 64 bits
    float: (float("-inf"), float("inf")),
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A fact on one side, a number or another fact on the other."""

    fact: str
    other: Number | str


class Scale:
    """The numbers one fact is compared with, in order."""

    def __init__(self, name: str, marks: Iterable[Number]) -> None:
        self._fact = _DECLARED[name]
        self._marks = sorted({*marks, *_EXTREMES[self._fact.kind]})

    def place(self, value: Number) -> int:
        """Even between two marks, odd on one. Raises FactError for NaN and what CEL cannot hold."""
        marks = self._marks
        at = bisect_left(marks, value)
        if at < len(marks) and marks[at] == value:
            return 2 * at + 1
        if 0 < at < len(marks):
            return 2 * at
        raise FactError(
            self._fact.name, f"{self._fact.name} is {self._fact.type_name}, not {value!r}."
        )


class Landmarks:
    """What a document's clauses compare its numeric facts with."""

    def __init__(self, clauses: Iterable[str], parameters: Mapping[str, int]) -> None:
        marks: dict[str, set[Number]] = {}
        pairs: set[tuple[str, str]] = set()
        other_uses: set[str] = set()
        for clause in clauses:
            for name, found in comparisons(clause, parameters).items():
                if found is None:
                    other_uses.add(name)
                for one in found or ():
                    if isinstance(one.other, str):
                        pairs.add((min(name, one.other), max(name, one.other)))
                    marks.setdefault(name, set())
                    if not isinstance(one.other, str):
                        marks[name].add(one.other)
        self.pairs = sorted(pairs)
        self.scales = {
            name: Scale(name, found) for name, found in marks.items() if name not in other_uses
        }


def comparisons(clause: str, parameters: Mapping[str, int]) -> dict[str, list[Comparison] | None]:
    """By every numeric fact the clause spells, what it is compared with.

    None when it does anything else with the fact than compare it, or spells it with a dot in front.
    """
    listed = list(tokens(clause))
    found: dict[str, list[Comparison] | None] = {}
    for index in range(len(listed)):
        name = _spelled_at(listed, index)
        if not name:
            continue
        comparison = _comparison(listed, index, name, parameters)
        known = found.setdefault(name, [])
        if comparison is None or known is None:
            found[name] = None
        else:
            known.append(comparison)
    return found


def _comparison(
    listed: Sequence[Token], index: int, name: str, parameters: Mapping[str, int]
) -> Comparison | None:
    """The comparison the fact at this index is one side of."""
    width, operator = _operator(listed, index + 3)
    if operator and _text(listed, index - 1) in _BEFORE:
        end, other = _operand(listed, index + 3 + width, parameters)
        if other is not None and _text(listed, end) in _AFTER:
            return _same_kind(name, other)
    # The other way round: only two facts, for which the first one's turn says all.
    for width in (2, 1):
        start = index - width - 3
        if start >= 0 and _operator(listed, index - width)[0] == width:
            first = _fact_at(listed, start)
            if first and _text(listed, start - 1) in _BEFORE and _text(listed, index + 3) in _AFTER:
                return _same_kind(name, first)
    return None


def _same_kind(name: str, other: Number | str) -> Comparison | None:
    kind = _DECLARED[other].kind if isinstance(other, str) else type(other)
    return Comparison(name, other) if kind is _DECLARED[name].kind else None


def _operand(
    listed: Sequence[Token], index: int, parameters: Mapping[str, int]
) -> tuple[int, Number | str | None]:
    """Where the operand at this index ends, and what it is; None for anything composed."""
    name = _fact_at(listed, index)
    if name:
        return index + 3, name
    if _text(listed, index) == "param" and _text(listed, index + 1) == ".":
        return index + 3, parameters.get(_text(listed, index + 2))
    sign = -1 if _text(listed, index) == "-" else 1
    at = index + (sign < 0)
    if at >= len(listed) or listed[at].kind != "number":
        return index, None
    text = listed[at].text
    return at + 1, sign * (float(text) if "." in text else int(text))


def _operator(listed: Sequence[Token], index: int) -> tuple[int, str]:
    for width in (2, 1):
        text = "".join(token.text for token in listed[max(index, 0) : index + width])
        if text in _OPERATORS:
            return width, text
    return 0, ""


def _fact_at(listed: Sequence[Token], index: int) -> str:
    """The numeric fact whose spelling begins here, and nothing in front of it."""
    return "" if _text(listed, index - 1) == "." else _spelled_at(listed, index)


def _spelled_at(listed: Sequence[Token], index: int) -> str:
    if index < 0 or index + 2 >= len(listed):
        return ""
    name = "".join(token.text for token in listed[index : index + 3])
    fact = _DECLARED.get(name)
    return name if fact and fact.kind in _EXTREMES else ""


def _text(listed: Sequence[Token], index: int) -> str:
    return listed[index].text if 0 <= index < len(listed) else ""
