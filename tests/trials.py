"""How often what is random is tried, and how long what breaks things goes on: one setting.

Every count in the tests is CI's, where TRIALS is 200. With TRIALS=20 a tenth of each is run.
With fewer than CI's, tests about rows alone run on one of `make test`'s two stacks, not on both.
"""

from __future__ import annotations

import os

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
FULL = 200
TRIALS = int(os.environ.get("TRIALS") or (FULL if IN_CI else 10))


def trials(full: int = FULL, *, least: int = 1) -> int:
    """So many of CI's `full`, rounded up; `least` is what the test needs to mean anything."""
    return max(min(least, full), -(-full * TRIALS // FULL))
