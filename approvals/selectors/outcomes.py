"""What each state is to an agent that waits, and when it may ask again."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from approvals.choices import ENDED_WITHOUT_EFFECT, INCIDENTS, OPEN, State


class Outcome(StrEnum):
    """What a request has come to, in the five words a waiting machine needs."""

    OPEN = "open"
    """Not done yet."""
    NEEDS_AGENT = "needs_agent"
    """A reviewer asks the agent, or it is the agent's to carry out."""
    DONE = "done"
    REFUSED = "refused"
    """Ended, and nothing was done."""
    UNCLEAR = "unclear"
    """Nobody knows yet what happened; never to be repeated."""


OUTCOME_OF: dict[State, Outcome] = {
    **dict.fromkeys(OPEN, Outcome.OPEN),
    **dict.fromkeys(ENDED_WITHOUT_EFFECT, Outcome.REFUSED),
    **dict.fromkeys(INCIDENTS, Outcome.UNCLEAR),
    **dict.fromkeys((State.VERIFIED, State.AUDITED, State.COMPENSATED), Outcome.DONE),
    State.CHANGES_REQUESTED: Outcome.NEEDS_AGENT,
}
"""What each state is to whoever waits; of `resolved` the person who found out says it."""

POLL_AFTER = (
    (timedelta(seconds=10), 2),
    (timedelta(minutes=10), 15),
    (timedelta(hours=1), 60),
)
"""Until how long after its last change a request is asked for again in how many seconds."""
POLL_AT_LAST = 300  # seconds


def poll_after(quiet_for: timedelta) -> int:
    """In how many seconds to ask again for a request that has not changed for that long."""
    return next((seconds for until, seconds in POLL_AFTER if quiet_for < until), POLL_AT_LAST)
