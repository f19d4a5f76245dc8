"""People decide: one yes, two yeses from two groups, one no, and those asked instead of others."""

from __future__ import annotations

import json

import pytest

from approvals.exceptions import NotAuthorised, WrongState
from approvals.models import ShownContent
from approvals.selectors.authority import progress_of
from approvals.selectors.review_snapshot import snapshot_of
from approvals.services import decide
from audit.lib.canonical import digest
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    look_at,
    make_access,
    make_crm,
    make_limit,
    make_person,
    make_proof,
    make_request,
    manager_refund,
    reject,
)
from tests.approvals.story import DECIDED, ROUTED, assert_story, codes, newest_event


def test_the_one_yes_needed_unlocks_exactly_what_was_shown(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())
    shown = snapshot_of(fresh(request))

    decision = approve(request, cast.mona)

    grant = request.grants.get()
    assert_story(request, "approved", [*ROUTED, *DECIDED])
    assert (decision.person, decision.group, decision.limit_minor) == ("mona", "manager", 100_000)
    assert (decision.digest, decision.shown_id) == (request.digest, shown.digest)
    assert digest(ShownContent.objects.get(pk=shown.digest).body) == shown.digest
    assert (grant.digest, grant.approvers, grant.ceiling_minor) == (
        request.digest,
        ["mona"],
        80_000,
    )
    assert request.requirements.filter(is_open=True).count() == 0


def test_one_of_two_groups_is_not_enough(cast: Cast) -> None:
    request = make_access(cast)

    approve(request, cast.otto)

    assert_story(request, "pending_approval", [*ROUTED, "decision.recorded"])
    assert request.grants.count() == 0
    assert {p.spec.group: p.met for p in progress_of(request)} == {
        "operations": True,
        "security": False,
    }


def test_two_people_of_two_groups_are(cast: Cast) -> None:
    request = make_access(cast)

    approve(request, cast.sara, cast.otto)

    assert_story(request, "approved", [*ROUTED, "decision.recorded", *DECIDED])
    assert request.grants.get().approvers == ["otto", "sara"]


def test_a_second_person_of_the_same_group_does_not_stand_in_for_the_other(cast: Cast) -> None:
    request = make_access(cast)
    approve(request, cast.otto)

    with pytest.raises(NotAuthorised):
        approve(request, cast.oona)

    assert_story(request, "pending_approval", [*ROUTED, "decision.recorded", "decision.refused"])


def test_a_colleagues_yes_does_not_make_ones_page_stale(cast: Cast) -> None:
    request = make_access(cast)
    reviewed = look_at(request, cast.sara)
    approve(request, cast.otto)

    decide.approve(
        request.pk,
        decider=cast.sara,
        reviewed=reviewed,
        reason_code="as_proposed",
        proof=make_proof(cast.sara),
    )

    assert fresh(request).state == "approved"


def test_one_no_ends_it_also_after_a_yes(cast: Cast) -> None:
    request = make_access(cast)
    approve(request, cast.otto)

    reject(request, cast.sara)

    assert_story(
        request,
        "rejected",
        [*ROUTED, "decision.recorded", "decision.recorded", "request.rejected"],
    )
    assert request.grants.count() == 0
    assert request.requirements.filter(is_open=True).count() == 0
    assert json.loads(newest_event(request).data)["reason_code"] == "not_justified"


def test_whom_it_was_escalated_to_may_answer_for_the_group(cast: Cast) -> None:
    request = make_crm(cast)
    with pytest.raises(NotAuthorised):
        approve(request, cast.mona)

    decide.escalate(
        request.pk, decider=cast.otto, reviewed=look_at(request, cast.otto), reason="not sure"
    )
    decision = approve(request, cast.mona)

    assert (decision.group, decision.requirement.group) == ("manager", "operations")  # type: ignore[union-attr]
    assert_story(
        request,
        "approved",
        [*ROUTED, "decision.refused", "decision.recorded", "escalation.recorded", *DECIDED],
    )


def test_escalating_does_not_lift_the_limit(cast: Cast) -> None:
    make_limit(make_person("mia", "manager"), "5000.00")
    request = make_request(cast.agent, manager_refund("1500.00"))
    decide.escalate(
        request.pk, decider=cast.mona, reviewed=look_at(request, cast.mona), reason="above my limit"
    )

    with pytest.raises(NotAuthorised) as refused:
        approve(request, cast.max)

    assert refused.value.code == "over_limit"
    assert codes(request)[-1] == "decision.refused"


def test_escalating_twice_is_refused(cast: Cast) -> None:
    request = make_crm(cast)
    for_first = look_at(request, cast.otto)
    decide.escalate(request.pk, decider=cast.otto, reviewed=for_first, reason="not sure")
    known = codes(request)

    with pytest.raises(WrongState, match="already"):
        decide.escalate(
            request.pk, decider=cast.oona, reviewed=look_at(request, cast.oona), reason="nor am I"
        )

    assert_story(request, "pending_approval", known)
