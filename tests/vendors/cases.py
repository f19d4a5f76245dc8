"""What the contract suite needs to know of one operation beyond its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.base import Receipt

Behind = Callable[[Any, Receipt | None], None]
"""Changes a double as if somebody else had; the receipt is that of the write, once there is one."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One operation; its params are the file's `example`."""

    operation: str
    shows: str
    """What a reviewer must be able to read: a name, where the params have an id."""
    tampered: Behind
    """Somebody takes the effect back or changes it."""
    moved: Behind | None = None
    """Somebody changes the target between the approval and the call; for guarded writes."""
    prepared: Callable[[Any], None] = lambda double: None
    """Lay out what the example builds on."""
    survives: Callable[[Any, Receipt], Callable[[], bool]] | None = None
    """Edits a named thing meanwhile, and tells whether the edit is still there."""
    is_undone_exactly: bool = True
    """After the undo the preview's `before` is what it was."""
    other_params: Mapping[str, Any] = field(default_factory=dict)
    """Params that differ, for another body under the same key."""
