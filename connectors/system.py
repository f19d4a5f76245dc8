"""A system: what can be done there, and what talks to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.base import Connector
from connectors.catalogue import ActionType
from connectors.declared.file import Card

Settings = Mapping[str, Mapping[str, str]]
"""The values of every configured system, by its name: addresses and credentials."""


@dataclass(frozen=True, slots=True)
class System:
    """One kind of outside system; installed packages bring theirs as the product does.

    `build` gets the values of every configured system and answers with a connector for this one.
    """

    name: str
    title: str
    action_types: tuple[ActionType, ...]
    build: Callable[[Settings], Connector]
    card: Card | None = None
    """What its file says of it; None for a system whose protocol is Python."""
