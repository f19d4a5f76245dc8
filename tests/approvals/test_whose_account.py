"""An account turns out to be somebody else's: nobody counts twice, and nobody starts a new day."""

from __future__ import annotations

import json

import pytest

from approvals.exceptions import AlreadyDecided, ApprovalError, NotAuthorised
from approvals.models import ActionRequest, BreakGlass
from approvals.services import break_glass
from approvals.services.execute import execute
from audit.models import AuditEvent
from connectors.sandbox.server import Sandbox
from policies.models import User
from policies.services import accounts
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    fresh,
    look_at,
    make_limit,
    make_person,
    make_proof,
    make_request,
    manager_refund,
)
from tests.approvals.story import snapshot
from tests.database import triggers_off

EMERGENCY = "The shop is down and this customer is stranded abroad."


def for_two(cast: Cast) -> ActionRequest:
    request = make_request(cast.agent, manager_refund())
    with triggers_off():
        assert request.requirements.update(quorum=2) == 1
    return request


def is_person(user: User, person: str) -> None:
    accounts.change_person(user.pk, actor=INSTALLER, person=person, reason="found out")


@pytest.mark.parametrize(("whose", "person"), [("max", "mona"), ("mona", "max")])
def test_two_who_turn_out_to_be_one_are_one_at_the_claim(
    cast: Cast, sandbox: Sandbox, whose: str, person: str
) -> None:
    request = for_two(cast)
    approve(request, cast.mona, cast.max)
    assert fresh(request).state == "approved"
    is_person(User.objects.get(username=whose), person)

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    back = json.loads(AuditEvent.objects.get(code="request.invalidated").data)
    assert "no longer holds" in back["reason"]
    assert sandbox.effects("payments") == []


@pytest.mark.parametrize(("whose", "person"), [("max", "mona"), ("mona", "max")])
def test_two_who_turn_out_to_be_one_decide_once(cast: Cast, whose: str, person: str) -> None:
    request = for_two(cast)
    approve(request, cast.mona)
    is_person(User.objects.get(username=whose), person)
    before = snapshot(request)

    for account in (cast.mona, cast.max):
        with pytest.raises(AlreadyDecided):
            approve(request, User.objects.get(pk=account.pk))

    assert snapshot(request) == before


def test_an_account_renamed_decides_once(cast: Cast) -> None:
    request = for_two(cast)
    approve(request, cast.mona)
    is_person(cast.mona, "ramona")

    with pytest.raises(AlreadyDecided):
        approve(request, User.objects.get(pk=cast.mona.pk))

    approve(request, cast.max)
    assert fresh(request).state == "approved"


def test_an_account_renamed_has_no_new_day(cast: Cast) -> None:
    make_limit(cast.mona, "1000.00", per_day="1000.00")
    approve(make_request(cast.agent, manager_refund("800.00")), cast.mona)
    second = make_request(cast.agent, manager_refund("700.00"))
    is_person(cast.mona, "ramona")

    with pytest.raises(NotAuthorised) as refusal:
        approve(second, User.objects.get(pk=cast.mona.pk))

    assert refusal.value.code == "over_daily_limit"


def test_who_broke_the_glass_under_another_name_does_not_review_it(cast: Cast) -> None:
    emergency_approver = make_person("bree", "break-glass")
    request = make_request(cast.agent, manager_refund())
    break_glass.break_glass(
        request.pk, decider=emergency_approver,
        reviewed=look_at(request, emergency_approver), reason=EMERGENCY,
        proof=make_proof(emergency_approver),
    )  # fmt: skip
    broken = BreakGlass.objects.get()
    is_person(emergency_approver, "mona")

    with pytest.raises(ApprovalError):
        break_glass.review(broken.pk, reviewer=cast.mona, was_justified=True, comment="fine")

    assert BreakGlass.objects.get().reviewed_at is None


@pytest.mark.parametrize("spelled", ["mona@retailer.example", "MONA@Retailer.Example"])
def test_an_address_given_up_since_still_says_whose_it_was(cast: Cast, spelled: str) -> None:
    request = make_request(cast.agent, manager_refund())
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(on_behalf_of=spelled)
    accounts.change_details(
        cast.mona.pk, actor=INSTALLER, email="m@elsewhere.example", first_name="", last_name=""
    )

    with pytest.raises(NotAuthorised) as refusal:
        approve(request, cast.mona)

    assert refusal.value.code == "four_eyes"
