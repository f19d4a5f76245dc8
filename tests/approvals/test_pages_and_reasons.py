"""What a decision needs besides a person who may: the page as it is, time, a reason, evidence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import signing
from django.utils import timezone

from approvals.exceptions import (
    AlreadyDecided,
    EvidenceMissing,
    Paused,
    ReasonRequired,
    StalePage,
    WrongState,
)
from approvals.models import ActionRequest
from approvals.proposal import SuppliedEvidence
from approvals.selectors.review_snapshot import read_token
from approvals.services import agent_replies, agents, decide
from audit.lib import db_clock
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    ask,
    crm,
    fresh,
    look_at,
    make_access,
    make_crm,
    make_older,
    make_request,
    manager_refund,
    publish,
    reject,
    token_for,
)
from tests.approvals.story import DECIDED, ROUTED, assert_story, codes, snapshot
from tests.database import triggers_off


def assert_nothing_happened(
    request: ActionRequest, attempt: Callable[[], object], error: type[Exception]
) -> None:
    before, known = snapshot(request), codes(request)

    with pytest.raises(error):
        attempt()

    assert (snapshot(request), codes(request)) == (before, known)


def test_a_used_page_is_not_used_twice_not_even_for_another_verdict(cast: Cast) -> None:
    request = make_access(cast)
    reviewed = look_at(request, cast.otto)
    decide.escalate(request.pk, decider=cast.otto, reviewed=reviewed, reason="not sure")

    assert_nothing_happened(
        request,
        lambda: decide.approve(
            request.pk, decider=cast.otto, reviewed=reviewed, reason_code="as_proposed"
        ),
        AlreadyDecided,
    )


def test_a_page_from_before_new_evidence_is_stale(cast: Cast) -> None:
    request = make_crm(cast)
    reviewed = look_at(request, cast.otto)
    ask(request, cast.oona)
    photo = SuppliedEvidence(kind="photo", title="Photo", excerpt="signed contract")
    agent_replies.answer(request.pk, agent=cast.agent, body="Here it is.", evidence=(photo,))

    assert_nothing_happened(
        request,
        lambda: decide.approve(request.pk, decider=cast.otto, reviewed=reviewed),
        StalePage,
    )
    approve(request, cast.otto)
    assert fresh(request).state == "approved"


def test_another_persons_page_decides_nothing(cast: Cast) -> None:
    request = make_crm(cast)
    reviewed = look_at(request, cast.otto)

    assert_nothing_happened(
        request, lambda: decide.approve(request.pk, decider=cast.oona, reviewed=reviewed), StalePage
    )


def test_a_page_of_another_request_decides_nothing(cast: Cast) -> None:
    request, other = make_crm(cast), make_crm(cast, stage="lost")
    reviewed = look_at(other, cast.otto)

    assert_nothing_happened(
        request, lambda: decide.approve(request.pk, decider=cast.otto, reviewed=reviewed), StalePage
    )


def test_a_forged_token_opens_no_page(cast: Cast) -> None:
    token = token_for(make_crm(cast), cast.otto)
    foreign = signing.dumps({"request": "x"}, key="somebody else's key", salt="approvals.review")

    for villain in (token[:-1] + ("A" if token[-1] != "A" else "B"), foreign, "", "a:b:c"):
        with pytest.raises(StalePage):
            read_token(villain)


def test_after_the_deadline_nobody_decides_although_nothing_has_swept_yet(cast: Cast) -> None:
    request = make_crm(cast)
    reviewed = look_at(request, cast.otto)
    make_older(request, timedelta(hours=8))

    assert_nothing_happened(
        request,
        lambda: decide.approve(request.pk, decider=cast.otto, reviewed=reviewed),
        WrongState,
    )
    assert fresh(request).decide_by <= db_clock.now()  # type: ignore[operator]


def test_who_comes_second_is_told_who_was_first_and_when(cast: Cast) -> None:
    request = make_crm(cast)
    reviewed = look_at(request, cast.oona)
    reject(request, cast.otto)

    with pytest.raises(WrongState) as refused:
        decide.approve(request.pk, decider=cast.oona, reviewed=reviewed)

    when = timezone.localtime(request.decisions.get().created_at)
    assert str(refused.value) == (
        f"This is Rejected now: otto decided on {when:%-d %b %Y, %H:%M %Z}."
    )

    assert_story(request, "rejected", [*ROUTED, "decision.recorded", "request.rejected"])


def test_nobody_approves_for_a_paused_agent_and_is_told_why(cast: Cast) -> None:
    request = make_crm(cast)
    agents.pause_agent(cast.agent.pk, actor=INSTALLER, reason="odd behaviour")

    with pytest.raises(Paused, match="odd behaviour"):
        approve(request, cast.otto)

    assert_story(request, "pending_approval", ROUTED)
    reject(request, cast.otto)  # stopping it is always possible
    assert fresh(request).state == "rejected"


# --- Reasons and evidence


def test_from_tier_3_on_an_approval_needs_a_reason(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())

    for reason_code, comment in (("", ""), ("because", ""), ("other", "  ")):
        reviewed = look_at(request, cast.mona)
        with pytest.raises(ReasonRequired):
            decide.approve(
                request.pk,
                decider=cast.mona,
                reviewed=reviewed,
                reason_code=reason_code,
                comment=comment,
            )

    assert_story(request, "pending_approval", ROUTED)


def test_below_tier_3_an_approval_needs_none_and_a_rejection_does(cast: Cast) -> None:
    approved, rejected = make_crm(cast), make_crm(cast, stage="lost")

    decide.approve(approved.pk, decider=cast.otto, reviewed=look_at(approved, cast.otto))
    with pytest.raises(ReasonRequired):
        decide.reject(
            rejected.pk, decider=cast.otto, reviewed=look_at(rejected, cast.otto), reason_code=""
        )

    assert_story(approved, "approved", [*ROUTED, *DECIDED])
    assert_story(rejected, "pending_approval", ROUTED)


def test_asking_and_escalating_need_words(cast: Cast) -> None:
    request = make_crm(cast)

    with pytest.raises(ReasonRequired):
        decide.request_changes(
            request.pk, decider=cast.otto, reviewed=look_at(request, cast.otto), question=" "
        )
    with pytest.raises(ReasonRequired):
        decide.escalate(
            request.pk, decider=cast.otto, reviewed=look_at(request, cast.otto), reason=""
        )

    assert_story(request, "pending_approval", ROUTED)


TIER_2_NEEDS_A_CONTRACT = (
    "evidence: [diff, customer_record, undo_path]",
    "evidence: [diff, customer_record, undo_path, contract]",
)


def test_missing_evidence_blocks_approval_by_name_and_rejecting_not(cast: Cast) -> None:
    publish(cast, TIER_2_NEEDS_A_CONTRACT)
    request = make_crm(cast)

    with pytest.raises(EvidenceMissing, match="contract"):
        approve(request, cast.otto)

    assert_story(request, "pending_approval", ROUTED)
    reject(request, cast.otto)
    assert fresh(request).state == "rejected"


def test_evidence_the_system_read_last_week_is_not_there(cast: Cast) -> None:
    stale = make_request(cast.agent, manager_refund())
    with triggers_off():
        stale.evidence.update(retrieved_at=db_clock.now() - timedelta(days=7))

    with pytest.raises(EvidenceMissing, match="charge"):
        approve(stale, cast.mona)

    assert fresh(stale).state == "pending_approval"


def test_what_an_agent_supplies_is_never_the_evidence_policy_demands(cast: Cast) -> None:
    publish(cast, TIER_2_NEEDS_A_CONTRACT)
    claimed = SuppliedEvidence(kind="contract", title="Contract", retrieved_at=db_clock.now())
    request = make_request(
        cast.agent, crm(stage="lost"), action_type="crm.update", evidence=(claimed,)
    )

    with pytest.raises(EvidenceMissing, match="contract"):
        approve(request, cast.otto)


def test_where_a_cell_of_the_matrix_asks_for_a_reason_an_approval_below_tier_3_needs_one(
    cast: Cast,
) -> None:
    cell = "evidence: [diff, source_record, undo_path]\n    decide_by: 8h\n"
    asks_none = f"{cell}    execute_by: 24h\n    reason_required: false"
    publish(cast, (asks_none, asks_none.replace("false", "true")))
    request = make_crm(cast)

    with pytest.raises(ReasonRequired):
        decide.approve(request.pk, decider=cast.otto, reviewed=look_at(request, cast.otto))

    assert_story(request, "pending_approval", ROUTED)
    decide.approve(
        request.pk,
        decider=cast.otto,
        reviewed=look_at(request, cast.otto),
        reason_code="as_proposed",
    )
    assert_story(request, "approved", [*ROUTED, *DECIDED])
