"""A clause as tokens: which facts it looks at, and whether asking it is always quick.

CEL bounds how often a clause goes round, not what a round costs: a pattern tried for every pair of
two lists takes minutes, a list doubled thirty times takes all memory. So clauses go round
few lists, never one within another, and patterns are short, literal and tried once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST_ROUNDS = 2
"""How many lists one clause may go through."""
MOST_PATTERNS = 2
LONGEST_PATTERN = 100

_ROUNDS = frozenset({"all", "exists"})
_GROWING = frozenset({"map", "filter", "exists_one"})
# Counted repetitions and Unicode classes, also when spelled as escapes: "\x7b" is a brace.
_COSTLY = re.compile(r"\{|\\[pPxXuU0-7]")
_QUOTES = ('"""', "'''", '"', "'")
_LISTED = re.compile(r"\Ain\[x(,x)*,?\]\Z")
_EMPTY = ("''", '""', "''''''", '""""""')


def _strings() -> str:
    """A text without an end is one all the same, for CEL to refuse: nothing is read twice."""
    raw, plain = [], []
    for quote in _QUOTES:
        if len(quote) == 3:
            one = quote[0]
            inside = rf"{one}(?!{one}{one})"
            raw.append(rf"{quote}(?:[^{one}]|{inside})*+(?:{quote})?")
            plain.append(rf"{quote}(?:\\[\s\S]|[^\\{one}]|{inside})*+(?:{quote})?")
        else:
            raw.append(rf"{quote}[^{quote}\r\n]*+{quote}?")
            plain.append(rf"{quote}(?:\\.|[^{quote}\\\r\n])*+{quote}?")
    return rf"(?:[rR][bB]?|[bB][rR])(?:{'|'.join(raw)})|[bB]?(?:{'|'.join(plain)})"


_TOKEN = re.compile(
    rf"(?P<space>\s+|//[^\n]*)|(?P<text>{_strings()})|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<mark>[\s\S])",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # "text", "name", "number" or "mark"
    text: str
    at: int  # offset in the clause


def tokens(clause: str) -> Iterator[Token]:
    """The clause's tokens, without blanks and remarks. Every character is part of one."""
    for found in _TOKEN.finditer(clause):
        if found.lastgroup != "space":
            yield Token(str(found.lastgroup), found.group(), found.start())


def dotted_names(clause: str) -> frozenset[str]:
    """Every `group.name` the clause spells, however it spaces them."""
    listed = list(tokens(clause))
    return frozenset(
        f"{first.text}.{last.text}"
        for first, dot, last in zip(listed, listed[1:], listed[2:], strict=False)
        if (first.kind, dot.text, last.kind) == ("name", ".", "name")
    )


def literal_fact(clause: str) -> str:
    """The fact that the clause holds to values written out: `a.b == "x"`, `a.b in ["x", "y"]`.

    Empty for every other clause, and for an empty value: that would hold for whatever is unknown.
    """
    listed = list(tokens(clause))
    group, name, rest = listed[:1], listed[2:3], listed[3:]
    if not group or not name or not _is(listed, 1, ".") or not rest:
        return ""
    fact = f"{group[0].text}.{name[0].text}"
    values = [token for token in rest if token.kind == "text"]
    if not values or any(token.text.strip("rRbB") in _EMPTY for token in values):
        return ""
    marks = "".join("x" if token.kind == "text" else token.text for token in rest)
    return fact if marks == "==x" or _LISTED.match(marks) else ""


def slow_part(clause: str) -> tuple[Token, str] | None:
    """The first token of what could take long, and the remedy; None when nothing could."""
    listed = list(tokens(clause))
    rounds = patterns = depth = 0
    within: list[int] = []  # depth of the brackets of each round we are in
    for index, token in enumerate(listed):
        if token.text in "([{":
            depth += 1
        elif token.text in ")]}":
            depth -= 1
            if within and depth < within[-1]:
                within.pop()
        if token.kind != "name" or not _is(listed, index + 1, "("):
            continue
        if token.text in _GROWING:
            return token, f"'{token.text}' is not for clauses; ask with exists or all."
        if token.text in _ROUNDS:
            rounds += 1
            if within:
                return token, f"'{token.text}' within another one takes too long; write two rules."
            if rounds > MOST_ROUNDS:
                return token, f"more than {MOST_ROUNDS} of exists and all; split it into clauses."
            within.append(depth + 1)
        if token.text == "matches":
            patterns += 1
            if within:
                return token, "a pattern tried for every entry takes too long; compare with ==."
            if patterns > MOST_PATTERNS:
                return token, f"more than {MOST_PATTERNS} patterns; split it into clauses."
            problem = _pattern_problem(listed, index)
            if problem:
                return token, problem
    return None


def _pattern_problem(listed: list[Token], index: int) -> str:
    """What is wrong with the pattern of the `matches` at this index."""
    pattern = listed[index + 2] if index + 2 < len(listed) else None
    if (
        not _is(listed, index - 1, ".")
        or pattern is None
        or pattern.kind != "text"
        or not _is(listed, index + 3, ")")
    ):
        return 'a pattern is written out where it is used: name.matches("...").'
    if len(pattern.text) > LONGEST_PATTERN:
        return f"a pattern has at most {LONGEST_PATTERN} characters."
    if _COSTLY.search(pattern.text):
        return "a pattern has no counted repetition ({2,5}), Unicode class or numeric escape."
    return ""


def _is(listed: list[Token], index: int, text: str) -> bool:
    return 0 <= index < len(listed) and listed[index].text == text
