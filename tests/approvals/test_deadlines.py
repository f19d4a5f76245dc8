"""Time reminds, escalates and ends things: each step once and on record; silence is never yes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.choices import REMINDERS, EscalationStep
from approvals.exceptions import WrongState
from approvals.models import ActionRequest
from approvals.services.deadlines import expire, step_on
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from connectors.sandbox.server import Sandbox
from policies.models import User
from tests.approvals.make import (
    Cast,
    approve,
    ask,
    fresh,
    look_at,
    make_access,
    make_crm,
    make_older,
    reject,
)
from tests.approvals.story import DECIDED, ROUTED, assert_story, codes


def steps(request: ActionRequest) -> list[tuple[str, str, str]]:
    return list(request.escalations.values_list("step", "from_group", "to_group"))


def pass_time(request: ActionRequest, share: float) -> None:
    """Let that share of the time people have to decide go by."""
    found = fresh(request)
    assert found.decide_by is not None
    assert found.clock_started_at is not None
    make_older(request, (found.decide_by - found.clock_started_at) * share)


def test_nothing_is_due_before_half_the_time(cast: Cast) -> None:
    request = make_crm(cast)
    pass_time(request, 0.49)

    sweep()

    assert_story(request, "pending_approval", ROUTED)
    assert steps(request) == []


def test_reminders_come_at_half_and_three_quarters_each_once(cast: Cast) -> None:
    request = make_crm(cast)

    pass_time(request, 0.51)
    sweep()
    sweep()
    assert_story(request, "pending_approval", [*ROUTED, "reminder.recorded"])
    pass_time(request, 0.25)
    sweep()
    sweep()

    assert_story(request, "pending_approval", [*ROUTED, *["reminder.recorded"] * 2])
    assert steps(request) == [
        ("reminder_50", "operations", "operations"),
        ("reminder_75", "operations", "operations"),
    ]


def test_nine_tenths_of_the_time_makes_it_the_next_levels_problem(cast: Cast) -> None:
    request = make_crm(cast)
    pass_time(request, 0.91)

    sweep()
    sweep()

    assert_story(
        request,
        "pending_approval",
        [*ROUTED, "reminder.recorded", "reminder.recorded", "escalation.recorded"],
    )
    assert steps(request)[-1] == ("overdue", "operations", "manager")
    assert request.requirements.get().escalated_to == "manager"
    approve(request, cast.mona)
    assert fresh(request).state == "approved"


def test_a_group_that_has_answered_is_not_pressed(cast: Cast) -> None:
    request = make_access(cast)
    approve(request, cast.otto)
    pass_time(request, 0.91)

    sweep()

    assert {group for _, group, _ in steps(request)} == {"security"}


def test_time_that_ran_out_expires_and_says_nobody_said_no(cast: Cast) -> None:
    request = make_crm(cast)
    page = look_at(request, cast.otto)
    pass_time(request, 1.0)

    sweep()
    sweep()

    assert_story(request, "expired", [*ROUTED, "request.expired"])
    assert steps(request) == [("expiry", "", "")]
    assert request.decisions.count() == 0
    assert request.requirements.filter(is_open=True).count() == 0
    assert page.version == 1
    with pytest.raises(WrongState, match="Expired"):
        reject(request, cast.otto)


def test_the_clock_does_not_tick_while_the_agent_is_asked(cast: Cast) -> None:
    request = make_crm(cast)
    ask(request, cast.otto)
    known = codes(request)
    pass_time(request, 0.95)

    assert step_on(request.pk) == 0
    assert not expire(request.pk)

    assert_story(request, "changes_requested", known)


def test_an_approval_not_used_in_time_expires_with_its_grant(cast: Cast, sandbox: Sandbox) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    make_older(request, timedelta(hours=24))

    execute(request.pk)  # too late already, though nothing has swept yet
    sweep()
    execute(request.pk)

    assert_story(request, "expired", [*ROUTED, *DECIDED, "grant.revoked", "request.expired"])
    grant = request.grants.get()
    assert grant.revoked_at is not None
    assert grant.consumed_at is None
    assert sandbox.effects("records") == []


def test_nothing_that_ended_expires(cast: Cast) -> None:
    request = make_crm(cast)
    reject(request, cast.otto)
    known = codes(request)
    make_older(request, timedelta(days=9))

    sweep()

    assert_story(request, "rejected", known)


def test_reminders_go_to_people_with_mail_and_never_block(cast: Cast) -> None:
    User.objects.filter(pk=cast.oona.pk).update(email="")
    request = make_crm(cast)
    pass_time(request, 0.51)

    step_on(request.pk)

    told = request.notices.filter(subject__startswith="Reminder")
    assert [notice.recipient for notice in told] == [cast.otto]


def test_reminder_times_are_changed_in_one_place(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REMINDERS, EscalationStep.FIRST_REMINDER, 20)
    request = make_crm(cast)

    pass_time(request, 0.19)
    sweep()
    assert steps(request) == []
    pass_time(request, 0.02)
    sweep()

    assert steps(request) == [("reminder_50", "operations", "operations")]
