"""A document's parameters as a small form: money typed as money, the YAML behind it follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.conf import settings

from audit.lib.money import Money, MoneyError
from policies.document import Document
from policies.exceptions import PolicyError
from policies.parsing.parser import parse_document
from policies.parsing.yaml_source import DocumentError
from policies.static_analysis.amounts import amount_words, money_parameters

_TYPED, _WAS = "parameter-", "parameter-was-"
_BLOCK = "parameters:"


@dataclass(frozen=True, slots=True)
class ParameterField:
    """One parameter as it is typed: "250.00" with its unit, or a plain number."""

    name: str
    value: str
    unit: str  # the base currency, or ""
    about: str  # what the document's own comment says

    @property
    def label(self) -> str:
        return self.name.replace("_", " ").capitalize()


def parameter_fields(text: str) -> tuple[ParameterField, ...]:
    """A field for each parameter of a document that can be read; none for any other text."""
    try:
        document = parse_document(text)
    except DocumentError:
        return ()
    money, comments = money_parameters(document), _comments(text)
    return tuple(
        ParameterField(
            name=name,
            value=_spelled(value, is_money=name in money),
            unit=settings.BASE_CURRENCY if name in money else "",
            about=comments.get(name, ""),
        )
        for name, value in document.parameters
    )


def parameters_in_words(document: Document) -> Iterator[tuple[str, str]]:
    """Each parameter's name and value: "250.00 EUR", "24"."""
    money = money_parameters(document)
    for name, value in document.parameters:
        yield name, amount_words(value) if name in money else f"{value:,}"


def with_typed(text: str, posted: Mapping[str, str]) -> str:
    """The text with the numbers that were changed in the form; the rest stays as it was typed.

    Raises PolicyError bad_parameter for what is no amount or no number.
    """
    changed = {
        name.removeprefix(_TYPED): value
        for name, value in posted.items()
        if name.startswith(_TYPED)
        and not name.startswith(_WAS)
        and value.strip() != posted.get(_WAS + name.removeprefix(_TYPED), value).strip()
    }
    if not changed:
        return text
    try:
        document: Document | None = parse_document(text)
    except DocumentError:
        return text  # what is wrong with it is said where it is saved
    numbers = {
        name: _number(name, value, is_money=name in money_parameters(document))
        for name, value in changed.items()
        if document and name in dict(document.parameters)
    }
    lines = text.split("\n")
    for place, name in _lines_of_parameters(lines):
        if name in numbers:
            lines[place] = _replaced(lines[place], numbers[name])
    return "\n".join(lines)


def _number(name: str, typed: str, *, is_money: bool) -> int:
    try:
        if is_money:
            return Money.typed(typed, settings.BASE_CURRENCY).minor
        return int(typed.replace(",", "").strip())
    except (MoneyError, ValueError) as error:
        label = name.replace("_", " ").capitalize()
        example = "an amount such as 250.00" if is_money else "a whole number"
        raise PolicyError("bad_parameter", f"{label}: write {example}.") from error


def _spelled(value: int, *, is_money: bool) -> str:
    return Money(value, settings.BASE_CURRENCY).decimal if is_money else str(value)


def _lines_of_parameters(lines: list[str]) -> Iterator[tuple[int, str]]:
    """The place of each parameter's line, and its name, in the block the document begins with."""
    start = next((n for n, line in enumerate(lines) if line.rstrip() == _BLOCK), None)
    if start is None:
        return
    for place in range(start + 1, len(lines)):
        line = lines[place]
        if line.strip() and not line.startswith((" ", "#")):
            return
        name, colon, _ = line.partition(":")
        if colon and not name.strip().startswith("#"):
            yield place, name.strip()


def _comments(text: str) -> dict[str, str]:
    lines = text.split("\n")
    return {
        name: lines[place].partition("#")[2].strip() for place, name in _lines_of_parameters(lines)
    }


def _replaced(line: str, number: int) -> str:
    name, _, rest = line.partition(":")
    _, mark, comment = rest.partition("#")
    return f"{name}: {number}{f' #{comment}' if mark else ''}"
