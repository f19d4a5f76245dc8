"""Triggers: what is watched, and what is done at once when too much of it happens.

They are part of the policy document, so two people publish them and every change is compared with
the version before. Their numbers are thresholds over a window; what is counted is worked out
elsewhere. A trigger only ever takes away: it pauses, sends what would run by itself to people, or
demotes. Whatever it did stays until a person ends it, whatever version is published since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from policies import patterns


class Watch(StrEnum):
    """What is counted, or added up."""

    ERRORS = "errors"
    FAILED_VERIFICATIONS = "failed verifications"
    COMPLAINTS = "complaints"
    COST = "cost"
    CHANGED_FORMAT = "changed format"


class Per(StrEnum):
    """Of what it is counted, and what the consequence is for."""

    AGENT = "agent"
    ACTION_TYPE = "action type"
    CONNECTION = "connection"


class Consequence(StrEnum):
    """What is done at once."""

    MANUAL = "manual"
    DEMOTE = "demote"
    PAUSE = "pause"


SENDS_TO_PEOPLE = (Consequence.MANUAL, Consequence.DEMOTE)
"""Nothing of it runs by itself until a person ends it."""
LONGEST_WINDOW = timedelta(days=31)
"""So far back is counted; further back no trigger looks."""
MOST = 10**15
"""The highest threshold, in minor units of the base currency or in cases."""
MOST_CASES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """So much of it, of one agent, action type or connection, within so long: then this is done.

    `at_least` is a number of cases, for `cost` minor units of the base currency.
    """

    id: str
    owner: str
    reason: str
    watch: Watch
    per: Per
    at_least: int
    within: timedelta
    then: Consequence
    on: tuple[str, ...] = (patterns.EVERY,)

    def counts(self, action_type: str) -> bool:
        """Whether what happened to such an action counts."""
        return any(patterns.applies(pattern, action_type) for pattern in self.on)


def misfit(watch: Watch, per: Per, then: Consequence) -> str:
    """Why these do not go together, in a sentence; empty when they do."""
    if watch is Watch.CHANGED_FORMAT and per is Per.AGENT:
        return "a changed format is a connection's or an action type's, and no agent's."
    if then is Consequence.DEMOTE and per is Per.CONNECTION:
        return "an agent or an action type is demoted; a connection is paused or goes to people."
    return ""


def said_by(trigger: Trigger) -> str:
    """ "pause at 5 errors per connection within 1 hour", for whoever compares two."""
    on = "" if trigger.on == (patterns.EVERY,) else f" of {', '.join(trigger.on)}"
    much = f"{trigger.at_least:,} {trigger.watch}"
    return f"{trigger.then} at {much}{on} per {trigger.per} within {spelled(trigger.within)}"


def spelled(window: timedelta) -> str:
    """ "1 hour", "2 days", "90 minutes"."""
    minutes = int(window.total_seconds() // 60)
    for size, word in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes % size == 0:
            number = minutes // size
            return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
    raise AssertionError("every number is divisible by one")


def is_weaker(was: Trigger, is_now: Trigger) -> bool:
    """Whether it fires later, for less, or does less than before."""
    watches = (was.watch, was.per) == (is_now.watch, is_now.per)
    narrower = not set(was.on) <= set(is_now.on) and patterns.EVERY not in is_now.on
    return (
        not watches
        or is_now.at_least > was.at_least
        or is_now.within < was.within
        or _HARDNESS[is_now.then] < _HARDNESS[was.then]
        or narrower
    )


_HARDNESS = {consequence: rank for rank, consequence in enumerate(Consequence)}
