"""What a misspelt name was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def suggestion(name: str, known: Sequence[str]) -> str:
    """ " Did you mean ...?" for the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""
