"""What is computed in a system's file, read: an expression or a mistake with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import yaml

from audit.lib.yaml_reader import Fields, Reader
from connectors.declared.expressions import (
    ANSWER,
    Expression,
    ExpressionError,
    Kind,
    Language,
    NoValue,
    Template,
    Values,
)
from connectors.declared.file import AnswerRule, Meaning

_LONGEST_WORD = 40  # characters
_LONGEST = 4_000  # characters of one expression
PARAM_NAME = re.compile(r"\A[a-z][a-z0-9_]{0,59}\Z", re.ASCII)
ARGUMENT_NAME = re.compile(r"\A[A-Za-z_][A-Za-z0-9_]{0,59}\Z", re.ASCII)
"""What another server may have named an argument: a name in CEL, too."""
_ACTION_KEY = re.compile(r"\A[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\Z", re.ASCII)
_S = TypeVar("_S", bound=StrEnum)

IN_PARAMS = ("params",)
IN_READ = ("params", *ANSWER)
IN_PREVIEW = (*IN_READ, "records")
IN_WRITE = ("params", "key", "guard")
IN_WRITTEN = (*IN_READ, "key")
IN_UNDO = ("params", "previous", "reference")
"""What expressions may name: before a call, of an answer, of all a preview reads, in the
write, of its answer, later."""

NO_TEXT = Template(("",), ())


@dataclass(frozen=True, slots=True)
class Computed:
    """Reads what is computed, in the language of one operation."""

    language: Language

    def value(self, kind: Kind, sees: Collection[str], reader: Reader) -> Expression:
        """An expression; after a mistake it is null."""
        try:
            return self.language.expression(reader.text(at_most=_LONGEST), kind, sees)
        except ExpressionError as error:
            reader.problem_inside(str(error), line=error.line, column=error.column)
            return self.language.expression("null", Kind.ANY, ())

    def text(self, keys: Fields, name: str, sees: Collection[str]) -> Template:
        """Text with expressions in it; after a mistake it is empty."""
        return keys.read(name, lambda found: self.template(sees, found), NO_TEXT)

    def template(self, sees: Collection[str], reader: Reader) -> Template:
        try:
            return self.language.template(reader.text(at_most=_LONGEST), sees)
        except ExpressionError as error:
            reader.problem_inside(str(error), line=error.line, column=error.column)
            return NO_TEXT

    def path(self, keys: Fields, sees: Collection[str]) -> Template:
        found = self.text(keys, "path", sees)
        if "path" in keys and not keys["path"].text(at_most=_LONGEST).startswith("/"):
            keys["path"].problem("a path begins with '/', such as /tickets/{params.ticket}.")
        return found

    def answer_rules(self, reader: Reader) -> tuple[AnswerRule, ...]:
        return reader.each(self._answer_rule)

    def _answer_rule(self, reader: Reader) -> AnswerRule:
        keys = reader.fields(("when", "means"), ("retry_after",))
        when = self.needed(keys, "when", Kind.TRUTH, ANSWER)
        means = keys.read("means", one_of(Meaning), Meaning.UNKNOWN)
        after = self.read(keys, "retry_after", Kind.NUMBER, ANSWER)
        if after and means is not Meaning.BUSY:
            keys["retry_after"].problem("is for answers that mean 'busy'.")
        if when.kind is Kind.TRUTH:
            _ask_of_nothing(when, keys["when"])
        return AnswerRule(when, means, after)

    def read(self, keys: Fields, name: str, kind: Kind, sees: Collection[str]) -> Expression | None:
        return keys.read(name, lambda found: self.value(kind, sees, found), None)

    def needed(self, keys: Fields, name: str, kind: Kind, sees: Collection[str]) -> Expression:
        return self.read(keys, name, kind, sees) or self.nothing

    @property
    def nothing(self) -> Expression:
        return self.language.expression("null", Kind.ANY, ())


def _ask_of_nothing(when: Expression, reader: Reader) -> None:
    """A line of the table that fails on an empty answer would make every refusal unknown."""
    for status in (200, 400):
        try:
            when.of(Values({}, status=status, headers={}, body={}))
        except NoValue as error:
            reader.problem(f"fails on an answer without a body ({error}); ask has(...) && first.")
            return


def one_of(known: type[_S]) -> Callable[[Reader], _S]:
    """Reads one of the words; after a mistake it is the first of them."""
    words = [item.value for item in known]

    def read(reader: Reader) -> _S:
        found = reader.one_of(words, what=f"one of {', '.join(words)}")
        return known(found or words[0])

    return read


def word(reader: Reader) -> str:
    """A name of the kind files and programs share: lower-case letters, digits, underscores."""
    text = reader.text()
    if text and (len(text) > _LONGEST_WORD or not PARAM_NAME.match(text)):
        reader.problem(f"'{text}' is no name; write a lower-case word, such as source_record.")
    return text


def check_action_key(key: str, reader: Reader) -> None:
    """The key of an action type is `family.name`."""
    if len(key) > 60 or not _ACTION_KEY.match(key):
        reader.problem(f"'{key}' is no action type; write a family and a name: ticket.close.")


def texts(reader: Reader) -> tuple[str, ...]:
    return reader.each(Reader.text)


def plain(node: yaml.Node) -> Any:
    """The node as it was written, scalars as their text: what a file's digest is made of."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(item) for item in node.value]
    return node.value
