"""Every call to a connection is counted: an open breaker or a spent budget sends nothing.

A breaker opens after several failures in a row, in whatever process. A good probe closes it; where
nobody probes, the first call after a while is let through as one. A budget counts the calls of a
minute in the database. A system that asks one call to wait (Retry-After) is asked by nobody else
until then. All answer "not sent, try later", which loses no action.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from django.db import DatabaseError, connections, transaction
from django.db.models import Case, F, Q, Value, When

from audit.lib import db_clock
from audit.lib.dates import format_moment
from connectors.authentication.login import Login
from connectors.base import Connector, ConnectorError, OutcomeUnknown
from connectors.connections import Route, forget_connections, state_of
from connectors.http import UnreadableAnswer
from connectors.models import CircuitState, ConnectionState, UnexpectedAnswer

logger = logging.getLogger(__name__)

FAILURES = 5
"""So many failed calls in a row open the breaker."""

OPEN_FOR = timedelta(minutes=2)
"""How long it stays open where nobody probes; who watches the systems probes every minute."""

LONGEST_REST = timedelta(minutes=15)
"""A connection is left alone for at most so long on the word of one answer; the call that got it
waits as long as it was asked to."""

_CALLS = frozenset({"preview", "execute", "look_up", "verify"})
_NO_FAILURE = frozenset(
    {"http_425", "http_429", "circuit_open", "budget_spent", "no_credential", "at_rest"}
)
"""Codes of what may go away by itself and says nothing against the system."""

Runner = Callable[..., Any]
"""Makes a call somewhere else: `run(function, *args)` answers what the function answers."""


class GaveUpWaiting(OutcomeUnknown):
    """Whoever asked waits no longer; it says nothing about the target."""


def why_not_now(route: Route) -> str:
    """Why nothing would be sent through it now, in a sentence; empty when it would be."""
    if route.problem:
        return route.problem
    state = state_of(route.name)
    if state is None:
        return ""
    if _is_open(state):
        return (
            f"{route.name} is left alone for now: {state.failures} calls in a row failed. "
            "Nothing was sent; it is tried again later."
        )
    if until := rest_of(state):
        return _at_rest(route.name, until)
    if route.calls_per_minute is not None and _calls_now(state) >= route.calls_per_minute:
        return _spent(route)
    return ""


def watched(connector: Connector, route: Route) -> Connector:
    """The connector, each of whose calls to the outside is counted for its connection."""
    return cast(Connector, _WatchedConnector(connector, route))


def run_apart(connector: Connector, run: Runner) -> Connector:
    """The same connector, whose calls are made by `run`; counting them stays with the caller."""
    if isinstance(connector, _WatchedConnector):
        return cast(Connector, _WatchedConnector(connector.inner, connector.route, run))
    return connector


def reference_of(connector: Connector) -> str:
    """The reference of the connection it goes through; "" for a system that is not configured."""
    return connector.route.reference if isinstance(connector, _WatchedConnector) else ""


class _WatchedConnector:
    def __init__(self, inner: Connector, route: Route, run: Runner | None = None) -> None:
        self.inner, self.route = inner, route
        self._run = run

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name not in _CALLS:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(name, found, *args, **kwargs)

        return call

    def _call(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        _admit(self.route)
        login = getattr(self.inner, "login", None)
        if login is not None and not (self._run and login.is_ready()):
            function = _signed_in(login, function, is_apart=self._run is not None)
        try:
            answer = (
                self._run(function, *args, **kwargs) if self._run else function(*args, **kwargs)
            )
        except (ConnectorError, OutcomeUnknown) as error:
            if _speaks_against(error):
                count_failure(self.route.name)
            if isinstance(error, ConnectorError) and error.retry_after:
                let_rest(self.route.name, error.retry_after)
            if isinstance(error.__cause__, UnreadableAnswer):
                keep_unexpected(self.route.name, getattr(args[0], "type", ""), name)
            raise
        count_success(self.route.name)
        return answer


def _signed_in(login: Login, function: Callable[..., Any], *, is_apart: bool) -> Callable[..., Any]:
    """The same call, signed in first: getting a token is no part of a write's own time."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            login.sign_in()
            return function(*args, **kwargs)
        finally:
            if is_apart:  # a thread that is nobody's keeps no connection to the database
                connections.close_all()

    return call


def _speaks_against(error: ConnectorError | OutcomeUnknown) -> bool:
    """Whether the system was not there, or not well; a refusal is an answer like any other."""
    if isinstance(error, ConnectorError):
        is_busy = error.retry_after is not None or error.code in _NO_FAILURE
        return not error.permanent and not is_busy
    return not isinstance(error, GaveUpWaiting)


def _admit(route: Route) -> None:
    """Raises ConnectorError(permanent=False) when nothing may be sent now; counts the call else."""
    if route.problem:
        raise ConnectorError(
            f"{route.problem} Nothing was sent.", permanent=False, code="no_credential"
        )
    state = state_of(route.name)
    if state is not None and _is_open(state):
        raise ConnectorError(why_not_now(route), permanent=False, code="circuit_open")
    if state is not None and (until := rest_of(state)):
        raise ConnectorError(_at_rest(route.name, until), permanent=False, code="at_rest")
    if state is not None and state.circuit == CircuitState.OPEN:
        _half_open(route.name)
    if route.calls_per_minute is not None and not _take_call(route.name, route.calls_per_minute):
        raise ConnectorError(_spent(route), permanent=False, code="budget_spent")


def _is_open(state: ConnectionState) -> bool:
    if state.circuit != CircuitState.OPEN:
        return False
    return state.opened_at is None or db_clock.now() < state.opened_at + OPEN_FOR


def rest_of(state: ConnectionState) -> datetime | None:
    """Until when it asked to be left alone; None when it may be called."""
    until = state.busy_until
    return until if until is not None and until > db_clock.now() else None


def _at_rest(name: str, until: datetime) -> str:
    return (
        f"{name} asked to be left alone until {format_moment(until)}. "
        "Nothing was sent; it is tried again after that."
    )


def let_rest(name: str, asked_for: timedelta) -> None:
    """Nobody calls it before; an earlier end never replaces a later one.

    Never raises for the database: what became of the call is worth more.
    """
    until = db_clock.now() + min(asked_for, LONGEST_REST)
    try:
        with transaction.atomic():
            _make(name)
            rows = ConnectionState.objects.filter(name=name)
            rows.filter(Q(busy_until=None) | Q(busy_until__lt=until)).update(busy_until=until)
    except DatabaseError:
        logger.exception("asked pause not kept", extra={"connection": name})
    forget_connections()


def _half_open(name: str) -> None:
    """The next failure opens it again, the next answer closes it."""
    ConnectionState.objects.filter(name=name, circuit=CircuitState.OPEN).update(
        circuit=CircuitState.HALF_OPEN
    )
    forget_connections()


def _spent(route: Route) -> str:
    return (
        f"The budget of {route.name} for this minute is spent ({route.calls_per_minute} calls). "
        "Nothing was sent; it is tried again later."
    )


def _calls_now(state: ConnectionState) -> int:
    return state.calls if state.minute == _this_minute() else 0


def _this_minute() -> Any:
    return db_clock.now().replace(second=0, microsecond=0)


def _take_call(name: str, most: int) -> bool:
    """Count one more call in this minute, unless there were so many already. One statement."""
    minute = _this_minute()
    free = Q(minute=None) | ~Q(minute=minute) | Q(calls__lt=most)
    one_more = Case(When(minute=minute, then=F("calls") + 1), default=Value(1))
    for _ in range(2):
        rows = ConnectionState.objects.filter(name=name)
        if rows.filter(free).update(minute=minute, calls=one_more):
            return True
        if rows.exists():
            return False
        _make(name)
    return False


def count_failure(name: str) -> None:
    """One more call in a row failed; the last of several opens the breaker.

    Never raises for the database: what became of the call is worth more.
    """
    try:
        with transaction.atomic():
            rows = ConnectionState.objects.filter(name=name)
            if not rows.update(failures=F("failures") + 1):
                _make(name)
                rows.update(failures=F("failures") + 1)
            last_straw = Q(circuit=CircuitState.HALF_OPEN) | Q(failures__gte=FAILURES)
            opened = rows.filter(last_straw).exclude(circuit=CircuitState.OPEN)
            if opened.update(circuit=CircuitState.OPEN, opened_at=db_clock.now()):
                logger.warning("breaker opened", extra={"connection": name})
    except DatabaseError:
        logger.exception("failed call not counted", extra={"connection": name})
    forget_connections()


def keep_unexpected(name: str, action_type: str, call: str) -> None:
    """An answer was not as it should be: whoever counts them finds it. Never raises for the
    database: what became of the call is worth more.
    """
    at = db_clock.now()
    try:
        with transaction.atomic():
            UnexpectedAnswer.objects.create(
                connection=name, action_type=action_type, call=call, at=at
            )
    except DatabaseError:
        logger.exception("unexpected answer not kept", extra={"connection": name})


def count_success(name: str) -> None:
    """The system answered. Costs nothing while all is well. Never raises for the database."""
    state = state_of(name)
    if state is None or (state.circuit == CircuitState.CLOSED and not state.failures):
        return
    try:
        _close(name)
    except DatabaseError:
        logger.exception("breaker not closed", extra={"connection": name})


def _close(name: str, **more: Any) -> None:
    rows = ConnectionState.objects.filter(name=name)
    if not rows.update(circuit=CircuitState.CLOSED, failures=0, opened_at=None, **more) and more:
        _make(name, **more)
    forget_connections()


def keep_probe(name: str, problem: str) -> None:
    """Keep what a probe found (`problem` empty: it answered). A good one closes the breaker."""
    at = db_clock.now()
    if not problem:
        _close(name, probed_at=at, problem="")
        return
    values = {"probed_at": at, "problem": problem[:200]}
    if not ConnectionState.objects.filter(name=name).update(**values):
        _make(name, **values)
    # while probes fail it stays open: nobody else is let through as one
    ConnectionState.objects.filter(name=name, circuit=CircuitState.OPEN).update(opened_at=at)
    forget_connections()


def _make(name: str, **values: Any) -> None:
    ConnectionState.objects.bulk_create(
        [ConnectionState(name=name, **values)], ignore_conflicts=True
    )
