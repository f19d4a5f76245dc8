"""What a connector says when the other side refuses, or nobody is there."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from connectors.base import Action, ConnectorError
from connectors.params import validate_params
from connectors.registry import action_type, connector_for
from connectors.sandbox.server import Sandbox
from tests.connectors.make import EXAMPLES, Example, effects_of

every = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.key)


@every
def test_a_refused_connection_means_nothing_was_sent(
    sandbox: Sandbox, settings: Settings, example: Example
) -> None:
    action = example.prepared()
    settings.CONNECTORS = _nobody_listens(settings.CONNECTORS)
    connector = connector_for(action_type(example.key))

    with pytest.raises(ConnectorError) as refusal:
        connector.execute(action, idempotency_key="key-1")

    assert not refusal.value.permanent
    assert effects_of(sandbox, example) == []


@every
def test_an_unreachable_target_cannot_be_looked_up_or_verified(
    sandbox: Sandbox, settings: Settings, example: Example
) -> None:
    action = example.prepared()
    receipt = example.connector.execute(action, idempotency_key="key-1")
    settings.CONNECTORS = _nobody_listens(settings.CONNECTORS)
    connector = connector_for(action_type(example.key))

    with pytest.raises(ConnectorError) as unread:
        connector.look_up(action, idempotency_key="key-1")
    assert not unread.value.permanent
    with pytest.raises(ConnectorError):
        connector.verify(action, receipt)


@pytest.mark.parametrize(
    ("key", "params"),
    [
        (
            "refund.issue",
            {"charge": "ch_9999", "amount": "1.00", "currency": "EUR", "reason": "x"},
        ),
        (
            "refund.issue",
            {"charge": "ch_1002", "amount": "99999.00", "currency": "EUR", "reason": "x"},
        ),
        (
            "refund.issue",
            {"charge": "ch_1002", "amount": "1.00", "currency": "USD", "reason": "x"},
        ),
        (
            "vendor.pay",
            {"vendor": "acct_5005", "amount": "1.00", "currency": "EUR", "invoice": "I-1"},
        ),
        (
            "vendor.pay",
            {"vendor": "acct_5001", "amount": "1.00", "currency": "USD", "invoice": "I-1"},
        ),
        ("email.send", {"to": "nobody@invalid.example", "subject": "s", "body": "b"}),
        ("crm.update", {"record": "acct_9999", "fields": {"stage": "won"}}),
        ("order.correct", {"order": "ord_9999", "fields": {"quantity": 1}}),
        ("crm.tag", {"record": "acct_9999", "tag": "vip"}),
        ("draft.reply", {"ticket": "tick_9999", "body": "b"}),
        (
            "access.grant",
            {"user": "former.employee", "group": "crm-editors", "until": "2026-12-31"},
        ),
        ("access.grant", {"user": "mia.keller", "group": "no-group", "until": "2026-12-31"}),
        ("config.change", {"service": "checkout", "key": "no_such_key", "value": "1"}),
        ("shipment.reroute", {"shipment": "shp_6001", "depot": "XXX-9", "reason": "r"}),
        ("robot.run", {"robot": "robot-3", "task": "pick", "zone": "A"}),
    ],
)
def test_a_definite_refusal_is_permanent_and_changes_nothing(
    sandbox: Sandbox, key: str, params: dict[str, Any]
) -> None:
    kind = action_type(key)
    assert validate_params(kind, params) == []

    with pytest.raises(ConnectorError) as refusal:
        connector_for(kind).execute(Action(key, params), idempotency_key="key-1")

    assert refusal.value.permanent
    assert sandbox.effects("all") == []


def test_a_refused_record_change_leaves_its_key_unused(sandbox: Sandbox) -> None:
    action = Action("crm.update", {"record": "acct_9999", "fields": {"stage": "won"}})
    connector = connector_for(action_type("crm.update"))
    with pytest.raises(ConnectorError):
        connector.execute(action, idempotency_key="key-1")

    assert connector.look_up(action, idempotency_key="key-1") is None


def _nobody_listens(config: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    with socket.socket() as probe:  # bound but not listening, then freed: connecting is refused
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    silent = {
        "base_url": f"http://{address}",
        "archive_url": f"http://{address}",
        "url": f"smtp://{address}",
    }
    changed = {
        system: {name: silent.get(name, value) for name, value in values.items()}
        for system, values in config.items()
    }
    changed["records"] = {"url": "sqlite:////nonexistent-directory/records.sqlite3"}
    return changed
