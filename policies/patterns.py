"""How policy and limits name kinds of action: one type, a family of types, or all of them."""

from __future__ import annotations

import re

EVERY = "*"
_PATTERN = re.compile(r"\A(\*|[a-z][a-z0-9_]*\.(\*|[a-z][a-z0-9_]*))\Z", re.ASCII)


def is_pattern(text: str) -> bool:
    """True for "refund.issue", "refund.*" and "*"."""
    return bool(_PATTERN.match(text))


def applies(pattern: str, action_type: str) -> bool:
    """Whether the pattern covers the action type."""
    if pattern == EVERY:
        return True
    if pattern.endswith(".*"):
        return action_type.startswith(pattern[:-1])
    return pattern == action_type


def specificity(pattern: str) -> int:
    """Larger for narrower patterns: the narrowest one that applies wins."""
    if pattern == EVERY:
        return 0
    return 1 if pattern.endswith(".*") else 2
