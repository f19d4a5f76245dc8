"""Work is suggested to whoever is there and has least of it; a claim locks nobody out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.exceptions import ApprovalError, NotAuthorised, ReasonRequired, WrongState
from approvals.models import ActionRequest, Notice, Requirement
from approvals.selectors import clock
from approvals.services import claims
from approvals.services.sweep import sweep
from audit.models import AuditEvent
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
    at = clock.now()
    set_absence(user.pk, starts_at=at - HOUR, ends_at=at + HOUR, actor=INSTALLER)


def sentences(request: ActionRequest) -> list[str]:
    return [describe(event) for event in events_of(request)]


# --- Suggesting ----------------------------------------------------------------------------------


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
    at = clock.now()
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


# --- Claiming ------------------------------------------------------------------------------------


def test_a_claim_is_on_record_and_lasts_half_an_hour(cast: Cast) -> None:
    request = crm_number(cast, 1)

    claims.claim(request.pk, person=cast.otto)

    found = the_one(request)
    assert found.assignee == cast.otto
    assert found.claimed_until is not None
    assert timedelta(minutes=29) < found.claimed_until - clock.now() <= timedelta(minutes=30)
    assert sentences(request)[-1] == "person otto works on it for operations"


def test_somebody_elses_claim_is_refused_with_their_name_and_decided_all_the_same(
    cast: Cast,
) -> None:
    request = crm_number(cast, 1)
    claims.claim(request.pk, person=cast.otto)

    with pytest.raises(ApprovalError, match="otto works on this until") as refusal:
        claims.claim(request.pk, person=cast.oona)

    assert refusal.value.code == "claimed"
    approve(request, cast.oona)
    assert fresh(request).state == "approved"


def test_a_lapsed_claim_may_be_taken_over_and_ones_own_begins_anew(cast: Cast) -> None:
    request = crm_number(cast, 1)
    claims.claim(request.pk, person=cast.otto)
    Requirement.objects.filter(request=request).update(claimed_until=clock.now())

    claims.claim(request.pk, person=cast.oona)
    before = the_one(request).claimed_until
    claims.claim(request.pk, person=cast.oona)

    after = the_one(request)
    assert before is not None
    assert after.claimed_until is not None
    assert after.claimed_until > before
    assert after.assignee == cast.oona
    with pytest.raises(WrongState, match="lapsed"):
        claims.release(request.pk, person=cast.otto)


def test_a_claim_is_given_back_by_whoever_has_it(cast: Cast) -> None:
    request = crm_number(cast, 1)
    claims.claim(request.pk, person=cast.otto)
    with pytest.raises(WrongState):
        claims.release(request.pk, person=cast.oona)

    claims.release(request.pk, person=cast.otto)

    assert (the_one(request).assignee, the_one(request).claimed_until) == (None, None)
    assert sentences(request)[-1] == "person otto no longer works on it for operations"


@pytest.mark.parametrize("villain", ["other team", "owner", "ops admin", "superuser"])
def test_nobody_claims_what_they_could_not_decide(cast: Cast, villain: str) -> None:
    request = crm_number(cast, 1)
    root = make_person("root")
    User.objects.filter(pk=root.pk).update(is_superuser=True, is_staff=True)
    people.change_roles(
        cast.owner.pk, actor=INSTALLER, roles=["agent owner", "operations"], reason="both"
    )
    person = {
        "other team": cast.fred,
        "owner": cast.owner,
        "ops admin": cast.ada,
        "superuser": root,
    }[villain]
    before = AuditEvent.objects.count()

    with pytest.raises(NotAuthorised):
        claims.claim(request.pk, person=person)

    assert AuditEvent.objects.count() == before
    assert assignee(request) == "oona"


def test_nothing_ended_is_claimed_given_back_or_given_away(cast: Cast) -> None:
    request = crm_number(cast, 1)
    approve(request, cast.otto)

    with pytest.raises(WrongState):
        claims.claim(request.pk, person=cast.oona)
    with pytest.raises(WrongState):
        claims.reassign(request.pk, by=cast.mona, to_user_id=cast.oona.pk, reason="late")


def test_an_answered_requirement_is_on_nobodys_desk(cast: Cast) -> None:
    request = make_access(cast)
    claims.claim(request.pk, person=cast.sara)

    approve(request, cast.sara)

    security = request.requirements.get(group="security")
    assert (security.assignee, security.claimed_until) == (None, None)
    assert request.requirements.exclude(group="security").get().assignee is not None


# --- Giving it to somebody -----------------------------------------------------------------------


def test_a_colleague_gives_it_to_somebody_who_may_decide_and_they_are_told(cast: Cast) -> None:
    request = crm_number(cast, 1)
    Notice.objects.all().delete()

    claims.reassign(request.pk, by=cast.oona, to_user_id=cast.otto.pk, reason="my account")

    assert assignee(request) == "otto"
    assert sentences(request)[-1] == "person oona gave it to otto: my account"
    assert Notice.objects.get().recipient == cast.otto


def test_only_the_claimant_and_a_manager_give_a_claim_away(cast: Cast) -> None:
    request = crm_number(cast, 1)
    third = make_person("olaf", "operations")
    claims.claim(request.pk, person=cast.otto)

    with pytest.raises(ApprovalError) as refusal:
        claims.reassign(request.pk, by=cast.oona, to_user_id=third.pk, reason="faster")
    claims.reassign(request.pk, by=cast.mona, to_user_id=third.pk, reason="faster")

    assert refusal.value.code == "claimed"
    assert assignee(request) == "olaf"
    assert the_one(request).claimed_until is None


def test_giving_it_away_takes_a_reason_and_somebody_who_may_decide(cast: Cast) -> None:
    request = crm_number(cast, 1)

    with pytest.raises(ReasonRequired):
        claims.reassign(request.pk, by=cast.otto, to_user_id=cast.oona.pk, reason=" ")
    with pytest.raises(NotAuthorised, match="fred may not decide this"):
        claims.reassign(request.pk, by=cast.otto, to_user_id=cast.fred.pk, reason="friend")
    with pytest.raises(NotAuthorised, match="olga may not decide this"):
        claims.reassign(request.pk, by=cast.otto, to_user_id=cast.owner.pk, reason="friend")

    assert assignee(request) == "oona"


@pytest.mark.parametrize("villain", ["other team", "owner", "ops admin", "superuser", "left"])
def test_nobody_else_chooses_who_decides(cast: Cast, villain: str) -> None:
    request = crm_number(cast, 1)
    root = make_person("root")
    User.objects.filter(pk=root.pk).update(is_superuser=True, is_staff=True)
    gone = make_person("gone", "operations")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    people.change_roles(
        cast.owner.pk, actor=INSTALLER, roles=["agent owner", "operations"], reason="both"
    )
    person = {
        "other team": cast.fred,
        "owner": cast.owner,
        "ops admin": cast.ada,
        "superuser": root,
        "left": gone,
    }[villain]

    with pytest.raises(NotAuthorised):
        claims.reassign(request.pk, by=person, to_user_id=cast.otto.pk, reason="my friend")

    assert assignee(request) == "oona"
