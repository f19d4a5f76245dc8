"""Deciding with delegated authority: in the delegator's name, on their limit, and never for two."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from approvals.exceptions import AlreadyDecided, NotAuthorised
from approvals.models import ActionRequest, Decision, Notice
from approvals.selectors.inbox import teams_of
from approvals.selectors.request_view import RequestView
from approvals.selectors.requests import policy_decision_of
from approvals.selectors.viewer_permissions import ViewerPermissions, permissions_of
from approvals.services.execute import execute
from audit.actors import Actor
from audit.lib import db_clock
from audit.lib.money import Money
from audit.models import AuditEvent
from connectors.registry import action_type
from connectors.sandbox.server import Sandbox
from policies.models import ApprovalLimit, Delegation, User
from policies.services import delegations, people
from policies.services.dual_control import agree
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    fresh,
    make_limit,
    make_person,
    make_request,
    manager_refund,
    reject,
)
from tests.approvals.story import DECIDED, DONE, ROUTED, assert_story, snapshot
from tests.database import as_superuser, triggers_off

BACK = ["grant.revoked", "request.invalidated"]


def propose_delegation(cast: Cast, lender: User, delegate: User, *, cap: str = "") -> Delegation:
    """Lent for a week, with everybody's consent."""
    at = db_clock.now()
    change = delegations.propose_delegation(
        lender=lender,
        delegate_id=delegate.pk,
        group="manager",
        cap=Money.parse(cap, "EUR") if cap else None,
        starts_at=at,
        ends_at=at + timedelta(days=7),
        reason="on holiday",
        actor=Actor.human(lender),
    )
    agree(change.pk, actor=Actor.human(cast.ada), reason="holiday")
    return Delegation.objects.latest("pk")


def for_two(cast: Cast) -> ActionRequest:
    """A refund that two managers decide."""
    request = make_request(cast.agent, manager_refund())
    with triggers_off():
        assert request.requirements.update(quorum=2) == 1
    return request


def standing(request: ActionRequest, viewer: User) -> ViewerPermissions:
    return permissions_of(
        fresh(request),
        viewer,
        policy=policy_decision_of(request),
        kind=action_type(request.action_type),
        at=db_clock.now(),
    )


@pytest.fixture
def susi(cast: Cast) -> User:
    return make_person("susi", "support", first_name="Susi", last_name="Support")


def test_the_decision_names_whose_authority_it_was(
    cast: Cast, susi: User, sandbox: Sandbox
) -> None:
    delegated = propose_delegation(cast, cast.mona, susi, cap="900.00")
    request = make_request(cast.agent, manager_refund())
    with as_superuser():
        Notice.objects.all().delete()

    page = standing(request, susi)
    decision = approve(request, susi)
    execute(request.pk)

    assert (page.may_approve, page.on_behalf_of, page.limit) == (True, "mona", "900.00 EUR")
    assert (decision.person, decision.group, decision.on_behalf_of) == ("susi", "manager", "mona")
    assert (decision.delegation, decision.limit_minor) == (delegated, 90_000)
    said = json.loads(AuditEvent.objects.get(code="decision.recorded").data)
    assert (said["on_behalf_of"], said["delegation"]) == ("mona", delegated.pk)
    assert [need.given_by for need in RequestView(fresh(request)).requirements] == [
        ("Susi Support on behalf of mona",)
    ]
    told = Notice.objects.filter(subject="Somebody decided on your behalf")
    assert [notice.recipient.username for notice in told] == ["mona"]
    assert_story(request, "audited", [*ROUTED, *DECIDED, *DONE])


def test_a_delegate_finds_the_lenders_inbox_while_it_is_lent(cast: Cast, susi: User) -> None:
    assert teams_of(susi) == ("support",)

    delegated = propose_delegation(cast, cast.mona, susi)
    assert teams_of(susi) == ("support", "manager")

    delegations.revoke(delegated.pk, actor=Actor.human(susi), reason="enough")
    assert teams_of(susi) == ("support",)


def test_lender_and_delegate_are_one_for_a_quorum(cast: Cast, susi: User) -> None:
    propose_delegation(cast, cast.mona, susi)
    request = for_two(cast)
    approve(request, susi)
    before = snapshot(request)

    with pytest.raises(AlreadyDecided):
        approve(request, cast.mona)
    assert snapshot(request) == before

    approve(request, cast.max)
    assert fresh(request).state == "approved"


def test_two_delegates_of_one_lender_are_one(cast: Cast, susi: User) -> None:
    propose_delegation(cast, cast.mona, susi)
    propose_delegation(cast, cast.mona, cast.otto)
    request = for_two(cast)
    approve(request, susi)

    with pytest.raises(NotAuthorised) as refusal:
        approve(request, cast.otto)

    assert refusal.value.code == "lender_decided"
    assert fresh(request).state == "pending_approval"


def test_a_delegate_who_decided_for_themselves_does_not_decide_for_another(cast: Cast) -> None:
    propose_delegation(cast, cast.mona, cast.max)
    request = for_two(cast)
    approve(request, cast.max)  # as himself: one's own authority counts first
    assert Decision.objects.get().on_behalf_of == ""

    with pytest.raises(AlreadyDecided):
        approve(request, cast.max)


def test_a_no_on_somebodys_behalf_ends_it(cast: Cast, susi: User) -> None:
    propose_delegation(cast, cast.mona, susi)
    request = make_request(cast.agent, manager_refund())

    decision = reject(request, susi)

    assert decision.on_behalf_of == "mona"
    assert fresh(request).state == "rejected"


@pytest.mark.parametrize("who", ["lender", "delegate"])
def test_neither_may_have_a_hand_in_it(cast: Cast, susi: User, who: str) -> None:
    propose_delegation(cast, cast.mona, susi)
    request = make_request(cast.agent, manager_refund())
    cast.agent.owner = cast.mona if who == "lender" else susi
    with triggers_off():
        cast.agent.save()
    before = snapshot(request)

    with pytest.raises(NotAuthorised) as refusal:
        approve(request, susi)

    assert refusal.value.code == ("lender_four_eyes" if who == "lender" else "four_eyes")
    assert snapshot(request) == before


def test_what_delegates_approve_is_in_the_lenders_day(cast: Cast, susi: User) -> None:
    make_limit(cast.mona, "1000.00", per_day="1500.00")
    propose_delegation(cast, cast.mona, susi)
    approve(make_request(cast.agent, manager_refund("800.00")), susi)
    second = make_request(cast.agent, manager_refund("701.00"))
    third = make_request(cast.agent, manager_refund("700.00"))

    for person, code in ((cast.mona, "over_daily_limit"), (susi, "lender_over_daily_limit")):
        with pytest.raises(NotAuthorised) as refusal:
            approve(second, person)
        assert refusal.value.code == code

    approve(third, cast.mona)
    assert fresh(third).state == "approved"


def test_what_one_approves_for_another_is_not_in_ones_own_day(cast: Cast) -> None:
    make_limit(cast.max, "500.00", per_day="600.00")
    propose_delegation(cast, cast.mona, cast.max)
    first = approve(make_request(cast.agent, manager_refund("900.00")), cast.max)
    make_limit(cast.max, "1000.00", per_day="1000.00")
    second = approve(make_request(cast.agent, manager_refund("950.00")), cast.max)

    assert (first.on_behalf_of, second.on_behalf_of) == ("mona", "")


Change = Callable[[Cast, Delegation], object]


def revoke(cast: Cast, delegated: Delegation) -> None:
    delegations.revoke(delegated.pk, actor=Actor.human(cast.mona), reason="back")


def let_it_end(cast: Cast, delegated: Delegation) -> None:
    at = db_clock.now()
    with triggers_off():
        Delegation.objects.filter(pk=delegated.pk).update(
            starts_at=at - timedelta(days=2), ends_at=at - timedelta(seconds=1)
        )


def cut_the_limit(cast: Cast, delegated: Delegation) -> None:
    make_limit(cast.mona, "799.99")


def delegator_leaves(cast: Cast, delegated: Delegation) -> None:
    User.objects.filter(pk=cast.mona.pk).update(is_active=False)


def delegate_audits_now(cast: Cast, delegated: Delegation) -> None:
    people.change_roles(delegated.delegate_id, actor=INSTALLER, roles=["auditor"], reason="moved")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (revoke, "no longer in force"),
        (let_it_end, "no longer in force"),
        (cut_the_limit, "above your approval limit (799.99 EUR)"),
        (delegator_leaves, "mona, who delegated authority to you, may not decide this"),
        (delegate_audits_now, "they never decide"),
    ],
)
def test_lent_authority_that_ended_sends_it_back(
    cast: Cast, susi: User, sandbox: Sandbox, change: Change, reason: str
) -> None:
    delegated = propose_delegation(cast, cast.mona, susi)
    request = make_request(cast.agent, manager_refund())
    approve(request, susi)
    change(cast, delegated)

    execute(request.pk)

    assert_story(request, "pending_approval", [*ROUTED, *DECIDED, *BACK])
    back = json.loads(AuditEvent.objects.get(code="request.invalidated").data)
    assert reason in back["reason"]
    assert sandbox.effects("payments") == []


def test_ones_own_authority_does_not_replace_what_was_lent(cast: Cast, sandbox: Sandbox) -> None:
    """Max could approve it himself by now; what he said on Mona's behalf has fallen anyway."""
    make_limit(cast.max, "100.00")
    delegated = propose_delegation(cast, cast.mona, cast.max)
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.max)
    make_limit(cast.max, "1000.00")
    revoke(cast, delegated)

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    approve(request, cast.max)
    execute(request.pk)
    assert fresh(request).state == "audited"


def test_a_superuser_holds_what_was_lent_and_not_a_cent_more(cast: Cast, susi: User) -> None:
    User.objects.filter(pk=susi.pk).update(is_superuser=True)
    delegated = propose_delegation(cast, cast.mona, susi)
    with triggers_off():
        ApprovalLimit.objects.filter(user=cast.mona).update(valid=False)
    request = make_request(cast.agent, manager_refund())

    with pytest.raises(NotAuthorised) as refusal:
        approve(request, susi)

    assert refusal.value.code == "lender_no_limit"
    revoke(cast, delegated)
    with pytest.raises(NotAuthorised) as refusal:
        approve(request, susi)
    assert refusal.value.code == "not_in_group"
