"""Suggesting who takes what: somebody present, able to decide it, with the least on their desk.

A suggestion orders the work and locks nobody out: everybody with authority decides as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import transaction

from approvals.models import ActionRequest, Requirement
from approvals.selectors import clock
from approvals.selectors.authority import people_decided, progress_of, ways_in
from approvals.selectors.load import by_load
from approvals.selectors.requests import requirements_of
from approvals.services.claims import clear
from approvals.services.moves import CLOCKS, POLICY
from approvals.services.route import case_for_all
from audit.actors import Actor
from audit.events import AuditCode
from audit.services import Entry, record_all
from policies.authority import Case, deciders_for
from policies.models import User
from policies.services.absences import absent_persons


def suggest(
    request: ActionRequest,
    requirements: Sequence[Requirement],
    *,
    at: datetime,
    case: Case | None = None,
    actor: Actor = POLICY,
) -> None:
    """Suggest each requirement to somebody of its own; one nobody present may answer stays free.

    The caller holds the request's lock, and may have its `case_for_all` already. Of those who may
    decide it and are not away, whoever has fewest open assignments; of several, whoever has been
    without a new one for longest.
    """
    away = absent_persons(at)
    case = replace(case or case_for_all(request, at=at), decided=people_decided(request))
    taken: set[str] = set()
    entries: list[Entry] = []
    for requirement in requirements:
        chosen = _choose(case, requirement, without=away | taken)
        requirement.assignee, requirement.claimed_until = chosen, None
        requirement.save(update_fields=["assignee", "claimed_until"])
        if chosen is None:
            continue
        taken.add(chosen.person)
        entries.append(
            Entry(
                AuditCode.ASSIGNED,
                actor,
                data={
                    "person": chosen.get_username(),
                    "group": requirement.group,
                    "requirement": requirement.pk,
                },
            )
        )
    if entries:
        record_all(entries, subject=request)


def answered(request: ActionRequest, requirement: Requirement, *, by: User, at: datetime) -> None:
    """Somebody said yes: nobody has it on their desk any more, or the next of several has."""
    states = zip(requirements_of(request), progress_of(request), strict=True)
    if any(one.pk == requirement.pk and state.met for one, state in states):
        clear(requirement)
    elif requirement.assignee is not None and requirement.assignee.person == by.person:
        suggest(request, [requirement], at=at)


@transaction.atomic
def hand_on(request_id: UUID) -> bool:
    """Give what somebody who is away was to do to somebody who is there. Says whether it did.

    A claim ends with it: nobody works on anything while they are away.
    """
    request = ActionRequest.objects.locked(request_id)
    at = clock.now()
    away = absent_persons(at)
    left = [
        requirement
        for requirement in request.requirements.filter(
            version=request.version, is_open=True, assignee__isnull=False
        ).select_related("assignee")
        if requirement.assignee is not None and requirement.assignee.person in away
    ]
    if not left:
        return False
    suggest(request, left, at=at, actor=CLOCKS)
    return True


def _choose(case: Case, requirement: Requirement, *, without: Iterable[str]) -> User | None:
    skipped = frozenset(without)
    able = {
        user.pk: user
        for spec in ways_in(requirement)
        for user in deciders_for(case, spec)
        if user.person not in skipped
    }
    return next(iter(by_load(able.values())), None)
