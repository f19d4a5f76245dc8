"""Who may not decide, and what their attempt leaves behind: one event, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import signing

from approvals.exceptions import (
    AlreadyDecided,
    EvidenceMissing,
    NotAuthorised,
    Paused,
    ReasonRequired,
    StalePage,
    WrongState,
)
from approvals.models import ActionRequest, Agent
from approvals.proposal import SuppliedEvidence
from approvals.selectors import clock
from approvals.selectors.shown import unseal
from approvals.services import agents, answer, decide
from approvals.services.edit import approve_with_edits
from policies.models import User
from policies.services import limits, people
from tests.approvals.make import (
    DECIDED,
    INSTALLER,
    ROUTED,
    Cast,
    approve,
    ask,
    assert_story,
    codes,
    crm,
    fresh,
    look_at,
    make_access,
    make_crm,
    make_limit,
    make_older,
    make_person,
    make_request,
    manager_refund,
    newest_event,
    publish,
    reject,
    snapshot,
    token_for,
)


def assert_refused(request: ActionRequest, villain: User, code: str) -> None:
    """Approving, rejecting, asking, escalating and editing fail; only events remain."""
    before, known = snapshot(request), codes(request)
    seen = look_at(request, villain)
    attempts: list[Callable[[], object]] = [
        lambda: decide.approve(request.pk, decider=villain, seen=seen, reason_code="as_proposed"),
        lambda: decide.reject(request.pk, decider=villain, seen=seen, reason_code="policy"),
        lambda: decide.request_changes(request.pk, decider=villain, seen=seen, question="Why?"),
        lambda: decide.escalate(request.pk, decider=villain, seen=seen, reason="not mine"),
        lambda: approve_with_edits(
            request.pk,
            decider=villain,
            seen=seen,
            params=manager_refund("1.00"),
            reason_code="corrected",
        ),
    ]
    for attempt in attempts:
        with pytest.raises(NotAuthorised) as refused:
            attempt()
        assert refused.value.code == code
    assert snapshot(request) == before
    assert codes(request) == [*known, *["decision.refused"] * len(attempts)]
    event = newest_event(request)
    assert (event.actor_name, event.state) == (villain.username, request.state)
    assert code in event.data


# --- Standing


def test_another_team_decides_nothing(cast: Cast) -> None:
    assert_refused(make_request(cast.agent, manager_refund()), cast.otto, "not_in_group")


@pytest.mark.parametrize("role", ["ops admin", "auditor"])
def test_who_configures_or_audits_never_decides_even_as_a_manager(cast: Cast, role: str) -> None:
    villain = make_person("vera", role, "manager")
    make_limit(villain, "9000.00")

    assert_refused(make_request(cast.agent, manager_refund()), villain, "never_decides")


def test_a_superuser_without_the_group_decides_nothing(cast: Cast) -> None:
    villain = make_person("root")
    User.objects.filter(pk=villain.pk).update(is_superuser=True)

    assert_refused(make_request(cast.agent, manager_refund()), villain, "not_in_group")


def test_a_deactivated_account_with_a_live_session_decides_nothing(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())
    in_session = User.objects.get(pk=cast.mona.pk)  # read before, still says active

    people.deactivate(cast.mona.pk, actor=INSTALLER, reason="left")

    assert in_session.is_active
    assert_refused(request, in_session, "inactive")


def test_who_left_the_group_with_the_page_open_decides_nothing(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())

    people.change_roles(cast.mona.pk, actor=INSTALLER, roles=["support"], reason="moved")

    assert_refused(request, cast.mona, "not_in_group")


# --- Four-eyes


def test_the_owner_of_the_agent_never_decides_on_it(cast: Cast) -> None:
    people.change_roles(cast.owner.pk, actor=INSTALLER, roles=["manager"], reason="promoted")
    make_limit(cast.owner, "9000.00")

    assert_refused(make_request(cast.agent, manager_refund()), cast.owner, "four_eyes")


def test_handing_the_agent_over_does_not_free_its_owner(cast: Cast) -> None:
    people.change_roles(cast.owner.pk, actor=INSTALLER, roles=["manager"], reason="promoted")
    make_limit(cast.owner, "9000.00")
    request = make_request(cast.agent, manager_refund())

    hand_over(cast.agent, cast.otto)

    assert_refused(request, cast.owner, "four_eyes")
    later = make_request(cast.agent, manager_refund("700.00"))
    approve(later, cast.owner)  # it had another owner already when it asked for this
    assert fresh(later).state == "approved"


def hand_over(agent: Agent, owner: User) -> None:
    agents.change_agent(
        agent.pk,
        actor=INSTALLER,
        owner=owner,
        team=agent.team,
        action_types=agent.action_types,
        model=agent.model,
        ceiling=None,
    )


@pytest.mark.parametrize("spelling", ["mona", "MONA", "Mona@Retailer.example", "  mona "])
def test_whom_it_is_for_does_not_decide_however_the_agent_spells_it(
    cast: Cast, spelling: str
) -> None:
    request = make_request(cast.agent, manager_refund(), on_behalf_of=spelling)

    assert_refused(request, cast.mona, "four_eyes")


def test_a_second_account_of_the_owner_is_the_owner(cast: Cast) -> None:
    villain = make_person("olga2", "manager", person="Olga")
    make_limit(villain, "9000.00")

    assert_refused(make_request(cast.agent, manager_refund()), villain, "four_eyes")


def test_a_second_account_is_not_a_second_person(cast: Cast) -> None:
    twin = make_person("otto.admin", "security", person="otto")
    request = make_access(cast)
    approve(request, cast.otto)
    before, known = snapshot(request), codes(request)

    with pytest.raises(AlreadyDecided):
        approve(request, twin)

    assert (snapshot(request), codes(request)) == (before, known)


def test_who_is_in_both_groups_counts_once(cast: Cast) -> None:
    both = make_person("bella", "security", "operations")
    request = make_access(cast)
    approve(request, both)

    with pytest.raises(AlreadyDecided):
        approve(request, both)

    assert_story(request, "pending_approval", [*ROUTED, "decision.recorded"])
    assert request.grants.count() == 0


# --- Limits


def test_an_amount_above_ones_limit_is_not_approved_and_may_be_rejected(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund("1000.01"))

    with pytest.raises(NotAuthorised, match=r"1,?000.00 EUR") as refused:
        approve(request, cast.mona)

    assert refused.value.code == "over_limit"
    known = codes(request)
    assert known[-1] == "decision.refused"
    reject(request, cast.mona)
    assert_story(request, "rejected", [*known, "decision.recorded", "request.rejected"])


def test_the_limit_of_a_day_counts_what_was_approved_before(cast: Cast) -> None:
    make_limit(cast.mona, "1000.00", per_day="1500.00")
    approve(make_request(cast.agent, manager_refund("800.00")), cast.mona)
    second = make_request(cast.agent, manager_refund("701.00"))

    with pytest.raises(NotAuthorised) as refused:
        approve(second, cast.mona)

    assert refused.value.code == "over_daily_limit"
    assert fresh(second).state == "pending_approval"
    assert second.decisions.count() == 0


def test_a_second_account_has_no_second_day(cast: Cast) -> None:
    make_limit(cast.mona, "1000.00", per_day="1000.00")
    twin = make_person("mona2", "manager", person="mona")
    make_limit(twin, "1000.00", per_day="1000.00")
    approve(make_request(cast.agent, manager_refund("800.00")), cast.mona)

    with pytest.raises(NotAuthorised) as refused:
        approve(make_request(cast.agent, manager_refund("700.00")), twin)

    assert refused.value.code == "over_daily_limit"


def test_a_limit_in_another_currency_is_none(cast: Cast) -> None:
    limits.remove_limit(cast.mona.approval_limits.get().pk, actor=INSTALLER, reason="test")
    make_limit(cast.mona, "1000.00", currency="USD")

    with pytest.raises(NotAuthorised) as refused:
        approve(make_request(cast.agent, manager_refund()), cast.mona)

    assert refused.value.code == "no_limit"


# --- Pages


def assert_nothing_happened(
    request: ActionRequest, attempt: Callable[[], object], error: type[Exception]
) -> None:
    before, known = snapshot(request), codes(request)

    with pytest.raises(error):
        attempt()

    assert (snapshot(request), codes(request)) == (before, known)


def test_a_used_page_is_not_used_twice_not_even_for_another_verdict(cast: Cast) -> None:
    request = make_access(cast)
    seen = look_at(request, cast.otto)
    decide.escalate(request.pk, decider=cast.otto, seen=seen, reason="not sure")

    assert_nothing_happened(
        request,
        lambda: decide.approve(request.pk, decider=cast.otto, seen=seen, reason_code="as_proposed"),
        AlreadyDecided,
    )


def test_a_page_from_before_new_evidence_is_stale(cast: Cast) -> None:
    request = make_crm(cast)
    seen = look_at(request, cast.otto)
    ask(request, cast.oona)
    photo = SuppliedEvidence(kind="photo", title="Photo", excerpt="signed contract")
    answer.answer(request.pk, agent=cast.agent, body="Here it is.", evidence=(photo,))

    assert_nothing_happened(
        request,
        lambda: decide.approve(request.pk, decider=cast.otto, seen=seen),
        StalePage,
    )
    approve(request, cast.otto)
    assert fresh(request).state == "approved"


def test_another_persons_page_decides_nothing(cast: Cast) -> None:
    request = make_crm(cast)
    seen = look_at(request, cast.otto)

    assert_nothing_happened(
        request, lambda: decide.approve(request.pk, decider=cast.oona, seen=seen), StalePage
    )


def test_a_page_of_another_request_decides_nothing(cast: Cast) -> None:
    request, other = make_crm(cast), make_crm(cast, stage="lost")
    seen = look_at(other, cast.otto)

    assert_nothing_happened(
        request, lambda: decide.approve(request.pk, decider=cast.otto, seen=seen), StalePage
    )


def test_a_forged_token_opens_no_page(cast: Cast) -> None:
    token = token_for(make_crm(cast), cast.otto)
    foreign = signing.dumps({"request": "x"}, key="somebody else's key", salt="approvals.review")

    for villain in (token[:-1] + ("A" if token[-1] != "A" else "B"), foreign, "", "a:b:c"):
        with pytest.raises(StalePage):
            unseal(villain)


def test_after_the_deadline_nobody_decides_although_nothing_has_swept_yet(cast: Cast) -> None:
    request = make_crm(cast)
    seen = look_at(request, cast.otto)
    make_older(request, timedelta(hours=8))

    assert_nothing_happened(
        request, lambda: decide.approve(request.pk, decider=cast.otto, seen=seen), WrongState
    )
    assert fresh(request).decide_by <= clock.now()  # type: ignore[operator]


def test_who_comes_second_is_told_who_was_first_and_when(cast: Cast) -> None:
    request = make_crm(cast)
    seen = look_at(request, cast.oona)
    reject(request, cast.otto)

    with pytest.raises(WrongState, match=r"Rejected now: otto decided at .* UTC"):
        decide.approve(request.pk, decider=cast.oona, seen=seen)

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
        seen = look_at(request, cast.mona)
        with pytest.raises(ReasonRequired):
            decide.approve(
                request.pk, decider=cast.mona, seen=seen, reason_code=reason_code, comment=comment
            )

    assert_story(request, "pending_approval", ROUTED)


def test_below_tier_3_an_approval_needs_none_and_a_rejection_does(cast: Cast) -> None:
    approved, rejected = make_crm(cast), make_crm(cast, stage="lost")

    decide.approve(approved.pk, decider=cast.otto, seen=look_at(approved, cast.otto))
    with pytest.raises(ReasonRequired):
        decide.reject(
            rejected.pk, decider=cast.otto, seen=look_at(rejected, cast.otto), reason_code=""
        )

    assert_story(approved, "approved", [*ROUTED, *DECIDED])
    assert_story(rejected, "pending_approval", ROUTED)


def test_asking_and_escalating_need_words(cast: Cast) -> None:
    request = make_crm(cast)

    with pytest.raises(ReasonRequired):
        decide.request_changes(
            request.pk, decider=cast.otto, seen=look_at(request, cast.otto), question=" "
        )
    with pytest.raises(ReasonRequired):
        decide.escalate(request.pk, decider=cast.otto, seen=look_at(request, cast.otto), reason="")

    assert_story(request, "pending_approval", ROUTED)


TIER_2_NEEDS_A_CONTRACT = (
    "requirements: [{group: operations}]\n    evidence: []",
    "requirements: [{group: operations}]\n    evidence: [contract]",
)


def test_missing_evidence_blocks_approval_by_name_and_rejecting_not(cast: Cast) -> None:
    publish(cast, TIER_2_NEEDS_A_CONTRACT)
    request = make_crm(cast)

    with pytest.raises(EvidenceMissing, match="contract"):
        approve(request, cast.otto)

    assert_story(request, "pending_approval", ROUTED)
    reject(request, cast.otto)
    assert fresh(request).state == "rejected"


def test_evidence_of_last_week_is_not_there(cast: Cast) -> None:
    publish(cast, TIER_2_NEEDS_A_CONTRACT)
    old, new = (
        SuppliedEvidence(kind="contract", title="Contract", retrieved_at=clock.now() - age)
        for age in (timedelta(days=7), timedelta(hours=1))
    )
    stale = make_request(cast.agent, crm(stage="lost"), action_type="crm.update", evidence=(old,))
    good = make_request(cast.agent, crm(stage="won"), action_type="crm.update", evidence=(new,))

    with pytest.raises(EvidenceMissing, match="contract"):
        approve(stale, cast.otto)
    approve(good, cast.otto)

    assert (fresh(stale).state, fresh(good).state) == ("pending_approval", "approved")
