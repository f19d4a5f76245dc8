"""Who left a request to others, and why: colleagues see it, its agent does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from approvals.choices import DecisionVerdict
from approvals.inspection import reveal
from approvals.models import Decision
from approvals.selectors.viewer_permissions import name_of


@dataclass(frozen=True, slots=True)
class Abstention:
    """One person who does not count for a request any more."""

    by: str
    reason: str
    at: datetime


def abstentions_in(said: Iterable[Decision]) -> tuple[Abstention, ...]:
    """Those among what people said, in order."""
    return tuple(
        Abstention(name_of(one.decider), reveal(one.comment), one.created_at)
        for one in said
        if one.verdict == DecisionVerdict.ABSTAIN
    )


def told_to_agents(said: Iterable[Decision]) -> tuple[Decision, ...]:
    """What people said about a request without who abstained: that is between colleagues."""
    return tuple(one for one in said if one.verdict != DecisionVerdict.ABSTAIN)
