"""Triggers as a document writes them."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from audit.lib.yaml_reader import Reader
from policies import patterns
from policies.parsing.matrix import refuse_twice
from policies.parsing.rules import Vocabulary, read_name, read_pattern
from policies.triggers import (
    LONGEST_WINDOW,
    MOST,
    MOST_CASES,
    Consequence,
    Per,
    Trigger,
    Watch,
    misfit,
)

_E = TypeVar("_E", bound=StrEnum)


def read_triggers(reader: Reader, words: Vocabulary) -> tuple[Trigger, ...]:
    found = reader.each(lambda item: _trigger(item, words), at_most=50)
    refuse_twice((trigger.id for trigger in found), reader, "trigger id")
    return found


def _trigger(reader: Reader, words: Vocabulary) -> Trigger:
    keys = reader.fields(
        required=("id", "owner", "reason", "watch", "per", "at_least", "within", "then"),
        optional=("on",),
    )
    watch = keys.read("watch", lambda item: _one_of(Watch, item), Watch.ERRORS)
    per = keys.read("per", lambda item: _one_of(Per, item), Per.AGENT)
    then = keys.read("then", lambda item: _one_of(Consequence, item), Consequence.PAUSE)
    most = MOST if watch is Watch.COST else MOST_CASES
    if problem := misfit(watch, per, then):
        reader.problem(problem)
    return Trigger(
        id=keys.read("id", read_name, ""),
        owner=keys.read("owner", read_name, ""),
        reason=keys.read("reason", words.reason, ""),
        watch=watch,
        per=per,
        at_least=keys.read("at_least", lambda item: item.whole(low=1, high=most), 1),
        within=keys.read("within", _window, timedelta(hours=1)),
        then=then,
        on=keys.read(
            "on",
            lambda item: item.each(read_pattern, empty="needs an action type; leave it out."),
            (patterns.EVERY,),
        ),
    )


def _window(reader: Reader) -> timedelta:
    found = reader.duration()
    if found > LONGEST_WINDOW:
        reader.problem(f"is at most {LONGEST_WINDOW.days}d.")
    return found


def _one_of(known: type[_E], reader: Reader) -> _E:
    words = [item.value for item in known]
    found = reader.one_of(words, what=f"one of {', '.join(words)}")
    return known(found or words[0])
