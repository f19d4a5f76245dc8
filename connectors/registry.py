"""Which action types exist, and which connector carries each out. Unknown names raise."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

from django.conf import settings

from audit.canonical import canonical
from connectors.adapters.payments import actions as payments
from connectors.adapters.payments.connector import PaymentsConnector
from connectors.base import Connector
from connectors.catalogue import ActionType

_Config = Mapping[str, str]

_ACTION_TYPES: tuple[ActionType, ...] = (*payments.ACTION_TYPES,)
_BY_KEY: Mapping[str, ActionType] = MappingProxyType({item.key: item for item in _ACTION_TYPES})


class UnknownActionType(LookupError):
    """Nobody registered an action type of that key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no action type {key[:100]!r}.")
        self.key = key


class UnknownConnector(LookupError):
    """No connector is registered or configured for that system."""

    def __init__(self, system: str) -> None:
        super().__init__(f"No connector is configured for the system {system[:100]!r}.")
        self.system = system


def action_types() -> tuple[ActionType, ...]:
    """Every registered action type."""
    return _ACTION_TYPES


def action_type(key: str) -> ActionType:
    """The action type of that key; raises UnknownActionType."""
    try:
        return _BY_KEY[key]
    except KeyError:
        raise UnknownActionType(key) from None


def connector_for(action_type: ActionType) -> Connector:
    """The connector that carries out this type, built from `settings.CONNECTORS`.

    Raises UnknownConnector when the system has no connector or no configuration.
    """
    if action_type.system not in _BUILDERS or action_type.system not in settings.CONNECTORS:
        raise UnknownConnector(action_type.system)
    return _built(action_type.system, canonical(settings.CONNECTORS))


@lru_cache(maxsize=64)
def _built(system: str, config: str) -> Connector:
    # The configuration is the cache's key, so a changed one never meets an old connector.
    return _BUILDERS[system](json.loads(config))


def _payments(config: Mapping[str, _Config]) -> Connector:
    return PaymentsConnector(config["payments"]["base_url"], config["payments"]["api_key"])


_BUILDERS: Mapping[str, Callable[[Mapping[str, _Config]], Connector]] = MappingProxyType(
    {"payments": _payments}
)
