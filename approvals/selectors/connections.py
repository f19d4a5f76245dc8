"""Connections as pages show them: where each leads, how it fares, and never a secret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from approvals.choices import PauseScope
from approvals.models import Pause
from audit.lib import db_clock
from audit.lib.one_look import once_a_page
from connectors.circuit import rest_of
from connectors.connections import Route, forget_connections, route_of, routes_in_force
from connectors.models import CircuitState, ConnectionState, ConnectionToken
from connectors.registry import action_types, reads_apart
from policies.models import User


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """One connection in force."""

    name: str
    system: str
    addresses: tuple[tuple[str, str], ...]
    """What it states, by name; the address comes first."""
    credential: str
    owner: str
    action_types: tuple[str, ...]
    probed_at: datetime | None
    problem: str
    """Why it cannot be used or did not answer; empty when nothing is known against it."""
    circuit: str
    failures: int
    budget: str
    is_from_environment: bool
    is_paused: bool
    can_be_used: bool
    """Its credential can be read, and whoever signed in for it still is."""
    signed_in_by: str = ""
    signed_in_at: datetime | None = None
    busy_until: datetime | None = None
    """The system asked to be left alone until then, and is."""

    @property
    def address(self) -> str:
        return self.addresses[0][1]

    @property
    def health(self) -> str:
        """How it fares, in two words."""
        if self.is_paused:
            return "paused"
        if not self.can_be_used:
            return "no credential"
        if self.problem:
            return "does not answer"
        if self.busy_until:
            return "asked to wait"
        return "answers" if self.probed_at else "not tried yet"


@once_a_page
def connections_in_force() -> list[ConnectionView]:
    """Every connection as it is at this moment, by name, in a few statements."""
    forget_connections()
    routes = routes_in_force()
    states = {state.name: state for state in ConnectionState.objects.all()}
    paused = _paused()
    tokens = {token.name: token for token in ConnectionToken.objects.exclude(signed_in_at=None)}
    owners = _owners(route.owner for route in routes)
    carried = _carried()
    return [
        _view(
            route,
            states.get(route.name) or ConnectionState(name=route.name),
            owner=owners.get(route.owner, route.owner),
            carried=carried.get(route.name, []),
            token=tokens.get(route.name) or ConnectionToken(name=route.name),
            is_paused=not paused.isdisjoint(
                {(PauseScope.CONNECTION, route.name), (PauseScope.CONNECTOR, route.system)}
            ),
        )
        for route in routes
    ]


def connection_in_force(name: str) -> ConnectionView | None:
    """The one of that name."""
    return next((view for view in connections_in_force() if view.name == name), None)


def through(reference: str) -> str:
    """The connection of that reference by name; a reading of earlier versions names none."""
    return reference.partition("@")[0]


def _view(
    route: Route,
    state: ConnectionState,
    *,
    owner: str,
    carried: list[str],
    token: ConnectionToken,
    is_paused: bool,
) -> ConnectionView:
    return ConnectionView(
        name=route.name,
        system=route.system,
        addresses=tuple(route.values.items()),
        credential=_credential(route),
        owner=owner,
        action_types=tuple(carried),
        probed_at=state.probed_at,
        problem=route.problem or state.problem,
        circuit=CircuitState(state.circuit).label.lower(),
        failures=state.failures,
        budget=_budget(route, state),
        is_from_environment=route.is_from_environment,
        is_paused=is_paused,
        can_be_used=not route.problem,
        signed_in_by=token.signed_in_by,
        signed_in_at=token.signed_in_at,
        busy_until=rest_of(state),
    )


def _credential(route: Route) -> str:
    """Where it is looked up: "variable CREDENTIAL_EU"."""
    source, _, name = route.source.partition(":")
    words = {"environment": "variable", "file": "file"}
    apart = ", another one for reading" if reads_apart(route) else ""
    return f"{words[source]} {name}{apart}" if source in words else "none"


def _budget(route: Route, state: ConnectionState) -> str:
    if route.calls_per_minute is None:
        return "no budget"
    this_minute = db_clock.now().replace(second=0, microsecond=0)
    used = state.calls if state.minute == this_minute else 0
    return f"{used:,} of {route.calls_per_minute:,} calls this minute"


def _paused() -> set[tuple[str, str]]:
    named = Q(scope=PauseScope.CONNECTION) | Q(scope=PauseScope.CONNECTOR)
    return set(Pause.objects.filter(named, lifted_at=None).values_list("scope", "key"))


def _owners(persons: Iterable[str]) -> dict[str, str]:
    """Person to user name; somebody whose accounts are all closed answers for nothing."""
    users = User.objects.filter(person__in=set(persons)).order_by("is_active", "username")
    return {
        user.person: user.get_username() if user.is_active else f"{user.get_username()} (left)"
        for user in users
    }


def _carried() -> dict[str, list[str]]:
    """Which action types go through each connection now."""
    found: dict[str, list[str]] = {}
    for kind in sorted(action_types(), key=lambda kind: kind.key):
        if route := route_of(kind.key, kind.system):
            found.setdefault(route.name, []).append(kind.key)
    return found
