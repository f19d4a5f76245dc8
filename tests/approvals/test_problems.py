"""What a failure and an incident say went wrong: for people, and without naming staff."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from approvals.choices import PauseScope
from approvals.domain.attempts import call
from approvals.models import ActionRequest
from approvals.services.execute import execute, settle
from approvals.services.pauses import pause
from approvals.services.verify import read_back, reconcile
from audit.actors import Actor
from connectors.sandbox.server import Sandbox
from connectors.sandbox.web import Fault
from tests.approvals.answers import answer_of, view_of
from tests.approvals.executing import claimed, plan, taken_over
from tests.approvals.make import (
    Cast,
    approve,
    make_crm,
    make_request,
)
from tests.database import triggers_off
from tests.systems import WITHOUT_LOOK_UP, declare

REFUNDS = {"path": "/v1/refunds", "method": "POST"}


def problem(request: ActionRequest, state: str) -> str:
    """What the answer says went wrong; the page says the same."""
    answer = answer_of(request)
    assert answer["state"] == state
    said: str = answer["execution"]["problem"]
    assert view_of(request).cause == said
    return said


def test_a_failure_says_what_was_paused_and_not_by_whom(cast: Cast, sandbox: Sandbox) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    claim = claimed(request)
    pause(PauseScope.ALL, actor=Actor.human(cast.ada), reason="odd numbers")

    settle(claim, call(claim))

    said = problem(request, "failed")
    assert said == "Nothing was sent. Everything is paused: odd numbers"
    assert "ada" not in said


def test_a_failure_says_what_the_target_answered(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="refuse", **REFUNDS))  # type: ignore[arg-type]

    execute(request.pk)

    assert problem(request, "failed").startswith("Nothing was done. ")
    assert request.executions.get().problem in problem(request, "failed")


def test_nobody_knows_and_it_says_what_was_answered_after_reading_too(
    cast: Cast, sandbox: Sandbox, settings: Settings
) -> None:
    settings.EXECUTION_MAX_ATTEMPTS = 1
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="error_500", **REFUNDS))  # type: ignore[arg-type]
    execute(request.pk)
    taken = problem_after_giving_up(request)

    reconcile(request.pk)
    reconcile(request.pk)

    said = problem(request, "outcome_unknown")
    assert said == f"{taken} The target does not show it."
    assert "had an error of its own" in taken
    assert taken.startswith("Nobody knows whether it was done. ")


def problem_after_giving_up(request: ActionRequest) -> str:
    if answer_of(request)["state"] == "executing":
        taken_over(request)
    return problem(request, "outcome_unknown")


def test_a_call_nobody_answered_and_a_pause_are_both_named(
    cast: Cast, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, "refund.issue", at_most_once=WITHOUT_LOOK_UP)
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="error_500", **REFUNDS))  # type: ignore[arg-type]
    execute(request.pk)
    pause(PauseScope.ALL, actor=Actor.human(cast.ada), reason="odd numbers")

    taken_over(request)

    said = problem(request, "outcome_unknown")
    assert "had an error of its own" in said
    assert said.endswith("Not repeated: Everything is paused: odd numbers")


def test_an_incident_says_what_differs(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)
    claim = claimed(request)
    settle(claim, call(claim))
    with sandbox.store.transaction("payments") as store:
        (found,) = store.all("refund")
        store.put("refund", found["id"], {**found, "amount": 90_000})

    read_back(request.pk)

    said = problem(request, "verification_failed")
    assert said.startswith("It was done, and differs from what was approved: ")
    assert "90000" in said or "900.00" in said


def test_a_target_that_never_could_be_read_says_that(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)
    claim = claimed(request)
    settle(claim, call(claim))
    plan(sandbox, Fault(mode="error_500", path="/v1/refunds", method="GET", times=99))

    for _ in range(6):
        read_back(request.pk)

    said = problem(request, "verification_failed")
    assert said.startswith("It was done, and could not be read back: ")


def test_a_target_that_answers_with_a_book_is_cut_and_made_visible(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="refuse", **REFUNDS))  # type: ignore[arg-type]
    execute(request.pk)
    text = "\u202e" + "x" * 499
    with triggers_off():
        request.executions.update(problem=text)

    said = problem(request, "failed")

    assert len(said) == 500
    assert "\u202e" not in said


def test_an_unclear_reading_that_came_out_well_is_no_problem(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)
    claim = claimed(request)
    settle(claim, call(claim))
    plan(sandbox, Fault(mode="error_500", path="/v1/refunds", method="GET"))
    read_back(request.pk)
    assert problem(request, "executed").startswith("It was done, and could not be read back")

    read_back(request.pk)

    assert answer_of(request)["execution"]["problem"] is None
    assert view_of(request).cause == ""
