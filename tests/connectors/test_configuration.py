"""What is set for a system either can be used, or is named with the reason why not."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from config.checks import unusable_connections
from connectors.addresses import variable_of
from connectors.configuration import is_configured, unusable_values

SOUND = {
    "payments": {"base_url": "https://payments.acme.net", "api_key": "sk_live_x"},
    "email": {
        "url": "smtp+starttls://user:hunter2@mail.acme.net",
        "sender": "service@acme.net",
        "archive_url": "https://archive.acme.net:8443/mail",
    },
    "records": {"url": "postgresql://crm.acme.net/crm"},
}


def changed(system: str, name: str, value: str) -> dict[str, dict[str, str]]:
    return {**SOUND, system: {**SOUND[system], name: value}}


def test_sound_values_and_systems_left_out_are_not_named() -> None:
    assert list(unusable_values(SOUND)) == []
    assert list(unusable_values({"records": {"url": ""}, "payments": {}})) == []


@pytest.mark.parametrize(
    ("system", "name", "value", "reason"),
    [
        ("payments", "base_url", "payments.acme.net", "must begin with http:// or https://"),
        ("payments", "base_url", "ftp://payments.acme.net", "must begin with http://"),
        ("payments", "base_url", "https://", "names no host"),
        ("payments", "base_url", "https://payments.acme.net:99999", "Port out of range"),
        ("payments", "base_url", "https://payments.acme.net:live", "is no address"),
        ("payments", "base_url", "https://[payments", "is no address"),
        ("payments", "base_url", " https://payments.acme.net", "has spaces"),
        ("payments", "base_url", "https://payments.acme.net\n", "has spaces or control"),
        ("payments", "api_key", "", "is empty although the system's address is set"),
        ("email", "url", "submission://user:hunter2@mail.acme.net", "smtp+starttls://"),
        ("email", "archive_url", "", "is empty"),
        ("email", "archive_url", "smtp://archive.acme.net", "must begin with http://"),
        ("email", "sender", "", "is empty"),
        ("records", "url", "the CRM", "is no database address"),
        ("records", "url", "postgresql://crm.acme.net:port/crm", "is no database address"),
        ("records", "url", "dbase://crm.acme.net/crm", "is no database address"),
        ("records", "url", "mysql+cymysql://crm.acme.net/crm", "driver that is not installed"),
    ],
)
def test_a_value_no_connector_could_use_is_named(
    settings: Settings, system: str, name: str, value: str, reason: str
) -> None:
    settings.CONNECTORS = changed(system, name, value)

    (found,) = unusable_values(settings.CONNECTORS)
    (error,) = unusable_connections()

    assert (found.system, found.name) == (system, name)
    assert reason in found.reason
    assert error.msg.startswith(variable_of(system, name))
    assert "hunter2" not in error.msg


@pytest.mark.parametrize(
    ("system", "name", "variable"),
    [
        ("payments", "base_url", "PAYMENTS_URL"),
        ("payments", "api_key", "PAYMENTS_API_KEY"),
        ("email", "url", "SMTP_URL"),
        ("email", "archive_url", "MAIL_ARCHIVE_URL"),
        ("records", "url", "RECORDS_URL"),
        ("logistics", "token", "LOGISTICS_TOKEN"),
    ],
)
def test_the_sentence_names_the_variable_to_change(system: str, name: str, variable: str) -> None:
    assert variable_of(system, name) == variable


@pytest.mark.parametrize(
    ("connectors", "configured"),
    [
        (SOUND, True),
        (changed("email", "archive_url", ""), False),
        ({"email": {}}, False),
        ({}, False),
    ],
)
def test_a_system_is_there_when_all_its_addresses_are(
    settings: Settings, connectors: dict[str, dict[str, str]], configured: bool
) -> None:
    settings.CONNECTORS = connectors

    assert is_configured("email") is configured
