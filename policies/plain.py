"""Clauses that are plain comparisons, asked without CEL: for replays over many requests.

Only what cannot come to an error and means in Python exactly what it means in CEL: facts and
parameters compared with literals or each other, membership, size, plain words looked for in a
text, and `&&`, `||`, `!` between them. Everything else is left to CEL, and so is every request
that is judged to be carried out.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.facts import declared
from policies.lexer import Token, tokens
from policies.looks import Looks, Question, searching

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ORDERED = (int, float)


class _NotPlain(Exception):
    """Something CEL has to be asked about."""


def plain_question(
    clause: str, names: Sequence[str], parameters: Mapping[str, int], looks: Looks
) -> Question | None:
    """The clause as a function of the facts' values in the order of `names`; None: ask CEL.

    What it looks at is added to `looks`.
    """
    reader = _Reader(list(tokens(clause)), {name: at for at, name in enumerate(names)}, parameters)
    try:
        question = reader.either()
        reader.end()
    except _NotPlain:
        return None
    looks.take_in(reader.looks)
    return question


@dataclass(frozen=True, slots=True)
class _Operand:
    """One side of a comparison: a value known now, or the place of a fact."""

    kind: type
    at: int = -1
    value: Any = None
    is_size: bool = False

    @property
    def is_fact(self) -> bool:
        return self.at >= 0


class _Reader:
    """Recursive descent over a clause's tokens, in CEL's own precedence."""

    def __init__(
        self, listed: list[Token], places: Mapping[str, int], parameters: Mapping[str, int]
    ) -> None:
        self._listed = listed
        self._places = places
        self._parameters = parameters
        self._at = 0
        self.looks = Looks()

    def either(self) -> Question:
        parts = [self._both()]
        while self._skip("|", "|"):
            parts.append(self._both())
        if len(parts) == 1:
            return parts[0]
        return lambda values: any(part(values) for part in parts)

    def end(self) -> None:
        if self._at != len(self._listed):
            raise _NotPlain

    def _both(self) -> Question:
        parts = [self._not()]
        while self._skip("&", "&"):
            parts.append(self._not())
        if len(parts) == 1:
            return parts[0]
        return lambda values: all(part(values) for part in parts)

    def _not(self) -> Question:
        if self._text() == "!" and self._text(1) != "=":
            self._at += 1
            inner = self._bracket_or_fact()
            return lambda values: not inner(values)
        return self._comparison()

    def _bracket_or_fact(self) -> Question:
        """What `!` binds to: a bracket, or one fact that is true or false."""
        if self._text() == "(" and self._is_mark():
            return self._bracket()
        operand = self._operand()
        if operand.kind is not bool or not operand.is_fact:
            raise _NotPlain
        return self._truth(operand)

    def _truth(self, operand: _Operand) -> Question:
        at = operand.at
        self.looks.whole.add(at)
        return lambda values: values[at] is True

    def _bracket(self) -> Question:
        self._expect("(")
        inner = self.either()
        self._expect(")")
        if self._sign(look=True) or self._text() in (".", "[", "in", "?"):
            raise _NotPlain
        return inner

    def _comparison(self) -> Question:
        if self._text() == "(" and self._is_mark():
            return self._bracket()
        left = self._operand()
        if self._skip("in"):
            return self._membership(left)
        if self._text() == "." and left.is_fact and left.kind is str:
            return self._search(left.at)
        sign = self._sign()
        if sign:
            return self._compared(left, sign, self._operand())
        if left.kind is not bool:
            raise _NotPlain
        if left.is_fact:
            return self._truth(left)
        value = left.value
        return lambda values: value

    def _search(self, at: int) -> Question:
        """A plain word looked for in a text."""
        self._expect(".")
        method = self._take().text
        self._expect("(")
        word = self._operand()
        self._expect(")")
        if word.is_fact or word.kind is not str:
            raise _NotPlain
        look_for = searching(method, word.value)
        if look_for is None:
            raise _NotPlain
        self.looks.searches.append(lambda values: look_for(values[at]))
        return self.looks.searches[-1]

    def _membership(self, left: _Operand) -> Question:
        if self._text() == "[" and self._is_mark():
            listed = self._literals()
            if not left.is_fact or left.kind is not str or left.is_size:
                raise _NotPlain
            if any(item.kind is not str for item in listed):
                raise _NotPlain
            at, known = left.at, frozenset(item.value for item in listed)
            self.looks.texts.setdefault(at, set()).update(known)
            return lambda values: values[at] in known
        right = self._operand()
        if left.is_fact or left.kind is not str or right.kind is not tuple or right.is_size:
            raise _NotPlain
        place, value = right.at, left.value
        self.looks.whole.add(place)
        return lambda values: value in values[place]

    def _compared(self, left: _Operand, sign: str, right: _Operand) -> Question:
        """One comparison of values of one type; texts and truth values have no order here."""
        if left.kind is not right.kind or left.kind is tuple:
            raise _NotPlain
        if left.kind not in _ORDERED and sign not in ("==", "!="):
            raise _NotPlain
        if not left.is_fact:
            left, sign, right = right, _MIRRORED[sign], left
        if not left.is_fact:
            raise _NotPlain
        holds, at = _COMPARISONS[sign], left.at
        if right.is_fact:
            other = right.at
            if left.is_size or right.is_size or left.kind not in _ORDERED:
                raise _NotPlain
            self.looks.pairs.add((at, other))
            return lambda values: holds(values[at], values[other])
        value = right.value
        if left.is_size:
            self.looks.whole.add(at)
            return lambda values: holds(len(values[at]), value)
        if left.kind in _ORDERED:
            self.looks.numbers.setdefault(at, set()).add(value)
        elif left.kind is str:
            self.looks.texts.setdefault(at, set()).add(value)
        else:
            self.looks.whole.add(at)
        return lambda values: holds(values[at], value)

    def _literals(self) -> list[_Operand]:
        self._expect("[")
        found = [self._operand()]
        while self._skip(","):
            found.append(self._operand())
        self._expect("]")
        if any(item.is_fact for item in found):
            raise _NotPlain
        return found

    def _operand(self) -> _Operand:
        token = self._take()
        if token.kind == "mark" and token.text == "-":
            number = self._take()
            if number.kind != "number":
                raise _NotPlain
            return _number(f"-{number.text}")
        if token.kind == "number":
            return _number(token.text)
        if token.kind == "text":
            return _Operand(str, value=_unquoted(token.text))
        if token.kind == "name":
            return self._named(token)
        raise _NotPlain

    def _named(self, token: Token) -> _Operand:
        if token.text in ("true", "false"):
            return _Operand(bool, value=token.text == "true")
        if token.text == "size":
            self._expect("(")
            inner = self._operand()
            self._expect(")")
            if not inner.is_fact or inner.kind not in (tuple, str) or inner.is_size:
                raise _NotPlain
            return _Operand(int, at=inner.at, is_size=True)
        self._expect(".")
        name = self._take()
        if self._text() in ("[", "(") or (self._text() == "." and self._text(2) != "("):
            raise _NotPlain
        full = f"{token.text}.{name.text}"
        if token.text == "param" and name.text in self._parameters:
            return _Operand(int, value=self._parameters[name.text])
        if full not in self._places:
            raise _NotPlain
        return _Operand(declared()[full].kind, at=self._places[full])

    def _sign(self, *, look: bool = False) -> str:
        """The comparison sign here, taken unless only looked for; empty when there is none."""
        first = self._text() if self._is_mark() else ""
        double = first + (self._text(1) if first in ("=", "!", "<", ">") else "")
        sign = double if double in _COMPARISONS and len(double) == 2 else ""
        sign = sign or (first if first in ("<", ">") else "")
        if not look:
            self._at += len(sign)
        return sign

    def _is_mark(self) -> bool:
        return self._at < len(self._listed) and self._listed[self._at].kind == "mark"

    def _text(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._listed[at].text if at < len(self._listed) else ""

    def _skip(self, *texts: str) -> bool:
        if all(self._text(ahead) == text for ahead, text in enumerate(texts)):
            self._at += len(texts)
            return True
        return False

    def _take(self) -> Token:
        if self._at >= len(self._listed):
            raise _NotPlain
        self._at += 1
        return self._listed[self._at - 1]

    def _expect(self, text: str) -> None:
        if self._take().text != text:
            raise _NotPlain


def _number(text: str) -> _Operand:
    if "." in text:
        return _Operand(float, value=float(text))
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise _NotPlain
    return _Operand(int, value=value)


def _unquoted(text: str) -> str:
    """A text without escapes and prefixes; the rest is CEL's to read."""
    if text[0] not in "\"'" or text.startswith(('"""', "'''")) or "\\" in text:
        raise _NotPlain
    return text[1:-1]
