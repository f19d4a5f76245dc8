"""Whoever approved money may take that back for ten seconds, in which nobody carries it out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db.models import F

from approvals.exceptions import NotAuthorised, WrongState
from approvals.models import ActionRequest, Execution, Grant
from approvals.selectors import due
from approvals.selectors.live import live_state_of
from approvals.services.execute import execute
from approvals.services.recall import recall
from approvals.services.sweep import sweep
from audit.lib import db_clock
from audit.reading import one_snapshot
from audit.verify import verify
from policies.exceptions import PolicyError
from tests.approvals.make import (
    SHIPPED_POLICY,
    Cast,
    approve,
    fresh,
    make_cast,
    make_crm,
    make_person,
    make_request,
    publish,
    refund,
)
from tests.approvals.story import codes
from tests.database import triggers_off

if TYPE_CHECKING:
    from tests.worlds import Maker

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def as_shipped() -> Cast:
    return make_cast(SHIPPED_POLICY)


@pytest.fixture
def begins_with() -> Maker:
    """The people and the agent, under the policy as it is shipped."""
    return as_shipped


@pytest.fixture
def approved(cast: Cast) -> ActionRequest:
    """A refund of 300.00 EUR that Fred has just approved."""
    request = make_request(cast.agent, refund("ch_1002", "300.00"))
    approve(request, cast.fred)
    return fresh(request)


def after_ten_seconds(request: ActionRequest) -> None:
    with triggers_off():
        Grant.objects.filter(request=request).update(
            usable_from=F("usable_from") - timedelta(seconds=11)
        )


def test_a_grant_for_money_is_not_usable_for_ten_seconds(approved: ActionRequest) -> None:
    grant = approved.grants.get()

    execute(approved.pk)

    assert grant.usable_from == grant.created_at + timedelta(seconds=10)
    assert fresh(approved).state == "approved"
    assert not Execution.objects.exists()
    assert approved.pk not in due.unclaimed_approvals(db_clock.now())


@pytest.mark.parametrize("days", [1, 7])
def test_policy_may_let_money_cool_off_for_days(cast: Cast, days: int) -> None:
    publish(cast, ("recall_seconds: 0 #", f"recall_seconds: {days * 86_400} #"))
    request = make_request(cast.agent, refund("ch_1002", "300.00"))
    approve(request, cast.fred)
    request, grant = fresh(request), request.grants.get()
    assert grant.usable_from == grant.created_at + timedelta(days=days)
    assert grant.expires_at == request.execute_by > grant.usable_from + timedelta(hours=1)
    sentence = live_state_of(request, cast.fred, at=db_clock.now()).sentence
    assert sentence.startswith("Approved; carried out after ")

    sweep()
    execute(request.pk)
    assert fresh(request).state == "approved"
    with triggers_off():
        Grant.objects.filter(request=request).update(usable_from=db_clock.now())
    execute(request.pk)

    assert fresh(request).state == "audited"


def test_more_than_a_week_is_a_mistake_of_policy(cast: Cast) -> None:
    with pytest.raises(PolicyError, match="recall_seconds"):
        publish(cast, ("recall_seconds: 0 #", "recall_seconds: 604801 #"))


def test_afterwards_it_is_carried_out_as_ever(approved: ActionRequest) -> None:
    after_ten_seconds(approved)
    assert approved.pk in due.unclaimed_approvals(db_clock.now())

    execute(approved.pk)

    assert fresh(approved).state == "audited"


def test_a_recalled_approval_counts_for_nothing_and_people_decide_anew(
    cast: Cast, approved: ActionRequest
) -> None:
    recall(approved.pk, person=cast.fred)

    request = fresh(approved)
    assert (request.state, request.version) == ("pending_approval", 2)
    assert request.execute_by is None
    assert request.grants.get().revoked_at is not None
    assert codes(request)[-2:] == ["grant.revoked", "request.invalidated"]
    assert request.history.first().state == "pending_approval"
    after_ten_seconds(request)
    execute(request.pk)
    assert not Execution.objects.exists()
    approve(request, cast.fred)  # they may think again
    assert fresh(request).state == "approved"
    with one_snapshot():
        assert verify().problem is None


def test_nobody_else_recalls_it(cast: Cast, approved: ActionRequest) -> None:
    villain = make_person("vera", "finance", "manager")

    for person in (villain, cast.mona, cast.owner):
        with pytest.raises(NotAuthorised):
            recall(approved.pk, person=person)

    assert fresh(approved).state == "approved"


def test_after_ten_seconds_it_is_too_late(cast: Cast, approved: ActionRequest) -> None:
    after_ten_seconds(approved)

    with pytest.raises(WrongState, match="Too late"):
        recall(approved.pk, person=cast.fred)

    execute(approved.pk)
    with pytest.raises(WrongState, match="Too late"):
        recall(approved.pk, person=cast.fred)
    assert fresh(approved).state == "audited"


def test_what_moves_no_money_is_carried_out_at_once(cast: Cast) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)

    execute(request.pk)

    assert fresh(request).state == "audited"
    with pytest.raises(WrongState):
        recall(request.pk, person=cast.otto)


def test_what_policy_allows_by_itself_waits_for_nobody(cast: Cast) -> None:
    request = make_request(cast.agent, refund("ch_1004", "20.00"))
    assert request.state == "approved"

    execute(request.pk)

    assert fresh(request).state == "audited"
