"""What is wrong with the installation now: for load balancers, for people on call, for Today.

Two kinds. What `blocks` makes this web process useless: nothing that is asked of it can be done,
so it is not ready. Everything else degrades: proposing and deciding go on, and what is approved is
carried out late or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count

from approvals.choices import EscalationStep, State
from approvals.models import ActionRequest, Escalation, Heartbeat, Requirement
from approvals.selectors.case import case_of
from audit.lib import db_clock
from audit.lib.db import refuses_writes
from audit.services import TrailUnwritable, try_to_record
from connectors.models import CircuitState, ConnectionState
from policies.authority import deciders_for
from policies.services.evaluation import may_begin
from policies.services.upgrades import why_unreadable
from policies.team_names import LOOKED_UP

LATE = timedelta(minutes=1)
"""How long what is due at once may take before somebody is told."""
_KEPT_SECONDS = 5
_MOST_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, in a sentence that says what to do."""

    code: str
    reason: str
    blocks: bool = False


def problems() -> list[Problem]:
    """All of it, at most five seconds old; what blocks comes first."""
    found: list[Problem] | None = cache.get("problems")
    if found is None:
        found = find_problems()
        cache.set("problems", found, _KEPT_SECONDS)
    return found


def find_problems() -> list[Problem]:
    """All of it, looked up now."""
    at = db_clock.now()
    found = [problem for look in LOOKS for problem in look(at)]
    return sorted(found, key=lambda problem: not problem.blocks)


def _trail(at: datetime) -> Iterator[Problem]:
    try:
        try_to_record()
    except Exception as error:
        if not isinstance(error, TrailUnwritable) and not refuses_writes(error):
            raise
        yield Problem(
            "trail",
            "Nothing can be recorded in the trail, so nothing is done. Look at the database: "
            "its disk, its privileges, whether it is read-only.",
            blocks=True,
        )


def _policy(at: datetime) -> Iterator[Problem]:
    if problem := why_unreadable():
        yield Problem(
            "policy",
            f"{problem} Until a readable version is published, people decide everything at the "
            "highest tier.",
            blocks=True,
        )


def _workers(at: datetime) -> Iterator[Problem]:
    last = Heartbeat.objects.filter(name=Heartbeat.SWEEP).values_list("at", flat=True).first()
    allowed = max(LATE, timedelta(seconds=6 * settings.SWEEP_SECONDS))
    if last is None:
        yield Problem("workers", f"No worker has reported yet. {_START}")
    elif at - last > allowed:
        minutes = int((at - last).total_seconds() // 60)
        yield Problem("workers", f"No worker or beat has reported for {minutes} min. {_START}")


_START = "What is approved is not carried out until worker and beat run (manage.py up)."


def _routes(at: datetime) -> Iterator[Problem]:
    """Routes that were too thin when they were made, and still are."""
    alarmed = Escalation.objects.filter(
        step=EscalationStep.NOBODY,
        requirement__is_open=True,
        request__state=State.PENDING_APPROVAL,
    ).values("requirement")
    stuck = Requirement.objects.filter(pk__in=alarmed).select_related("request__agent")
    number = sum(_leads_nowhere(one, at) for one in stuck.order_by("pk")[:_MOST_LOOKED_AT])
    if number:
        many = "1 request waits" if number == 1 else f"{number} requests wait"
        yield Problem(
            "routes",
            f"{many} for a decision that too few people may make. "
            "An ops admin gives somebody the role or the limit.",
        )


def _owners(at: datetime) -> Iterator[Problem]:
    """Requests that ask somebody who is on no record."""
    unknown = Requirement.objects.filter(
        group__in=LOOKED_UP, is_open=True, request__state=State.PENDING_APPROVAL
    ).order_by("pk")
    if found := list(unknown.values_list("alarm", flat=True)[:_MOST_LOOKED_AT]):
        many = "1 request asks" if len(found) == 1 else f"{len(found)} requests ask"
        yield Problem(
            "owners",
            f"{many} for an owner or a line manager who is on no record. {found[0]} "
            "An ops admin enters them under Owners or on the person's page.",
        )


def _leads_nowhere(requirement: Requirement, at: datetime) -> bool:
    spec = requirement.spec
    if requirement.escalated_to:
        spec = replace(spec, alternatives=(*spec.alternatives, requirement.escalated_to))
    able = deciders_for(case_of(requirement.request, at=at), spec)
    return len({user.person for user in able}) < spec.quorum


def _executions(at: datetime) -> Iterator[Problem]:
    """Approved, allowed to begin for a minute, and still nobody has begun."""
    waiting = (
        ActionRequest.objects.filter(
            state=State.APPROVED,
            execute_by__gt=at,
            grants__consumed_at=None,
            grants__revoked_at=None,
            grants__needs_start=False,
            grants__created_at__lte=at - LATE,
        )
        .order_by()
        .values_list("grants__window", "action_type")
        .annotate(number=Count("pk"))
    )
    then = at - LATE  # a window that opened a moment ago explains the wait
    number = sum(
        count
        for window, action_type, count in waiting
        if may_begin(window, action_type, at) and may_begin(window, action_type, then)
    )
    if number:
        many = "1 approved request waits" if number == 1 else f"{number:,} approved requests wait"
        yield Problem("executions", f"{many} for more than a minute to be carried out.")


def _intakes(at: datetime) -> Iterator[Problem]:
    number = ActionRequest.objects.filter(state=State.REQUESTED, created_at__lte=at - LATE).count()
    if number:
        many = "1 proposal is" if number == 1 else f"{number:,} proposals are"
        yield Problem("intakes", f"{many} stored and not taken in for more than a minute.")


def _systems(at: datetime) -> Iterator[Problem]:
    said = Heartbeat.objects.filter(name=Heartbeat.SYSTEMS).values_list("said", flat=True).first()
    silent = list(said or ())
    for name in silent:
        yield Problem(
            f"system-{name}",
            f"The {_called(name)} does not answer: what concerns it cannot be read or done.",
        )
    for state in ConnectionState.objects.filter(circuit=CircuitState.OPEN).order_by("name"):
        if state.name not in silent:
            yield Problem(
                f"circuit-{state.name}",
                f"The {_called(state.name)} is left alone for now: {state.failures} calls in a row "
                "failed. What is approved is sent once it answers again.",
            )


def _called(name: str) -> str:
    """A system's connection from the environment has its name."""
    return f"{'system' if name in settings.CONNECTORS else 'connection'} {name}"


LOOKS: tuple[Callable[[datetime], Iterator[Problem]], ...] = (
    _trail,
    _policy,
    _workers,
    _routes,
    _owners,
    _executions,
    _intakes,
    _systems,
)
"""Everything that is looked at. Each yields what it finds wrong at that moment."""
