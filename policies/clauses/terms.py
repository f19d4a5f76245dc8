"""Clauses read as simple comparisons, where they are: what can be said about them without facts.

`action.amount > 0 && action.amount <= 25000` says which amounts it means; `a || b` does not. What
is not a conjunction of comparisons of one fact with a literal stays opaque: nothing is claimed
about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from policies.clauses.lexer import Token, tokens
from policies.clauses.spans import Literal, Region, Span, Term
from policies.facts import declared

_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
PARAMETER = "param"
_OPENING, _CLOSING = "([{", ")]}"


def region_of(clauses: Iterable[str], parameters: Mapping[str, int] | None = None) -> Region:
    """What the clauses mean together, with the document's parameters as the numbers they are."""
    spans: dict[str, Span] = {}
    opaque: set[str] = set()
    for clause in clauses:
        for part in _conjuncts(_resolved(list(tokens(clause)), parameters or {})):
            term = _term(part)
            if term is None:
                opaque.add(_spelled(part))
            else:
                spans[term.fact] = spans.get(term.fact, Span()).narrowed(term)
    spans = {fact: span for fact, span in spans.items() if span != Span()}
    return Region(spans, frozenset(opaque - {"true"}))


def literals_of(clause: str, fact: str) -> tuple[str, ...]:
    """Texts the clause compares the fact with, wherever in it that is."""
    listed = list(tokens(clause))
    found: list[str] = []
    for index in range(len(listed)):
        if _fact_at(listed, index) != fact:
            continue
        after, operator = _operator(listed, index + 3)
        if operator in ("==", "!="):
            found += _texts(listed[after : after + 1])
        elif operator == "in" and _is_mark(listed, after, "["):
            closing = next((i for i in range(after, len(listed)) if listed[i].text == "]"), after)
            found += _texts(listed[after:closing])
        found += _mirrored_text(listed, index)
    return tuple(found)


def _mirrored_text(listed: Sequence[Token], index: int) -> list[str]:
    """The text before a fact: `"x" == fact`, `"x" in fact`."""
    before = [token.text for token in listed[max(0, index - 2) : index]]
    if before[-1:] == ["in"]:
        return _texts(listed[index - 2 : index - 1])
    if before in (["=", "="], ["!", "="]):
        return _texts(listed[index - 3 : index - 2] if index >= 3 else [])
    return []


def _resolved(listed: list[Token], parameters: Mapping[str, int]) -> list[Token]:
    """The tokens with every known `param.name` replaced by its number."""
    result: list[Token] = []
    skip = 0
    for index, token in enumerate(listed):
        if skip:
            skip -= 1
            continue
        name = listed[index + 2].text if index + 2 < len(listed) else ""
        is_parameter = token.kind == "name" and token.text == PARAMETER
        if is_parameter and _is_mark(listed, index + 1, ".") and name in parameters:
            value = parameters[name]
            if value < 0:
                result.append(Token("mark", "-", token.at))
            result.append(Token("number", str(abs(value)), token.at))
            skip = 2
            continue
        result.append(token)
    return result


_DOUBLE = frozenset({"||", "&&", "==", "!=", ">=", "<="})


def _conjuncts(listed: list[Token]) -> list[list[Token]]:
    """The parts joined by && at the top; the whole when it is anything else than that."""
    listed = _unwrapped(listed)
    depth = 0
    cuts: list[int] = []
    for index, token in enumerate(listed):
        depth += (token.kind == "mark" and token.text in _OPENING) - (
            token.kind == "mark" and token.text in _CLOSING
        )
        if depth or token.kind != "mark":
            continue
        if token.text == "?" or (token.text == "|" and _is_mark(listed, index + 1, "|")):
            return [listed]
        if token.text == "&" and _is_mark(listed, index + 1, "&"):
            cuts.append(index)
    if not cuts:
        return [listed]
    parts = [
        listed[start:end]
        for start, end in zip([0, *(c + 2 for c in cuts)], [*cuts, len(listed)], strict=True)
    ]
    return [inner for part in parts for inner in _conjuncts(part)]


def _unwrapped(listed: list[Token]) -> list[Token]:
    """Without brackets around the whole."""
    while len(listed) > 2 and _is_mark(listed, 0, "(") and _closing(listed) == len(listed) - 1:
        listed = listed[1:-1]
    return listed


def _closing(listed: Sequence[Token]) -> int:
    """Where the bracket the tokens begin with is closed."""
    depth = 0
    for index in range(len(listed)):
        depth += _is_mark(listed, index, "(") - _is_mark(listed, index, ")")
        if depth == 0:
            return index
    return -1


def _term(listed: list[Token]) -> Term | None:
    """The comparison these tokens are; None when they are something else."""
    fact, rest = _leading_fact(listed)
    if fact and not rest:
        return Term(fact, "==", (True,)) if _kind(fact) is bool else None
    if _is_mark(listed, 0, "!") and not fact:
        negated, rest = _leading_fact(listed[1:])
        is_bool = negated and not rest and _kind(negated) is bool
        return Term(negated, "==", (False,)) if is_bool else None
    if fact:
        after, operator = _operator(rest, 0)
        if operator == "in":
            values = _list(rest[after:])
            return Term(fact, "in", values) if values is not None else None
        value = _literal(rest[after:])
        return Term(fact, operator, (value,)) if operator and value is not None else None
    for length in (1, 2):  # 5 < fact, -5 < fact
        value = _literal(listed[:length])
        after, operator = _operator(listed, length)
        fact, rest = _leading_fact(listed[after:])
        if value is not None and fact and not rest and operator in _MIRRORED:
            return Term(fact, _MIRRORED[operator], (value,))
    return None


def _leading_fact(listed: Sequence[Token]) -> tuple[str, Sequence[Token]]:
    """The fact, or the size of one, the tokens begin with, and the tokens after it."""
    fact = _fact_at(listed, 0)
    if fact:
        return fact, listed[3:]
    if len(listed) >= 6 and listed[0].text == "size" and _is_mark(listed, 1, "("):
        fact = _fact_at(listed, 2)
        if fact and _is_mark(listed, 5, ")"):
            return f"size({fact})", listed[6:]
    return "", listed


def _fact_at(listed: Sequence[Token], index: int) -> str:
    if index + 2 >= len(listed) or (index > 0 and listed[index - 1].text == "."):
        return ""
    name = "".join(token.text for token in listed[index : index + 3])
    follows = listed[index + 3].text if index + 3 < len(listed) else ""
    return name if name in declared() and follows not in (".", "[") else ""


def _operator(listed: Sequence[Token], index: int) -> tuple[int, str]:
    """The comparison at this place, and where it ends; an empty one where there is none."""
    texts = [token.text if token.kind == "mark" else "" for token in listed[index : index + 2]]
    double = "".join(texts)
    if double in _MIRRORED and len(double) == 2:
        return index + 2, double
    if texts[:1] in (["<"], [">"]):
        return index + 1, texts[0]
    if index < len(listed) and listed[index].text == "in" and listed[index].kind == "name":
        return index + 1, "in"
    return index, ""


def _list(listed: Sequence[Token]) -> tuple[Literal, ...] | None:
    if len(listed) < 3 or not _is_mark(listed, 0, "[") or listed[-1].text != "]":
        return None
    found = []
    inner = listed[1:-1]
    for position, token in enumerate(inner):
        if position % 2:
            if token.text != ",":
                return None
            continue
        value = _literal([token])
        if value is None:
            return None
        found.append(value)
    return tuple(found)


def _literal(listed: Sequence[Token]) -> Literal | None:
    if len(listed) == 2 and _is_mark(listed, 0, "-") and listed[1].kind == "number":
        value = _number(listed[1].text)
        return -value
    if len(listed) != 1:
        return None
    token = listed[0]
    if token.kind == "number":
        return _number(token.text)
    if token.kind == "text":
        texts = _texts(listed)
        return texts[0] if texts else None
    return {"true": True, "false": False}.get(token.text)


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _texts(listed: Sequence[Token]) -> list[str]:
    """The plain texts among the tokens; escapes and raw texts are left alone."""
    return [
        token.text[1:-1]
        for token in listed
        if token.kind == "text"
        and token.text[0] in "\"'"
        and not token.text.startswith(('"""', "'''"))
        and "\\" not in token.text
    ]


def _kind(fact: str) -> type:
    return int if fact.startswith("size(") else declared()[fact].kind


def _is_mark(listed: Sequence[Token], index: int, text: str) -> bool:
    return 0 <= index < len(listed) and listed[index].kind == "mark" and listed[index].text == text


def _spelled(listed: Iterable[Token]) -> str:
    """As people write it, whatever the blanks were: the same tokens are the same text."""
    text, before = "", None
    for token in listed:
        text += f"{_gap(before, token)}{token.text}"
        before = token
    return text


def _gap(before: Token | None, token: Token) -> str:
    if before is None:
        return ""
    if before.kind == token.kind == "mark" and before.text + token.text in _DOUBLE:
        return ""
    if token.kind == "mark" and token.text in ".,)]":
        return ""
    if before.kind == "mark" and before.text in ".([!":
        return ""
    is_call = before.kind == "name" and before.text != "in" and token.text == "("
    return "" if is_call and token.kind == "mark" else " "
