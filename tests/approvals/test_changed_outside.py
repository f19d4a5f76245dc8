"""A record changed behind the application's back: refused, and people learn it, once."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from approvals.exceptions import IntegrityBroken
from approvals.models import ActionRequest, IntegrityIncident, Notice
from approvals.selectors.dashboard import _posture
from approvals.selectors.inbox import NEEDS_CLOSING, in_view, requests_of
from approvals.services import decide
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from audit.lib import db_clock
from audit.verify import verify
from connectors.sandbox.server import Sandbox
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    look_at,
    make_person,
    make_request,
    manager_refund,
)
from tests.approvals.story import codes, newest_event
from tests.database import as_superuser, triggers_off

FOUND = "request.integrity_broken"


def change(request: ActionRequest, minor: int = 100) -> None:
    """As somebody with a database client would."""
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(amount_minor=minor)


def warned(request: ActionRequest) -> list[str]:
    """Who got the notice of the incident."""
    told = Notice.objects.filter(request=request, subject__startswith="INCIDENT")
    return sorted(told.values_list("recipient__username", flat=True))


def incidents() -> list[ActionRequest]:
    return list(in_view(requests_of("manager"), "manager", NEEDS_CLOSING, at=db_clock.now()))


def test_who_finds_it_when_deciding_is_refused_and_people_learn_it(cast: Cast) -> None:
    make_person("ann", "auditor")
    request = make_request(cast.agent, manager_refund())
    change(request)

    with pytest.raises(IntegrityBroken):
        approve(request, cast.mona)

    assert fresh(request).state == "pending_approval"
    event, incident = newest_event(request), request.integrity_incidents.get()
    assert (event.code, event.actor_name) == (FOUND, "mona")
    assert (incident.found_by, incident.problem) == (
        "decision",
        f"The columns of {request.pk} contradict its stored action.",
    )
    assert warned(request) == ["ada", "alan", "ann", "sara"]
    assert incidents() == [request]
    assert _posture().incidents == 1
    assert verify().problem is None


def test_one_discovery_is_one_incident_however_often_somebody_clicks(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())
    change(request)
    for person in (cast.mona, cast.max, cast.mona):
        with pytest.raises(IntegrityBroken):
            approve(request, person)
    with pytest.raises(IntegrityBroken):
        decide.reject(
            request.pk,
            decider=cast.mona,
            reviewed=look_at(request, cast.mona),
            reason_code="not_justified",
        )

    assert codes(request).count(FOUND) == 1
    assert len(warned(request)) == 3

    change(request, 200)
    with pytest.raises(IntegrityBroken):
        approve(request, cast.mona)

    assert codes(request).count(FOUND) == 2
    assert incidents() == [request]


def test_what_was_changed_after_its_approval_never_runs_and_ends_where_people_see_it(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    change(request)

    with pytest.raises(IntegrityBroken):
        execute(request.pk)
    execute(request.pk)
    sweep()

    assert codes(request)[-3:] == [FOUND, "grant.revoked", "request.denied"]
    assert fresh(request).state == "denied"
    assert sandbox.effects("payments") == []
    assert incidents() == [request]
    assert warned(request) == ["ada", "alan", "sara"]
    assert verify().problem is None


@pytest.mark.django_db(transaction=True)
def test_the_sweep_ends_it_too_and_carries_its_neighbours_out(cast: Cast, sandbox: Sandbox) -> None:
    changed, neighbour = (make_request(cast.agent, manager_refund(a)) for a in ("800.00", "600.00"))
    for request in (changed, neighbour):
        approve(request, cast.mona if request == changed else cast.max)
    change(changed)

    sweep()

    assert fresh(changed).state == "denied"
    assert fresh(neighbour).state == "audited"


def test_an_incident_never_changes(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())
    change(request)
    with pytest.raises(IntegrityBroken):
        approve(request, cast.mona)

    for attempt in (
        lambda: IntegrityIncident.objects.update(problem="nothing"),
        lambda: IntegrityIncident.objects.all().delete(),
    ):
        with as_superuser(), pytest.raises(DatabaseError), transaction.atomic():
            attempt()
