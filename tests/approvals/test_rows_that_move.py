"""What changes by rule changes only along the rule, and not without its event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from approvals.choices import PauseScope
from approvals.models import ActionRequest, Agent, Attempt, Execution, Grant, Requirement
from approvals.services.agents import pause_agent
from approvals.services.budgets import Budget, set_budget
from approvals.services.execute import execute
from approvals.services.pauses import lift, pause
from audit.actors import Actor
from audit.lib import db_clock
from audit.models import RequiredEvent
from tests.approvals.make import INSTALLER, Cast, approve, make_crm, make_key, make_request, refund
from tests.database import as_superuser


def refused(rows: QuerySet[Any], **changes: Any) -> None:
    """The change is refused at once, or when its transaction ends without an event."""
    before = list(rows.values())
    assert before

    with pytest.raises(IntegrityError), transaction.atomic():
        _commit(rows, changes)

    assert list(rows.values()) == before


def _commit(rows: QuerySet[Any], changes: dict[str, Any]) -> None:
    rows.update(**changes)
    connection.check_constraints()  # what a commit does


def executed(cast: Cast) -> ActionRequest:
    request = make_crm(cast)
    approve(request, cast.otto)
    execute(request.pk)
    request = ActionRequest.objects.get(pk=request.pk)
    assert request.state in {"verified", "audited"}
    return request


def test_a_receipt_is_written_once(cast: Cast) -> None:
    execution = Execution.objects.filter(request=executed(cast))

    refused(execution, receipt="{}")
    refused(execution, receipt_reference="another")
    refused(execution, receipt="", receipt_reference="")
    refused(execution, state="running")
    refused(execution, fence=0)
    refused(execution, finished_at=db_clock.now())


def test_how_a_call_ended_is_final(cast: Cast) -> None:
    attempt = Attempt.objects.filter(execution__request=executed(cast))
    assert attempt.get().outcome == "receipt"

    refused(attempt, outcome="retry")
    refused(attempt, detail="Nothing happened.")
    refused(attempt, finished_at=db_clock.now())
    attempt.update(late_result="It came twice.", finished_at=db_clock.now())
    refused(attempt, late_result="It came once.")


def test_a_grant_is_used_once_and_not_without_an_event(cast: Cast) -> None:
    waiting = make_crm(cast, stage="lost")
    approve(waiting, cast.otto)
    used = Grant.objects.filter(request=executed(cast))

    refused(used, consumed_at=None)
    refused(used, ceiling_minor=10**9)
    refused(Grant.objects.filter(request=waiting), consumed_at=db_clock.now())
    refused(Grant.objects.filter(request=waiting), revoked_at=db_clock.now())
    refused(Grant.objects.filter(request=waiting), started_by=cast.otto)


def test_whom_a_request_waits_for_is_neither_lowered_nor_opened_again(cast: Cast) -> None:
    asked = Requirement.objects.filter(request=make_crm(cast))
    closed = Requirement.objects.filter(request=executed(cast))
    assert set(closed.values_list("is_open", flat=True)) == {False}

    refused(asked, quorum=9)
    refused(asked, group="support")
    refused(asked, within_limit=True)
    refused(asked, escalated_to="support")
    refused(closed, is_open=True)


def test_what_a_request_asks_for_changes_with_its_version_and_only_before_it_is_approved(
    cast: Cast,
) -> None:
    waiting = make_request(cast.agent, refund())
    rows = ActionRequest.objects.filter(pk=waiting.pk)
    version = waiting.version + 1

    refused(rows, amount_minor=1)
    refused(rows, target="ch_9999")
    refused(rows, effect="Nothing at all.")
    refused(rows, amount_minor=1, version=version)  # no such content
    waiting.contents.create(version=version, action="{}", digest="d", created_at=db_clock.now())
    refused(rows, amount_minor=1, version=version)  # another digest than the content's
    refused(rows, amount_minor=1, version=version + 1, digest="d")


@pytest.mark.parametrize(
    "change",
    [
        {"risk_tier": 0},
        {"verdict": "allow"},
        {"amount_base": 1},
        {"execute_by": None},
        {"decide_by": None, "clock_round": 9},
        {"version": 2},
        {"audit_seq": 1},
    ],
)
def test_a_request_that_has_run_stays_as_it_was_judged(cast: Cast, change: dict[str, Any]) -> None:
    refused(ActionRequest.objects.filter(pk=executed(cast).pk), **change)


def test_an_agent_gets_no_other_ceiling_without_an_event(cast: Cast) -> None:
    agent = Agent.objects.filter(pk=cast.agent.pk)

    for change in (
        {"ceiling_minor": 10**9, "ceiling_currency": "EUR"},
        {"level": 3},
        {"team": "x"},
    ):
        refused(agent, **change)


@pytest.mark.parametrize(
    "make",
    [
        lambda cast: (make_key(cast.agent), cast.agent.keys.filter(revoked_at=None))[1],
        lambda cast: type(
            set_budget(cast.agent.pk, action_type="*", budget=Budget(count=9), actor=INSTALLER)
        ).objects.filter(agent=cast.agent),
        lambda cast: type(pause(PauseScope.ALL, actor=INSTALLER, reason="stop")).objects.all(),
    ],
    ids=["key", "budget", "pause"],
)
def test_nothing_ends_without_an_event(cast: Cast, make: Callable[[Cast], QuerySet[Any]]) -> None:
    rows = make(cast)
    names = {field.name for field in rows.model._meta.concrete_fields}
    end = {"revoked_at", "lifted_at"} & names

    refused(rows, **({end.pop(): db_clock.now()} if end else {"valid": False}))


def test_an_event_of_an_earlier_transaction_does_not_vouch_for_a_change(cast: Cast) -> None:
    pause_agent(cast.agent.pk, actor=INSTALLER, reason="odd")
    connection.check_constraints()

    refused(Agent.objects.filter(pk=cast.agent.pk), paused_at=None)


def test_nobody_takes_the_demand_for_an_event_back(cast: Cast) -> None:
    villain = Actor.system("villain")
    earlier = pause(PauseScope.ALL, actor=villain, reason="stop")
    lift(earlier.pk, actor=villain)

    required = RequiredEvent.objects.filter(subject_type="approvals.pause")

    for change in (lambda: required.update(seq=1), required.delete):
        with (
            as_superuser(),
            pytest.raises(IntegrityError, match="append-only"),
            transaction.atomic(),
        ):
            change()


@pytest.mark.django_db(transaction=True)
def test_the_commit_itself_refuses_a_change_without_an_event(cast: Cast) -> None:
    with pytest.raises(IntegrityError):
        Agent.objects.filter(pk=cast.agent.pk).update(level=3)

    assert Agent.objects.get(pk=cast.agent.pk).level == cast.agent.level
