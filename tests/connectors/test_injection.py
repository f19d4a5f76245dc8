"""The second wall: what the schemas refuse is refused again where the wire is written."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.adapters.email.client import SmtpClient, message_id_for
from connectors.base import Action, ConnectorError
from connectors.declared.expressions import Language, NoValue, Values
from connectors.http import redact
from connectors.registry import action_type, connector_for
from connectors.sandbox.server import Sandbox
from tests.connectors.make import CONFIG, EMAIL, GRANT, params_of


def path_of(value: Any) -> str:
    language = Language({"id": {"type": "string"}}, ["id"])
    return language.template("/things/{params.id}", ["params"]).path(Values({"id": value}))


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("a/b", "/things/a%2Fb"),
        ("../admin", "/things/..%2Fadmin"),
        ("a?b=c#d", "/things/a%3Fb%3Dc%23d"),
        ("a%2fb", "/things/a%252fb"),
        ("a\r\nX: y", "/things/a%0D%0AX%3A%20y"),
        ("ä", "/things/%C3%A4"),
        ("//evil.example", "/things/%2F%2Fevil.example"),
        ("a@b:c", "/things/a%40b%3Ac"),
    ],
)
def test_a_value_stays_one_segment_of_the_path(value: str, path: str) -> None:
    assert path_of(value) == path


@pytest.mark.parametrize("value", ["", ".", "..", "a\x00", None, 7, ["a"]])
def test_what_cannot_be_a_segment_is_refused(value: object) -> None:
    with pytest.raises(NoValue):
        path_of(value)


@pytest.mark.parametrize("value", ["..", "checkout/../search", "../../services/search"])
def test_another_path_is_never_reached(sandbox: Sandbox, value: str) -> None:
    action = Action("config.change", params_of(CONFIG, service=value))

    with pytest.raises(ConnectorError) as refusal:
        CONFIG.connector.execute(action, idempotency_key="key-1")

    assert refusal.value.permanent
    assert sandbox.effects("all") == []


def test_a_scim_filter_cannot_be_widened(sandbox: Sandbox) -> None:
    action = Action("access.revoke", {"user": 'x" or "1" eq "1', "group": GRANT.params["group"]})

    with pytest.raises(ConnectorError):
        connector_for(action_type("access.revoke")).execute(action, idempotency_key="key-1")

    assert sandbox.effects("all") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", "Hello\r\nBcc: all@mail.example"),
        ("subject", "Hello\nBcc: all@mail.example"),
        ("to", "a@mail.example\r\nBcc: all@mail.example"),
        ("to", "a@mail.example>\r\nRCPT TO:<b@mail.example"),
    ],
)
def test_a_header_cannot_be_injected_even_past_the_schema(
    sandbox: Sandbox, name: str, value: str
) -> None:
    with pytest.raises(ConnectorError) as refusal:
        EMAIL.connector.execute(
            Action("email.send", params_of(EMAIL, **{name: value})), idempotency_key="key-1"
        )

    assert refusal.value.permanent
    assert sandbox.effects("email") == []


def test_a_body_cannot_end_the_message_early(sandbox: Sandbox) -> None:
    body = "before\n.\nMAIL FROM:<x@y.example>\n..\nafter"
    action = Action("email.send", params_of(EMAIL, body=body))

    receipt = EMAIL.connector.execute(action, idempotency_key="key-1")

    assert EMAIL.connector.verify(action, receipt).observed["body"] == body


def test_the_message_id_is_the_keys_and_tells_nothing_of_it() -> None:
    first = message_id_for("key-1", "service@retailer.example")

    assert first == message_id_for("key-1", "service@retailer.example")
    assert first != message_id_for("key-2", "service@retailer.example")
    assert "key-1" not in first
    assert first.endswith("@retailer.example>")


def test_credentials_never_reach_an_error() -> None:
    said = redact("bad token abc123\r\nfor abc123", "abc123", "")

    assert said == "bad token [redacted] for [redacted]"
    assert len(redact("x" * 5000)) == 300


def test_a_mail_password_may_hold_any_character() -> None:
    client = SmtpClient("smtps://user%40corp:p%40ss%3A%2F@mail.example", "a@corp.example")

    assert (client._user, client._password) == ("user@corp", "p@ss:/")
    assert (client._host, client._port) == ("mail.example", 465)
