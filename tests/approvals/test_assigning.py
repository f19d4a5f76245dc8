"""Work is suggested to whoever is there and has least of it; a suggestion locks nobody out."""

from __future__ import annotations

from datetime import timedelta

from approvals.models import ActionRequest, Requirement
from approvals.services import claims
from approvals.services.sweep import sweep
from audit.lib import db_clock
from audit.selectors import describe, events_of
from policies.models import User
from policies.services import people
from policies.services.absences import cancel_absence, set_absence
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    crm,
    fresh,
    make_access,
    make_person,
    make_request,
    manager_refund,
)

HOUR = timedelta(hours=1)


def crm_number(cast: Cast, number: int) -> ActionRequest:
    return make_request(cast.agent, crm(notes=f"note {number}"), action_type="crm.update")


def the_one(request: ActionRequest) -> Requirement:
    return Requirement.objects.select_related("assignee").get(
        request=request, version=fresh(request).version
    )


def assignee(request: ActionRequest) -> str:
    found = the_one(request).assignee
    return found.get_username() if found else ""


def away(user: User) -> None:
    at = db_clock.now()
    set_absence(user.pk, starts_at=at - HOUR, ends_at=at + HOUR, actor=INSTALLER)


def sentences(request: ActionRequest) -> list[str]:
    return [describe(event) for event in events_of(request)]


def test_work_goes_to_whoever_has_least_of_it(cast: Cast) -> None:
    first, second, third = (crm_number(cast, n) for n in range(3))

    assert [assignee(r) for r in (first, second, third)] == ["oona", "otto", "oona"]
    assert "Suggested to oona for operations" in sentences(first)
    approve(first, cast.oona)
    approve(third, cast.oona)
    assert assignee(crm_number(cast, 3)) == "oona"


def test_of_several_with_as_little_it_is_whoever_waited_longest(cast: Cast) -> None:
    first, second = crm_number(cast, 1), crm_number(cast, 2)
    assert [assignee(first), assignee(second)] == ["oona", "otto"]
    approve(first, cast.oona)
    approve(second, cast.otto)

    assert assignee(crm_number(cast, 3)) == "oona"


def test_a_suggestion_locks_nobody_out(cast: Cast) -> None:
    request = crm_number(cast, 1)
    assert assignee(request) == "oona"

    approve(request, cast.otto)

    assert fresh(request).state == "approved"


def test_it_is_suggested_to_nobody_who_may_not_decide_it(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund("999.00"))
    people.change_roles(cast.max.pk, actor=INSTALLER, roles=["finance"], reason="moved")
    again = make_request(cast.agent, manager_refund("998.00"))

    assert assignee(request) in {"max", "mona"}
    assert assignee(again) == "mona"


def test_one_person_is_not_asked_for_two_requirements(cast: Cast) -> None:
    people.change_roles(
        cast.sara.pk, actor=INSTALLER, roles=["security", "operations"], reason="both"
    )

    request = make_access(cast)

    chosen = [r.assignee.person for r in request.requirements.all() if r.assignee]
    assert len(chosen) == len(set(chosen)) == 2


def test_nobody_away_is_suggested_anything(cast: Cast) -> None:
    away(cast.oona)

    assert [assignee(crm_number(cast, n)) for n in range(2)] == ["otto", "otto"]
    away(cast.otto)
    request = crm_number(cast, 2)
    assert assignee(request) == ""
    approve(request, cast.otto)
    assert fresh(request).state == "approved"


def test_an_absence_counts_for_every_account_of_the_person_and_until_it_is_cancelled(
    cast: Cast,
) -> None:
    twin = make_person("oona2", "operations", person="oona")
    at = db_clock.now()
    absence = set_absence(twin.pk, starts_at=at, ends_at=at + HOUR, actor=INSTALLER)
    assert [assignee(crm_number(cast, n)) for n in range(2)] == ["otto", "otto"]

    cancel_absence(absence.pk, actor=INSTALLER)

    assert assignee(crm_number(cast, 2)) != "otto"


def test_what_somebody_leaves_behind_is_handed_on(cast: Cast) -> None:
    suggested, claimed = crm_number(cast, 1), crm_number(cast, 2)
    claims.claim(claimed.pk, person=cast.oona)
    assert {assignee(suggested), assignee(claimed)} == {"oona"}
    away(cast.oona)

    swept = sweep()

    assert swept.counts["handed on"] == 2
    assert {assignee(suggested), assignee(claimed)} == {"otto"}
    assert the_one(claimed).claimed_until is None
    assert "handed on" not in sweep().counts
    away(cast.otto)
    sweep()
    assert {assignee(suggested), assignee(claimed)} == {""}
    assert "handed on" not in sweep().counts
