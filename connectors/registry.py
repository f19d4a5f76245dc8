"""Which action types there are, and which connector carries each out. Unknown names raise."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import cast

from django.conf import settings

from audit.lib.canonical import canonical
from connectors.authentication.login import login_of
from connectors.base import Connector, ReadsApart, UnconfiguredConnector
from connectors.catalogue import ActionType
from connectors.circuit import watched
from connectors.connections import Route, route_of
from connectors.declared.connector import DeclaredConnector
from connectors.declared.file import Card
from connectors.loading import Registered, load
from connectors.system import System


class UnknownActionType(LookupError):
    """Nobody registered an action type of that key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no action type {key[:100]!r}.")
        self.key = key


class UnknownConnector(LookupError):
    """No connector is registered for that system."""

    def __init__(self, system: str) -> None:
        super().__init__(f"No connector is registered for the system {system[:100]!r}.")
        self.system = system


def action_types() -> tuple[ActionType, ...]:
    """Every registered action type, whether or not this installation has its system."""
    return tuple(_registered().types.values())


def action_type(key: str) -> ActionType:
    """The action type of that key; raises UnknownActionType."""
    try:
        return _registered().types[key]
    except KeyError:
        raise UnknownActionType(key) from None


def offered_action_type(key: str) -> ActionType:
    """The action type of that key, if it can be carried out here; raises UnknownActionType.

    A system that is not configured offers none.
    """
    kind = action_type(key)
    if not is_offered(kind):
        raise UnknownActionType(key)
    return kind


def is_offered(kind: ActionType) -> bool:
    """Whether it can be carried out here: there is a connection, or the agent does it itself."""
    return kind.by_agent or route_of(kind.key, kind.system) is not None


def is_by_agent(key: str) -> bool:
    """Whether the agent carries out actions of that type itself; no where it is unknown by now."""
    kind = _registered().types.get(key)
    return kind is not None and kind.by_agent


def is_by_word(key: str) -> bool:
    """Whether only somebody's word says that an action of that type failed."""
    kind = _registered().types.get(key)
    return kind is not None and kind.by_word


def is_read_back(key: str) -> bool:
    """Whether effects of that type are read back; yes where it is unknown by now."""
    kind = _registered().types.get(key)
    return kind is None or kind.is_read_back


def connector_for(action_type: ActionType, connection: str = "") -> Connector:
    """The connector that carries out this type, through the connection it is bound to now.

    `connection` is the reference of another one: what was begun through it is read there. One that
    refuses everything for a system that is not configured. Raises UnknownConnector when nobody
    registered one for the system.
    """
    if action_type.system not in _registered().systems:
        raise UnknownConnector(action_type.system)
    if action_type.by_agent:
        return _registered().systems[action_type.system].build({})
    route = route_of(action_type.key, action_type.system, connection)
    if route is None:
        return UnconfiguredConnector(action_type.system)
    return connector_at(route)


def connector_at(route: Route) -> Connector:
    """The connector to that connection, whatever goes through it."""
    config = {**settings.CONNECTORS, route.system: route.config}
    return _built(route, canonical(config))


@lru_cache(maxsize=64)
def _built(route: Route, config: str) -> Connector:
    # The configuration is the cache's key, so a changed one never meets an old connector.
    values = json.loads(config)
    system = _registered().systems[route.system]
    connector = system.build(values)
    has_tokens = system.card is not None and system.card.authentication.scheme.has_tokens
    if has_tokens and system.card is not None and isinstance(connector, DeclaredConnector):
        connector.use(login_of(system.card, route))
    elif reads_apart(route):
        reader = system.build({**values, route.system: route.read_config})
        connector = cast(Connector, ReadsApart(connector, reader))
    return watched(connector, route)


def reads_apart(route: Route) -> bool:
    """Whether what only reads shows a credential of its own."""
    card = card_of(route.system)
    return bool(route.read_secrets) and not (card and card.authentication.scheme.has_tokens)


def card_of(system: str) -> Card | None:
    """What the file of that system says of it; None where there is none."""
    return next((one.card for one in systems() if one.name == system), None)


def systems() -> tuple[System, ...]:
    """Every registered system, whether or not this installation has it."""
    return tuple(_registered().systems.values())


def _registered() -> Registered:
    return load(settings.SYSTEMS_PATH, settings.SYSTEMS)
