"""Reading a system's file: every mistake with its line, its column and its remedy."""

from __future__ import annotations

from audit.lib.yaml_reader import Fields, Reader
from audit.lib.yaml_source import Problem, YamlError, compose
from connectors.declared.card import read_answers, read_card
from connectors.declared.file import Answers, Operation, SystemFile
from connectors.declared.operation import read_operation
from connectors.declared.reading import plain


def parse(text: str, name: str) -> SystemFile:
    """The system that the file `name`.yaml describes; raises YamlError with every problem."""
    problems: list[Problem] = []
    reader = Reader(compose(text), "", problems)
    card = read_card(reader, name)
    keys = Fields(reader.entries())
    answers = keys.read("answers", read_answers, Answers())
    # what every operation's meaning rests on, beside its own words
    shared = {
        section: plain(keys[section].node)
        for section in ("authentication", "headers", "key", "answers")
        if section in keys
    }

    def operations(found: Reader) -> tuple[Operation, ...]:
        entries = found.entries()
        return tuple(read_operation(key, item, card, shared) for key, item in entries.items())

    if "operations" not in keys:
        reader.problem("'operations' is missing; add it.")
    found = keys.read("operations", operations, ())
    if problems:
        raise YamlError(tuple(sorted(problems, key=lambda one: (one.line, one.column))))
    return SystemFile(card, answers, found)
