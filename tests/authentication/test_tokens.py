"""Tokens: got before they are needed, shown while they last, and renewed once for a 401."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest
from django.db import connection
from pytest_django.fixtures import Settings
from werkzeug.wrappers import Response

from audit.lib import db_clock
from connectors import registry
from connectors.authentication.encryption import decrypt, encrypt
from connectors.base import Action, Connector, ConnectorError
from connectors.models import CircuitState, ConnectionState, ConnectionToken
from connectors.registry import action_type, connector_for
from tests.authentication.conftest import Start
from tests.authentication.double import SCHEMES, SECRET, credential

pytestmark = pytest.mark.django_db

NOTE = Action("ticket.note", {"ticket": "T-1", "text": "Called back."})


def connector() -> Connector:
    return connector_for(action_type(NOTE.type))


def another_process() -> None:
    """What a process has in memory is gone; what the database has is not."""
    registry._built.cache_clear()


def write(key: str = "k" * 64) -> str:
    return connector().execute(NOTE, idempotency_key=key).reference


@pytest.mark.parametrize("kind", [kind for kind in SCHEMES if kind != "code"])
def test_every_scheme_gets_a_token_its_service_takes(start: Start, kind: str) -> None:
    helpdesk = start(kind)

    assert write()
    assert (len(helpdesk.asked), helpdesk.writes) == (1, 1)


def test_a_token_serves_every_call_and_every_process_until_it_ends(start: Start) -> None:
    helpdesk = start("body")
    write("a" * 64)
    connector().preview(NOTE)
    another_process()
    write("b" * 64)
    assert len(helpdesk.asked) == 1

    ConnectionToken.objects.update(expires_at=db_clock.now() + timedelta(seconds=59))
    another_process()
    write("c" * 64)

    assert (len(helpdesk.asked), helpdesk.writes) == (2, 3)


@pytest.mark.parametrize("lives", ["3600", 3600])
def test_a_lifetime_may_be_written_as_text(start: Start, lives: object) -> None:
    helpdesk = start("body")
    helpdesk.lives = lives

    assert write()


@pytest.mark.parametrize("lives", [None, 0, -5, True, "soon", 1.5])
def test_an_answer_without_a_lifetime_is_no_token(start: Start, lives: object) -> None:
    helpdesk = start("body")
    helpdesk.lives = lives

    with pytest.raises(ConnectorError, match="gave no bearer token"):
        write()
    assert helpdesk.writes == 0


def test_a_card_may_say_how_long_tokens_last(start: Start) -> None:
    helpdesk = start("RS256")
    helpdesk.lives = None

    assert write()


def test_a_token_refused_by_a_write_is_renewed_once_and_one_write_arrives(start: Start) -> None:
    helpdesk = start("body")
    write("a" * 64)
    helpdesk.revoke()

    write("b" * 64)

    assert (len(helpdesk.asked), helpdesk.writes, len(helpdesk.applied)) == (2, 2, 2)


def test_a_second_401_is_a_refusal_and_nothing_was_done(start: Start) -> None:
    helpdesk = start("body")
    helpdesk.takes_no_token = True

    action = Action("ticket.announce", {"text": "Lamps are late."})
    with pytest.raises(ConnectorError) as refused:
        # its read before the write is refused, as the write would be
        connector().execute(action, idempotency_key="k")

    assert refused.value.permanent
    assert (len(helpdesk.asked), helpdesk.writes, helpdesk.applied) == (2, 0, [])


def test_what_another_process_renewed_is_not_renewed_again(start: Start) -> None:
    helpdesk = start("body")
    write("a" * 64)
    old = connector()
    helpdesk.revoke()
    another_process()
    write("b" * 64)

    old.execute(NOTE, idempotency_key="c" * 64)

    assert len(helpdesk.asked) == 2


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (Response("<html>", status=503), "its token service is not well"),
        (Response("<html>", status=200), "does not answer"),
        (Response('{"error": "invalid_client"}', status=401), "invalid_client.*check its cred"),
        (Response('{"error": "so secret"}', status=400), r"\(status 400\)"),
        (Response("", status=302, headers={"Location": "http://127.0.0.1:1/"}), "status 302"),
        (Response('{"access_token": "t", "token_type": "mac", "expires_in": 9}'), "no bearer"),
        (Response('{"access_token": "a\\nb", "token_type": "bearer", "expires_in": 9}'), "no bear"),
        (Response('["access_token"]'), "does not answer"),
    ],
)  # fmt: skip
def test_a_token_service_that_fails_is_said_to_people_and_sends_nothing(
    start: Start, fails: Response, says: str
) -> None:
    helpdesk = start("body")
    helpdesk.fails = fails

    with pytest.raises(ConnectorError, match=says) as refused:
        write()

    assert not refused.value.permanent
    assert str(refused.value).endswith("Nothing was sent.")
    assert (len(helpdesk.asked), helpdesk.writes) == (1, 0)


def test_a_slow_token_service_is_given_up_and_never_an_unknown_outcome(
    start: Start, settings: Settings
) -> None:
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=0.4)
    helpdesk = start("body")
    helpdesk.slow = 2

    with pytest.raises(ConnectorError, match="does not answer") as refused:
        write()

    assert (refused.value.permanent, helpdesk.writes) == (False, 0)


def test_failures_of_a_token_service_open_the_circuit(start: Start) -> None:
    helpdesk = start("body")
    helpdesk.fails = Response("", status=503)
    for _ in range(5):
        with pytest.raises(ConnectorError):
            write()

    assert ConnectionState.objects.get(name="helpdesk").circuit == CircuitState.OPEN
    with pytest.raises(ConnectorError, match="left alone for now"):
        write()
    assert len(helpdesk.asked) == 5


@pytest.mark.parametrize(
    "wrong",
    ["", "hunter2", "[]", '{"client_id": "a"}', '{"client_id": "a", "client_secret": 1}',
     '{"client_id": "a", "client_secret": "b", "password": "c"}'],
)  # fmt: skip
def test_a_credential_that_is_none_is_told_without_repeating_it(
    start: Start, settings: Settings, wrong: str
) -> None:
    helpdesk = start("body")
    here = {"base_url": helpdesk.url, "token": wrong}
    settings.CONNECTORS = {**settings.CONNECTORS, "helpdesk": here}

    with pytest.raises(ConnectorError, match="JSON object with client_id, client_secret") as no:
        write()

    assert not wrong or wrong not in str(no.value)
    assert helpdesk.asked == []


def test_a_private_key_of_another_kind_is_told_without_repeating_it(
    start: Start, settings: Settings
) -> None:
    helpdesk = start("PS256")
    here = {"base_url": helpdesk.url, "token": credential("ES256")}
    found = json.loads(here["token"])
    del found["subject"]
    here["token"] = json.dumps(found)
    settings.CONNECTORS = {**settings.CONNECTORS, "helpdesk": here}

    with pytest.raises(ConnectorError, match="no PS256 key") as refused:
        write()

    assert "BEGIN" not in str(refused.value)


def test_a_changed_credential_or_address_never_meets_an_old_token(
    start: Start, settings: Settings
) -> None:
    helpdesk = start("body")
    write("a" * 64)
    other = json.dumps({"client_id": "client-4712", "client_secret": SECRET})
    here = {"base_url": helpdesk.url, "token": other}
    settings.CONNECTORS = {**settings.CONNECTORS, "helpdesk": here}

    with pytest.raises(ConnectorError, match="invalid_client"):
        write("b" * 64)

    assert helpdesk.writes == 1


def test_without_a_key_no_token_is_got(start: Start, settings: Settings) -> None:
    helpdesk = start("body")
    settings.CREDENTIALS_KEY = ""

    with pytest.raises(ConnectorError, match="Set CREDENTIALS_KEY"):
        write()

    assert helpdesk.asked == []


def test_a_key_can_be_changed(settings: Settings) -> None:
    settings.CREDENTIALS_KEY = "one key of a test, long enough to be one"
    kept = encrypt("token")
    settings.CREDENTIALS_RETIRED_KEYS = [settings.CREDENTIALS_KEY]
    settings.CREDENTIALS_KEY = "another key of a test, as long as it takes"

    assert decrypt(kept) == "token"


def test_no_token_is_in_a_log_a_row_or_an_error(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    helpdesk = start("body")
    write("a" * 64)
    helpdesk.takes_no_token = True  # its refusal repeats what it was shown
    with pytest.raises(ConnectorError) as refused:
        write("b" * 64)

    rows = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            rows += [str(row) for row in cursor.fetchall()]
    everywhere = "\n".join([*rows, caplog.text, str(refused.value), repr(connector().inner.login)])
    assert len(helpdesk.given) == 2
    for secret in (*helpdesk.given, SECRET):
        assert secret not in everywhere
