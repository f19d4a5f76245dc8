"""Which connection is called, circuits that open and close, budgets of calls."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from django.db.models import F
from pytest_django.fixtures import Settings

from audit.lib import db_clock
from connectors.base import Action, Connector, ConnectorError, OutcomeUnknown
from connectors.circuit import (
    FAILURES,
    LONGEST_REST,
    OPEN_FOR,
    GaveUpWaiting,
    let_rest,
    run_apart,
    watched,
    why_not_now,
)
from connectors.connections import (
    Route,
    forget_connections,
    route_of,
    routes_in_force,
    state_of,
)
from connectors.models import Connection, ConnectionState
from connectors.probes import probe, probe_all
from connectors.registry import action_type, connector_for
from connectors.sandbox.server import Sandbox
from tests.hanging import hanging_system

SECRET = "sk_live_never_shown"
ACTION = Action("refund.issue", {})
DOWN = ConnectorError("payments could not be read.", permanent=False, code="unreadable")
LOST = OutcomeUnknown("no answer")


# --- Which connection ----------------------------------------------------------------------------


def a_row(name: str = "payments-eu", **fields: Any) -> Connection:
    values: dict[str, Any] = {
        "system": "payments", "values": {"base_url": "http://127.0.0.1:9"}, "owner": "ada",
        "credential_source": "environment", "credential_name": "CREDENTIAL_EU", **fields,
    }  # fmt: skip
    row = Connection.objects.create(name=name, **values)
    forget_connections()
    return row


def route(name: str = "payments-eu") -> Route:
    return next(found for found in routes_in_force() if found.name == name)


@pytest.mark.django_db
def test_the_password_of_a_database_is_put_in_its_place_and_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CREDENTIAL_EU", "p@ss/word")
    a_row("crm-b", system="records", values={"url": "postgresql://app@db:5432/crm"})

    found = route("crm-b")

    assert found.config == {"url": "postgresql://app:p%40ss%2Fword@db:5432/crm"}
    assert found.address == "postgresql://app@db:5432/crm"
    assert "word" not in repr(found)


@pytest.mark.django_db
def test_a_password_in_the_environments_address_is_not_shown(settings: Settings) -> None:
    settings.CONNECTORS = {"records": {"url": "postgresql://app:hunter2@db/crm?sslkey=x"}}

    found = route("records")

    assert found.address == "postgresql://app@db/crm"
    assert found.config["url"] == "postgresql://app:hunter2@db/crm?sslkey=x"
    assert "hunter2" not in repr(found)


@pytest.mark.django_db
def test_without_its_credential_nothing_is_sent_and_it_is_tried_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CREDENTIAL_EU", raising=False)
    a_row()
    connector = connector_for(action_type("refund.issue"), "payments-eu@")

    with pytest.raises(ConnectorError, match="CREDENTIAL_EU holds no credential") as refused:
        connector.preview(ACTION)

    assert (refused.value.permanent, refused.value.code) == (False, "no_credential")
    assert state_of("payments-eu") is None  # it says nothing against the system


@pytest.mark.django_db
def test_a_removed_connection_is_found_by_what_was_done_through_it_only() -> None:
    a_row(removed_at=db_clock.now())

    assert "payments-eu" not in [found.name for found in routes_in_force()]
    assert route_of("refund.issue", "payments", "payments-eu@0123") is not None
    assert route_of("crm.update", "records", "payments-eu@0123") is None


# --- Circuits ------------------------------------------------------------------------------------


class _Target:
    """A connector that answers as it is told."""

    system = "payments"

    def __init__(self) -> None:
        self.calls = 0
        self.trouble: Exception | None = None

    def preview(self, action: Action) -> str:
        self.calls += 1
        if self.trouble:
            raise self.trouble
        return "an answer"


def calling(target: _Target, limit: int | None = None) -> Callable[[], object]:
    own = Route(
        "payments-eu", "payments", {"base_url": "http://127.0.0.1:9"}, {}, calls_per_minute=limit
    )
    connector = watched(cast(Connector, target), own)
    return lambda: connector.preview(ACTION)


def tried(call: Callable[[], object], times: int = 1) -> list[str]:
    """What became of each call: the code of its refusal, or that it was made."""
    found = []
    for _ in range(times):
        try:
            call()
            found.append("answered")
        except ConnectorError as error:
            found.append(error.code)
        except OutcomeUnknown:
            found.append("unknown")
    return found


def circuit() -> str:
    forget_connections()
    return ConnectionState.objects.get(name="payments-eu").circuit


@pytest.mark.django_db
@pytest.mark.parametrize("trouble", [DOWN, LOST], ids=["unreadable", "lost answers"])
def test_repeated_failures_open_the_circuit_and_nothing_is_sent(trouble: Exception) -> None:
    target = _Target()
    target.trouble = trouble
    call = calling(target)

    tried(call, FAILURES)
    after = tried(call, 3)

    assert after == ["circuit_open"] * 3
    assert target.calls == FAILURES
    assert circuit() == "open"


@pytest.mark.django_db
def test_a_good_probe_closes_it_and_a_bad_one_leaves_it_open(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIAL_EU", "x")
    a_row()
    target = _Target()
    target.trouble = DOWN
    call = calling(target)
    tried(call, FAILURES)

    assert "does not answer" in probe(route())
    assert circuit() == "open"
    up_again = {"base_url": sandbox.addresses["payments"]}
    assert probe(Route("payments-eu", "payments", up_again, {})) == ""

    state = ConnectionState.objects.get(name="payments-eu")
    assert (state.circuit, state.failures, state.problem) == ("closed", 0, "")
    assert state.probed_at is not None
    target.trouble = None
    assert tried(call) == ["answered"]


@pytest.mark.django_db
def test_where_nobody_probes_one_call_is_let_through_after_a_while() -> None:
    target = _Target()
    target.trouble = DOWN
    call = calling(target)
    tried(call, FAILURES)
    ConnectionState.objects.update(opened_at=F("opened_at") - OPEN_FOR)
    forget_connections()

    assert tried(call, 3) == ["unreadable", "circuit_open", "circuit_open"]
    ConnectionState.objects.update(opened_at=F("opened_at") - OPEN_FOR)
    forget_connections()
    target.trouble = None
    assert tried(call, 2) == ["answered", "answered"]
    assert circuit() == "closed"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "answer",
    [
        ConnectorError("no such charge", permanent=True, code="http_404"),
        ConnectorError("busy", permanent=False, code="http_429"),
        ConnectorError("busy", permanent=False, retry_after=timedelta(seconds=9)),
        GaveUpWaiting("too slow"),
    ],
    ids=["a refusal", "429", "busy until", "nobody waited"],
)
def test_what_is_an_answer_is_no_failure(answer: Exception) -> None:
    target = _Target()
    target.trouble = answer
    call = calling(target)

    assert "circuit_open" not in tried(call, 2 * FAILURES)


@pytest.mark.django_db
def test_an_answer_in_between_begins_the_row_anew() -> None:
    target = _Target()
    call = calling(target)
    for _ in range(3):
        target.trouble = DOWN
        tried(call, FAILURES - 1)
        target.trouble = None
        tried(call)

    assert circuit() == "closed"


@pytest.mark.django_db
def test_failures_of_all_processes_count_together() -> None:
    target = _Target()
    target.trouble = DOWN
    call = calling(target)
    tried(call, FAILURES - 1)
    ConnectionState.objects.update(failures=F("failures") + 1)  # another process's
    tried(call)

    assert circuit() == "open"


@pytest.mark.django_db
def test_a_call_made_in_another_thread_is_counted_by_who_waits_for_it() -> None:
    target = _Target()
    target.trouble = DOWN
    own = Route("payments-eu", "payments", {"base_url": "http://127.0.0.1:9"}, {})
    ran: list[object] = []

    def run(function: Callable[..., Any], *args: object) -> Any:
        ran.append(function)
        return function(*args)

    connector = run_apart(watched(cast(Connector, target), own), run)
    tried(lambda: connector.preview(ACTION))

    assert len(ran) == 1
    assert ConnectionState.objects.get().failures == 1


# --- Asked to wait -------------------------------------------------------------------------------


def asked_to_wait(seconds: float) -> ConnectorError:
    wait = timedelta(seconds=seconds)
    return ConnectorError("busy", permanent=False, code="http_429", retry_after=wait)


def resting() -> timedelta:
    """How long the connection is left alone, from now."""
    until = ConnectionState.objects.get(name="payments-eu").busy_until
    assert until is not None
    return until - db_clock.now()


@pytest.mark.django_db
def test_a_system_that_asked_one_call_to_wait_is_called_by_nobody_before() -> None:
    target = _Target()
    target.trouble = asked_to_wait(90)
    other = calling(target)

    assert tried(calling(target)) == ["http_429"]
    target.trouble = None

    assert tried(other, 2) == ["at_rest", "at_rest"]
    assert target.calls == 1
    own = Route("payments-eu", "payments", {"base_url": "http://127.0.0.1:9"}, {})
    assert why_not_now(own).startswith("payments-eu asked to be left alone until ")
    ConnectionState.objects.update(busy_until=db_clock.now())
    forget_connections()
    assert tried(other) == ["answered"]


@pytest.mark.django_db
def test_a_shorter_wait_ends_no_longer_one_and_none_is_endless() -> None:
    let_rest("payments-eu", timedelta(days=30))
    assert resting() <= LONGEST_REST

    let_rest("payments-eu", timedelta(seconds=1))

    assert resting() > LONGEST_REST - timedelta(minutes=1)


# --- Budgets -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_spent_budget_sends_nothing_until_the_next_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    minute = db_clock.now().replace(second=0, microsecond=0)
    monkeypatch.setattr("connectors.circuit._this_minute", lambda: minute)  # it ends under no test
    target = _Target()
    call = calling(target, limit=2)

    assert tried(call, 4) == ["answered", "answered", "budget_spent", "budget_spent"]

    assert target.calls == 2
    ConnectionState.objects.update(minute=F("minute") - timedelta(minutes=1))
    assert tried(call) == ["answered"]


@pytest.mark.django_db
def test_without_a_budget_no_statement_is_spent_on_counting(
    django_assert_num_queries: Any,
) -> None:
    call = calling(_Target())
    call()

    with django_assert_num_queries(0):
        tried(call, 20)


@pytest.mark.django_db
def test_why_nothing_is_sent_is_said_before_it_is_tried() -> None:
    target = _Target()
    own = Route(
        "payments-eu", "payments", {"base_url": "http://127.0.0.1:9"}, {}, calls_per_minute=1
    )
    assert why_not_now(own) == ""

    tried(calling(target, limit=1), 2)
    forget_connections()

    assert "The budget of payments-eu for this minute is spent" in why_not_now(own)


# --- Probes --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_every_connection_is_probed_at_once_and_those_without_an_answer_are_named(
    sandbox: Sandbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=1)
    monkeypatch.setenv("CREDENTIAL_EU", SECRET)
    with hanging_system() as hanging:
        a_row(values={"base_url": hanging.address})
        a_row("payments-us", credential_name="CREDENTIAL_NOWHERE")

        silent = [found.name for found in probe_all()]

    assert silent == ["payments-eu", "payments-us"]
    problems = dict(ConnectionState.objects.values_list("name", "problem"))
    assert problems["payments"] == ""
    assert "CREDENTIAL_NOWHERE holds no credential" in problems["payments-us"]
    assert SECRET not in str(problems)
