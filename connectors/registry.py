"""Which action types exist, and which connector carries each out. Unknown names raise."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

from django.conf import settings

from audit.lib.canonical import canonical
from connectors.adapters import changes, directory, logistics
from connectors.adapters.email import actions as email
from connectors.adapters.email.connector import EmailConnector, Recipient
from connectors.adapters.json_http import HttpConnector, HttpSystem
from connectors.adapters.payments import actions as payments
from connectors.adapters.payments.connector import PaymentsConnector
from connectors.adapters.records import actions as records
from connectors.adapters.records.client import RecordsClient
from connectors.adapters.records.connector import RecordsConnector, customer_facts, customer_record
from connectors.base import Connector, UnconfiguredConnector
from connectors.catalogue import ActionType
from connectors.systems import is_configured

_Config = Mapping[str, str]
_Builder = Callable[[Mapping[str, _Config]], Connector]

_ACTION_TYPES: tuple[ActionType, ...] = (
    *payments.ACTION_TYPES,
    *email.ACTION_TYPES,
    *records.ACTION_TYPES,
    *directory.ACTION_TYPES,
    *changes.ACTION_TYPES,
    *logistics.ACTION_TYPES,
)
_BY_KEY: Mapping[str, ActionType] = MappingProxyType({item.key: item for item in _ACTION_TYPES})


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
    return _ACTION_TYPES


def action_type(key: str) -> ActionType:
    """The action type of that key; raises UnknownActionType."""
    try:
        return _BY_KEY[key]
    except KeyError:
        raise UnknownActionType(key) from None


def offered_action_type(key: str) -> ActionType:
    """The action type of that key, if it can be carried out here; raises UnknownActionType.

    A system that is not configured offers none.
    """
    kind = action_type(key)
    if not is_configured(kind.system):
        raise UnknownActionType(key)
    return kind


def connector_for(action_type: ActionType) -> Connector:
    """The connector that carries out this type, built from `settings.CONNECTORS`.

    One that refuses everything for a system that is not configured. Raises UnknownConnector
    when nobody registered one for the system.
    """
    if action_type.system not in _BUILDERS:
        raise UnknownConnector(action_type.system)
    if not is_configured(action_type.system):
        return UnconfiguredConnector(action_type.system)
    return _built(action_type.system, canonical(settings.CONNECTORS))


@lru_cache(maxsize=64)
def _built(system: str, config: str) -> Connector:
    # The configuration is the cache's key, so a changed one never meets an old connector.
    return _BUILDERS[system](json.loads(config))


def _payments(config: Mapping[str, _Config]) -> Connector:
    return PaymentsConnector(config["payments"]["base_url"], config["payments"]["api_key"])


def _email(config: Mapping[str, _Config]) -> Connector:
    mail, customers = config["email"], config.get("records", {}).get("url")

    def find_recipient(address: str) -> Recipient | None:
        if not customers:
            return None
        account = RecordsClient(customers).account_by_email(address)
        return Recipient(customer_record(account), customer_facts(account)) if account else None

    return EmailConnector(mail["url"], mail["sender"], mail["archive_url"], find_recipient)


def _records(config: Mapping[str, _Config]) -> Connector:
    return RecordsConnector(config["records"]["url"])


def _json_http(spoken: HttpSystem) -> _Builder:
    def build(config: Mapping[str, _Config]) -> Connector:
        values = config[spoken.system]
        return HttpConnector(spoken, values["base_url"], values["token"])

    return build


_BUILDERS: Mapping[str, _Builder] = MappingProxyType(
    {
        "payments": _payments,
        "email": _email,
        "records": _records,
        **{s.system: _json_http(s) for s in (directory.SYSTEM, changes.SYSTEM, logistics.SYSTEM)},
    }
)
