"""What a pause stops, or would stop: said before it is confirmed, and while it lasts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Count, Q

from approvals.choices import PauseScope, State
from approvals.models import ActionRequest, Pause
from approvals.selectors.pauses import connection_of, stops_in_force
from connectors.catalogue import ActionType, Verb
from connectors.registry import action_types

MOST_COUNTED = 1_000
_WAITING = (State.PENDING_APPROVAL, State.CHANGES_REQUESTED)

Scoped = tuple[PauseScope, str]
"""A scope and the name of what is paused; a stop of payments has one for each system."""


@dataclass(frozen=True, slots=True)
class TypeImpact:
    """One action type a pause covers, with what is open of it."""

    title: str
    approved: int
    waiting: int
    running: int

    @property
    def is_open(self) -> bool:
        return bool(self.approved or self.waiting or self.running)


@dataclass(frozen=True, slots=True)
class PauseImpact:
    """What stands still under a pause. Each number is counted to a thousand."""

    types: tuple[TypeImpact, ...]
    lets_undos_pass: bool

    @property
    def open_types(self) -> tuple[TypeImpact, ...]:
        return tuple(one for one in self.types if one.is_open)

    @property
    def other_titles(self) -> tuple[str, ...]:
        """What is covered too, and has nothing open."""
        return tuple(one.title for one in self.types if not one.is_open)

    @property
    def approved(self) -> str:
        return _capped(sum(one.approved for one in self.types))

    @property
    def waiting(self) -> str:
        return _capped(sum(one.waiting for one in self.types))

    @property
    def running(self) -> str:
        return _capped(sum(one.running for one in self.types))


def impact_of_pause(*scopes: Scoped) -> PauseImpact:
    """What these pauses cover and what is open of it now."""
    covered = [kind for kind in action_types() if any(_covers(one, kind) for one in scopes)]
    titles = {kind.key: kind.title for kind in covered}
    only_types = all(scope == PauseScope.ACTION_TYPE for scope, _ in scopes)
    which = _which(scopes, titles)
    if only_types:  # what a person opened, an undo, passes these
        which &= Q(requested_by=None)
    approved = _by_type(which, (State.APPROVED,))
    waiting = _by_type(which, _WAITING)
    running = _by_type(which, (State.EXECUTING,))
    for retired in approved.keys() | waiting.keys() | running.keys():
        titles.setdefault(retired, retired)
    return PauseImpact(
        tuple(
            TypeImpact(title, approved.get(key, 0), waiting.get(key, 0), running.get(key, 0))
            for key, title in sorted(titles.items(), key=lambda one: one[1])
        ),
        lets_undos_pass=only_types,
    )


def impact_now(pause: Pause) -> PauseImpact:
    """What one that is in force holds up now."""
    return impact_of_pause((PauseScope(pause.scope), pause.key))


def payment_scopes() -> tuple[Scoped, ...]:
    """Every system that moves money: a stop of all payments."""
    systems = {kind.system for kind in action_types() if kind.verb == Verb.PAY}
    return tuple((PauseScope.CONNECTOR, system) for system in sorted(systems))


def payments_are_stopped() -> bool:
    """Whether every one of these is paused, or everything is; asked of what each page tells."""
    stopped = {stop.what for stop in stops_in_force()}
    everything = {str(Pause(scope=scope)) for scope in (PauseScope.ALL, PauseScope.RESTORED)}
    systems = {str(Pause(scope=scope, key=key)) for scope, key in payment_scopes()}
    return bool(stopped & everything) or systems <= stopped


def _covers(one: Scoped, kind: ActionType) -> bool:
    scope, key = one
    match scope:
        case PauseScope.ACTION_TYPE:
            return kind.key == key
        case PauseScope.CONNECTOR:
            return kind.system == key
        case PauseScope.CONNECTION:
            return connection_of(kind.key, kind.system) == key
        case _:
            return True


def _which(scopes: Collection[Scoped], keys: Collection[str]) -> Q:
    if any(scope in {PauseScope.ALL, PauseScope.RESTORED} for scope, _ in scopes):
        return Q()
    systems = [key for scope, key in scopes if scope == PauseScope.CONNECTOR]
    return Q(system__in=systems) if systems else Q(action_type__in=list(keys))


def _by_type(which: Q, states: Collection[State]) -> dict[str, int]:
    """How many of the first thousand are of which type: a million are never read for it."""
    first = ActionRequest.objects.filter(which, state__in=states).order_by()
    some = ActionRequest.objects.filter(pk__in=first.values("pk")[:MOST_COUNTED]).order_by()
    return dict(some.values_list("action_type").annotate(number=Count("pk")))


def _capped(number: int) -> str:
    return f"{number:,}" if number < MOST_COUNTED else f"{MOST_COUNTED:,} or more"
