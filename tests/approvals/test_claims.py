"""A claim is seen, lapses, and locks nobody out; work is given to whoever may decide it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.exceptions import ApprovalError, NotAuthorised, ReasonRequired, WrongState
from approvals.models import Notice, Requirement
from approvals.services import claims
from audit.lib import db_clock
from audit.models import AuditEvent
from policies.models import User
from policies.services import people
from tests.approvals.make import INSTALLER, Cast, approve, fresh, make_access, make_person
from tests.approvals.test_assigning import assignee, crm_number, sentences, the_one
from tests.database import as_superuser


def test_a_claim_is_on_record_and_lasts_half_an_hour(cast: Cast) -> None:
    request = crm_number(cast, 1)

    claims.claim(request.pk, person=cast.otto)

    found = the_one(request)
    assert found.assignee == cast.otto
    assert found.claimed_until is not None
    assert timedelta(minutes=29) < found.claimed_until - db_clock.now() <= timedelta(minutes=30)
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
    Requirement.objects.filter(request=request).update(claimed_until=db_clock.now())

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
    with as_superuser():
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
