"""A pause after too many wrong passwords for one account, wherever they are typed.

Counted by the name typed, known or not, so that nothing tells which accounts exist. Signing in,
proving again who one is, and changing one's own password share the count: none of them is a way
around the others' pause.
"""

from __future__ import annotations

from django.core.cache import cache

from audit.canonical import digest

MOST_FAILURES = 10
PAUSE_SECONDS = 300
SENTENCE = "Too many wrong passwords. Wait five minutes and try again."


def is_paused(username: str) -> bool:
    """Whether this name has had too many wrong passwords lately."""
    return bool(cache.get(_key(username), 0) >= MOST_FAILURES)


def count_failure(username: str) -> None:
    """One more wrong password for this name; the pause begins again with each."""
    key = _key(username)
    if cache.add(key, 1, PAUSE_SECONDS):
        return
    cache.set(key, cache.get(key, 0) + 1, PAUSE_SECONDS)


def forget_failures(username: str) -> None:
    """The right one starts the count again."""
    cache.delete(_key(username))


def _key(username: str) -> str:
    return f"sign-in:{digest(username.strip().casefold())}"
