"""Who may not decide, and what their attempt leaves behind: one event, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from approvals.exceptions import AlreadyDecided, NotAuthorised
from approvals.models import ActionRequest, Agent
from approvals.services import agents, decide
from policies.models import User
from policies.services import limits, people
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    approve_with_edits,
    fresh,
    look_at,
    make_access,
    make_limit,
    make_person,
    make_request,
    manager_refund,
    reject,
)
from tests.approvals.story import ROUTED, assert_story, codes, newest_event, snapshot


def assert_refused(request: ActionRequest, villain: User, code: str) -> None:
    """Approving, rejecting, asking, escalating and editing fail; only events remain."""
    before, known = snapshot(request), codes(request)
    reviewed = look_at(request, villain)
    attempts: list[Callable[[], object]] = [
        lambda: decide.approve(
            request.pk, decider=villain, reviewed=reviewed, reason_code="as_proposed"
        ),
        lambda: decide.reject(request.pk, decider=villain, reviewed=reviewed, reason_code="policy"),
        lambda: decide.request_changes(
            request.pk, decider=villain, reviewed=reviewed, question="Why?"
        ),
        lambda: decide.escalate(request.pk, decider=villain, reviewed=reviewed, reason="not mine"),
        lambda: approve_with_edits(
            request.pk,
            decider=villain,
            reviewed=reviewed,
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
    cast.agent.refresh_from_db()  # as its next call reads it
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
