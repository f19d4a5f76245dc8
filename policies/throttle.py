"""Waiting after wrong passwords: longer each time, and only where they were typed.

Counted for the name typed *and* the place it was typed from, so that nobody can lock a colleague
out: from elsewhere the right password always gets in. The name counts known or not, so that
nothing tells which accounts exist. A place is an address, or `SIGNED_IN` for somebody who proves
again who they are.

An address that guesses many names is slowed as a whole, to one try a second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.core.cache import cache

from audit.lib.canonical import digest
from audit.lib.throttling import count

MOST_FAILURES = 5
"""Forgiven without waiting. After the next 5 seconds, then 10, 20, ... up to LONGEST_WAIT."""
FIRST_WAIT = 5
LONGEST_WAIT = 900
MOST_FROM_ONE_ADDRESS = 100
ADDRESS_PERIOD = 600  # seconds
ADDRESS_WAIT = 1
FORGOTTEN_AFTER = 24 * 3600  # seconds
TOLD_FOR = 30 * 24 * 3600  # seconds
SIGNED_IN = "signed in"


@dataclass(frozen=True, slots=True)
class Failures:
    """Wrong passwords for one name since its owner last signed in, wherever they were typed."""

    number: int
    since: datetime
    last_from: str


def begin_try(name: str, place: str) -> int:
    """Take one try at the password; 0, or for how many seconds this place must wait first.

    Counted before the password is looked at: many tries at once are no way around the wait. A
    refused one does not lengthen it.
    """
    if waiting := _left(_wait(name, place)):
        return waiting
    tries = count(_pair(name, place), seconds=FORGOTTEN_AFTER)
    if tries > MOST_FAILURES:
        # the one that gets this in may try; until then nobody else from there
        delay = wait_before(tries + 1)
        if not cache.add(_wait(name, place), time.time() + delay, delay):
            return _left(_wait(name, place)) or 1
    if place != SIGNED_IN and cache.get(_address(place), 0) >= MOST_FROM_ONE_ADDRESS:
        return 0 if cache.add(f"{_address(place)}:next", 1, ADDRESS_WAIT) else ADDRESS_WAIT
    return 0


def wait_before(tries: int) -> int:
    """Seconds between a try and the one before it, the first being 1."""
    doublings = tries - MOST_FAILURES - 2
    return min(FIRST_WAIT * 2 ** min(doublings, 20), LONGEST_WAIT) if doublings >= 0 else 0


def keep_failure(name: str, place: str) -> None:
    """It was wrong: the owner of the name is told when they sign in next."""
    if place != SIGNED_IN:
        count(_address(place), seconds=ADDRESS_PERIOD)
    number = count(_failed(name), seconds=TOLD_FOR)
    if number == 1:
        cache.set(f"{_failed(name)}:since", time.time(), TOLD_FOR)
    cache.set(f"{_failed(name)}:from", place, TOLD_FOR)


def forget(name: str, place: str) -> Failures | None:
    """It was right: this place starts again. What went wrong since the last time, for its owner."""
    cache.delete_many([_pair(name, place), _wait(name, place)])
    failed = _failed(name)
    number, since, last_from = (cache.get(failed + part) for part in ("", ":since", ":from"))
    if not number or since is None:
        return None
    cache.delete_many([failed, f"{failed}:since", f"{failed}:from"])
    return Failures(int(number), datetime.fromtimestamp(since, UTC), str(last_from or "unknown"))


def sentence(seconds: int) -> str:
    """What the page says to whoever has to wait."""
    if seconds < 90:
        long = "1 second" if seconds == 1 else f"{seconds} seconds"
    else:
        long = f"{-(-seconds // 60)} minutes"
    return f"Too many wrong passwords from here. Wait {long} and try again."


def _left(key: str) -> int:
    until = cache.get(key)
    return max(1, int(until - time.time()) + 1) if until else 0


def _name(name: str) -> str:
    return digest(name.strip().casefold())


def _pair(name: str, place: str) -> str:
    return f"sign-in:{_name(name)}:{digest(place)}"


def _wait(name: str, place: str) -> str:
    return f"{_pair(name, place)}:wait"


def _failed(name: str) -> str:
    return f"sign-in-failed:{_name(name)}"


def _address(place: str) -> str:
    return f"sign-in-from:{digest(place)}"
