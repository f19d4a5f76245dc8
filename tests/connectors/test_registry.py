"""Unknown names raise, and what is registered hangs together."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema_rs
import pytest
from pytest_django.fixtures import Settings

from audit.lib.canonical import canonical
from connectors.base import Action, ConnectorError, Receipt
from connectors.catalogue import ActionType
from connectors.registry import (
    UnknownActionType,
    UnknownConnector,
    action_type,
    action_types,
    connector_for,
    offered_action_type,
)

every = pytest.mark.parametrize("kind", action_types(), ids=lambda kind: kind.key)


@pytest.mark.parametrize("key", ["", "refund", "Refund.issue", "refund.issue ", "__class__"])
def test_an_unknown_action_type_raises(key: str) -> None:
    with pytest.raises(UnknownActionType):
        action_type(key)


def test_a_system_nobody_registered_a_connector_for_raises() -> None:
    with pytest.raises(UnknownConnector):
        connector_for(replace(action_type("refund.issue"), system="warehouse"))


@pytest.mark.parametrize("connectors", [{}, {"payments": {"base_url": "", "api_key": "sk"}}])
def test_a_system_that_is_not_configured_offers_nothing_and_refuses_every_call(
    settings: Settings, connectors: dict[str, dict[str, str]]
) -> None:
    settings.CONNECTORS = connectors
    action = Action("refund.issue", {})
    connector = connector_for(action_type("refund.issue"))
    receipt = Receipt("re_1", "A refund.")

    with pytest.raises(UnknownActionType):
        offered_action_type("refund.issue")
    for call in (
        lambda: connector.preview(action),
        lambda: connector.execute(action, idempotency_key="key-1"),
        lambda: connector.look_up(action, idempotency_key="key-1"),
        lambda: connector.verify(action, receipt),
        lambda: connector.compensate(action, receipt),
    ):
        with pytest.raises(ConnectorError) as refused:
            call()
        assert (refused.value.permanent, refused.value.code) == (True, "not_configured")


def test_keys_are_unique() -> None:
    keys = [kind.key for kind in action_types()]

    assert len(keys) == len(set(keys))


def test_changed_settings_give_another_connector_and_equal_ones_the_same(
    settings: Settings,
) -> None:
    kind = action_type("config.change")
    settings.CONNECTORS = {"changes": {"base_url": "http://127.0.0.1:1", "token": "a"}}
    first = connector_for(kind)
    assert connector_for(kind) is first

    settings.CONNECTORS = {"changes": {"base_url": "http://127.0.0.1:2", "token": "a"}}

    assert connector_for(kind) is not first


@every
def test_an_undo_type_is_registered_on_the_same_system(kind: ActionType) -> None:
    if kind.undo_type:
        assert action_type(kind.undo_type).system == kind.system


@every
def test_protected_params_are_params(kind: ActionType) -> None:
    properties = kind.schema["properties"]

    assert isinstance(properties, dict)
    assert kind.protected <= set(properties)


@every
def test_a_schema_is_closed_and_bounds_every_string(kind: ActionType) -> None:
    schema = json.loads(canonical(kind.schema))
    jsonschema_rs.meta.validate(schema)

    objects, strings = [schema], []
    while objects:
        current = objects.pop()
        assert current["additionalProperties"] is False
        for value in current["properties"].values():
            assert value["description"]
            if value["type"] == "object":
                objects.append(value)
            elif value["type"] == "string":
                strings.append(value)
    for value in strings:
        assert "enum" in value or value["maxLength"] <= 20_000
        assert "enum" in value or (value["pattern"][0], value["pattern"][-1]) == ("^", "$")
