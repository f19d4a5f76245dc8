"""Suggesting who takes what: somebody present, able to decide it, with the fewest open ones.

A suggestion orders the work and locks nobody out: everybody with authority decides as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max, OuterRef

from approvals.domain.transitions import DEADLINES, POLICY
from approvals.models import ActionRequest, Requirement
from approvals.selectors.authority import (
    case_for_all,
    people_decided,
    progress_of,
    ways_in,
)
from approvals.selectors.prior_requests import CountOf
from approvals.selectors.requests import requirements_of
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
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
    """Somebody said yes: it is assigned to nobody any more, or to the next of several."""
    states = zip(requirements_of(request), progress_of(request), strict=True)
    if any(one.pk == requirement.pk and state.met for one, state in states):
        clear(requirement)
    elif requirement.assignee is not None and requirement.assignee.person == by.person:
        suggest(request, [requirement], at=at)


def clear(requirement: Requirement) -> None:
    """Nobody's any more: it was given back, or somebody has answered it."""
    if requirement.assignee_id is None and requirement.claimed_until is None:
        return
    requirement.assignee, requirement.claimed_until = None, None
    requirement.save(update_fields=["assignee", "claimed_until"])


@transaction.atomic
def reassign_from_absent(request_id: UUID) -> bool:
    """Give what somebody who is away was to do to somebody who is there. Says whether it did.

    A claim ends with it: nobody works on anything while they are away.
    """
    request = ActionRequest.objects.locked(request_id)
    at = db_clock.now()
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
    suggest(request, left, at=at, actor=DEADLINES)
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


MOST_COUNTED = 100
"""Whoever has that many open assignments has enough; nobody counts further."""

RECENT = 500
"""How many of the newest requirements say who got one last."""


def by_load(users: Iterable[User]) -> list[User]:
    """Fewest open assignments first; then longest without a new one; then by user name.

    Two queries by index, whatever is open: counting stops at MOST_COUNTED a person, and looking
    back after RECENT requirements.
    """
    candidates = list(users)
    if len(candidates) < 2:
        return candidates
    ids = [user.pk for user in candidates]
    assigned = Requirement.objects.filter(is_open=True, assignee=OuterRef("pk"))
    counts = dict(
        User.objects.filter(pk__in=ids)
        .annotate(load=CountOf(assigned.order_by().values("pk")[:MOST_COUNTED]))
        .values_list("pk", "load")
    )
    newest = Requirement.objects.order_by("-id").values("pk")[:RECENT]
    last = dict(
        Requirement.objects.filter(pk__in=list(newest.values_list("pk", flat=True)))
        .filter(assignee__in=ids)
        .order_by()
        .values_list("assignee")
        .annotate(last=Max("pk"))
    )
    return sorted(candidates, key=lambda u: (counts.get(u.pk, 0), last.get(u.pk, 0), u.username))
