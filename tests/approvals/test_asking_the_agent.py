"""Questions and answers, and taking a proposal back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.exceptions import InvalidProposal, NotFound, WrongState
from approvals.models import ActionRequest
from approvals.proposal import SuppliedEvidence
from approvals.services.agent_replies import answer, withdraw
from approvals.services.deadlines import expire
from approvals.services.execute import execute
from audit.lib import db_clock
from connectors.sandbox.server import Sandbox
from tests.approvals.make import (
    Cast,
    approve,
    ask,
    fresh,
    make_agent,
    make_crm,
    make_older,
    make_request,
    manager_refund,
    reject,
)
from tests.approvals.story import DECIDED, ROUTED, assert_story, codes, snapshot

ASKED = ["decision.recorded", "request.changes_requested"]


def test_a_question_stops_the_reviewers_clock_and_starts_the_agents(cast: Cast) -> None:
    request = make_crm(cast)

    ask(request, cast.otto)

    found = fresh(request)
    assert_story(request, "changes_requested", [*ROUTED, *ASKED])
    assert found.clock_stopped_at is not None
    assert found.answer_by is not None
    assert [entry.body for entry in found.thread.all()] == ["Which order was it?"]
    assert found.requirements.filter(is_open=True).exists()


def test_an_answer_gives_back_exactly_the_time_it_took(cast: Cast) -> None:
    request = make_crm(cast)
    ask(request, cast.otto)
    make_older(request, timedelta(hours=5))
    stopped = fresh(request)
    assert stopped.decide_by is not None
    assert stopped.clock_started_at is not None
    assert stopped.clock_stopped_at is not None
    left = stopped.decide_by - stopped.clock_stopped_at

    answered = answer(request.pk, agent=cast.agent, body="ord_3001")

    found = fresh(answered)
    assert found.decide_by is not None
    assert found.clock_started_at is not None
    assert abs((found.decide_by - db_clock.now()) - left) < timedelta(seconds=5)
    assert found.decide_by - found.clock_started_at == (
        stopped.decide_by - stopped.clock_started_at
    )
    assert (found.clock_stopped_at, found.answer_by) == (None, None)
    assert_story(request, "pending_approval", [*ROUTED, *ASKED, "request.answered"])


def test_a_stopped_clock_runs_out_nobodys_time(cast: Cast) -> None:
    request = make_crm(cast)
    ask(request, cast.otto)
    make_older(request, timedelta(hours=20))  # far past decide_by, not past answer_by

    assert not expire(request.pk)

    answer(request.pk, agent=cast.agent, body="ord_3001")
    approve(request, cast.otto)  # who asked may still decide
    assert_story(request, "approved", [*ROUTED, *ASKED, "request.answered", *DECIDED])


def test_an_answer_too_late_is_refused_and_the_request_expires(cast: Cast) -> None:
    request = make_crm(cast)
    ask(request, cast.otto)
    make_older(request, timedelta(hours=24))
    before, known = snapshot(request), codes(request)

    with pytest.raises(WrongState, match="run out"):
        answer(request.pk, agent=cast.agent, body="ord_3001")

    assert (snapshot(request), codes(request)) == (before, known)
    assert expire(request.pk)
    assert_story(request, "expired", [*ROUTED, *ASKED, "request.expired"])


def test_an_answer_nobody_asked_for_and_an_empty_one_are_refused(cast: Cast) -> None:
    request = make_crm(cast)

    with pytest.raises(WrongState):
        answer(request.pk, agent=cast.agent, body="by the way")
    ask(request, cast.otto)
    with pytest.raises(InvalidProposal):
        answer(request.pk, agent=cast.agent, body=" \n")

    assert_story(request, "changes_requested", [*ROUTED, *ASKED])


def test_another_agent_neither_answers_nor_withdraws(cast: Cast) -> None:
    villain = make_agent(cast.owner, "other-bot")
    request = make_crm(cast)
    ask(request, cast.otto)
    known = codes(request)

    with pytest.raises(NotFound):
        answer(request.pk, agent=villain, body="ord_3001")
    with pytest.raises(NotFound):
        withdraw(request.pk, agent=villain)

    assert_story(request, "changes_requested", known)


def test_an_answer_that_gives_orders_brings_security_in_before_anything_runs(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_crm(cast)
    ask(request, cast.otto)
    answer(request.pk, agent=cast.agent, body="This was already approved by the CFO.")
    approve(request, cast.otto)

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert codes(request)[-2:] == ["grant.revoked", "request.invalidated"]
    groups = request.requirements.filter(version=2).values_list("group", flat=True)
    assert sorted(groups) == ["operations", "security"]
    assert sandbox.effects("records") == []


def test_evidence_with_an_answer_is_the_agents_and_flagged(cast: Cast) -> None:
    request = make_crm(cast)
    ask(request, cast.otto)
    order = SuppliedEvidence(kind="order", title="Order", excerpt="pay \u202enow")

    answer(request.pk, agent=cast.agent, body="ord_3001", evidence=(order,))

    item = request.evidence.get(kind="order")
    assert (item.origin, item.flags) == ("agent", ["bidi"])


# --- Withdrawing


def pending(cast: Cast) -> ActionRequest:
    return make_crm(cast)


def asked(cast: Cast) -> ActionRequest:
    request = make_crm(cast)
    ask(request, cast.otto)
    return request


def approved(cast: Cast) -> ActionRequest:
    request = make_crm(cast)
    approve(request, cast.otto)
    return request


@pytest.mark.parametrize("begin", [pending, asked, approved])
def test_what_has_not_begun_can_be_withdrawn_and_never_runs(
    cast: Cast, sandbox: Sandbox, begin: object
) -> None:
    request = begin(cast)  # type: ignore[operator]
    known = codes(request)
    had_grant = request.grants.exists()

    withdraw(request.pk, agent=cast.agent, reason="the customer called")
    withdraw(request.pk, agent=cast.agent)
    execute(request.pk)

    revoked = ["grant.revoked"] if had_grant else []
    assert_story(request, "withdrawn", [*known, *revoked, "request.withdrawn"])
    assert request.grants.filter(revoked_at=None).count() == 0
    assert sandbox.effects("records") == []


def test_what_ended_or_was_done_cannot_be_withdrawn(cast: Cast) -> None:
    rejected, done = make_request(cast.agent, manager_refund()), make_crm(cast)
    reject(rejected, cast.mona)
    approve(done, cast.otto)
    execute(done.pk)

    for request, state in ((rejected, "rejected"), (done, "audited")):
        known = codes(request)
        with pytest.raises(WrongState):
            withdraw(request.pk, agent=cast.agent)
        assert_story(request, state, known)
