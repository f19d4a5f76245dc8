"""Leaving a request to others: on record, seen by colleagues, and it lowers no quorum."""

from __future__ import annotations

import pytest

from approvals.api.output import ActionOutput
from approvals.exceptions import (
    AlreadyDecided,
    NotAuthorised,
    ReasonRequired,
    StalePage,
    WrongState,
)
from approvals.models import ActionRequest, Decision, Requirement
from approvals.selectors.authority import progress_of
from approvals.selectors.request_view import RequestView
from approvals.services.abstain import abstain
from policies.models import User
from tests.approvals.make import (
    Cast,
    approve,
    approve_with_edits,
    crm,
    fresh,
    look_at,
    make_access,
    make_crm,
    make_person,
    make_request,
    publish,
    refund,
    reject,
)
from tests.approvals.story import ROUTED, assert_story, codes, snapshot
from tests.policies.delegating import make_delegation

ABSTAINED = ["decision.recorded", "request.abstained"]
TWO_OF_OPERATIONS = (
    "      - {group: operations}\n  - id: enterprise-deal-won",
    "      - {group: operations, quorum: 2}\n  - id: enterprise-deal-won",
)


def leave(request: ActionRequest, user: User, reason: str = "She is my sister.") -> Decision:
    return abstain(request.pk, decider=user, reviewed=look_at(request, user), reason=reason)


def test_whoever_abstains_counts_no_more_and_a_colleague_decides(cast: Cast) -> None:
    request = make_crm(cast)

    left = leave(request, cast.otto)

    assert (left.verdict, left.comment, left.person) == ("abstain", "She is my sister.", "otto")
    with pytest.raises(NotAuthorised) as refused:
        approve(request, cast.otto)
    assert refused.value.code == "abstained"
    approve(request, cast.oona)
    assert fresh(request).state == "approved"
    assert request.grants.get().approvers == ["oona"]


def test_it_moves_nothing_and_is_on_record(cast: Cast) -> None:
    request = make_crm(cast)

    leave(request, cast.otto)

    assert_story(request, "pending_approval", [*ROUTED, *ABSTAINED])
    assert fresh(request).version == 1


def test_two_must_still_agree_after_one_of_three_abstained(cast: Cast) -> None:
    publish(cast, TWO_OF_OPERATIONS)
    ozan = make_person("ozan", "operations")
    request = make_crm(cast)

    leave(request, cast.otto)
    approve(request, cast.oona)

    assert fresh(request).state == "pending_approval"
    (progress,) = progress_of(fresh(request))
    assert (progress.met_count, progress.met) == (1, False)
    approve(request, ozan)
    assert fresh(request).state == "approved"
    assert request.grants.get().approvers == ["oona", "ozan"]


def test_where_too_few_are_left_it_goes_up_with_the_alarm(cast: Cast) -> None:
    publish(cast, TWO_OF_OPERATIONS)
    request = make_crm(cast)

    leave(request, cast.otto)

    needed = Requirement.objects.get(request=request)
    assert (needed.quorum, needed.escalated_to) == (2, "manager")
    assert needed.alarm == "Too few people may decide this."
    assert "route.empty" in codes(request)
    leave(request, cast.oona, "So is mine.")
    assert Requirement.objects.get(request=request).quorum == 2
    assert codes(request).count("route.empty") == 1


def test_what_was_suggested_to_them_is_suggested_to_somebody_else(cast: Cast) -> None:
    request = make_crm(cast)
    first = Requirement.objects.get(request=request).assignee
    assert first is not None

    leave(request, first)

    second = Requirement.objects.get(request=request).assignee
    assert second is not None
    assert {first.username, second.username} == {"otto", "oona"}


def test_no_version_and_no_other_account_brings_them_back(cast: Cast) -> None:
    request = make_crm(cast)
    twin = make_person("otto-two", "operations", person="otto")
    leave(request, cast.otto)
    approve_with_edits(
        request.pk,
        decider=cast.oona,
        reviewed=look_at(request, cast.oona),
        params=crm(stage="lost"),
        reason_code="corrected",
    )

    for account in (cast.otto, twin):
        with pytest.raises(NotAuthorised) as refused:
            approve(fresh(request), account)
        assert refused.value.code == "abstained"


def test_their_authority_is_no_use_to_whom_they_delegated_it(cast: Cast) -> None:
    ozan = make_person("ozan", "support")
    make_delegation(cast.otto, ozan)
    request = make_crm(cast)
    leave(request, cast.otto)

    with pytest.raises(NotAuthorised) as refused:
        approve(request, ozan)

    assert refused.value.code == "lender_abstained"


def test_after_a_yes_and_without_a_reason_nobody_abstains(cast: Cast) -> None:
    publish(cast, TWO_OF_OPERATIONS)
    request = make_crm(cast)
    before, known = snapshot(request), codes(request)

    with pytest.raises(ReasonRequired):
        leave(request, cast.otto, "  ")
    assert (snapshot(request), codes(request)) == (before, known)
    approve(request, cast.otto)

    with pytest.raises(AlreadyDecided):
        leave(request, cast.otto)


def test_strangers_old_pages_and_what_is_over_are_refused(cast: Cast) -> None:
    request = make_crm(cast)
    old = look_at(request, cast.otto)
    with pytest.raises(NotAuthorised):
        leave(request, cast.sara)
    approve_with_edits(
        request.pk,
        decider=cast.oona,
        reviewed=look_at(request, cast.oona),
        params=crm(stage="lost"),
        reason_code="corrected",
    )
    with pytest.raises(StalePage):
        abstain(request.pk, decider=cast.otto, reviewed=old, reason="late")
    reject(fresh(request), cast.otto)

    with pytest.raises(WrongState):
        leave(fresh(request), cast.oona)

    assert not Decision.objects.filter(verdict="abstain").exists()


def test_its_agent_is_not_told_who_abstained(cast: Cast) -> None:
    request = make_request(cast.agent, refund("ch_1037", "150.00"))
    leave(request, cast.fred)

    told = ActionOutput(RequestView(fresh(request))).data

    assert told["decisions"] == []
    assert "sister" not in str(told)


def test_one_of_two_groups_abstaining_leaves_both_asked(cast: Cast) -> None:
    request = make_access(cast)
    second = make_person("sven", "security")

    leave(request, cast.sara)
    approve(request, cast.otto)

    assert fresh(request).state == "pending_approval"
    approve(request, second)
    assert fresh(request).state == "approved"
