"""Actions an agent carries out itself: one grant, one report, and nothing on its word alone."""

from __future__ import annotations

import pytest

from approvals.exceptions import (
    ApprovalError,
    InvalidProposal,
    NotFound,
    NotReversible,
    WrongState,
)
from approvals.models import (
    ActionRequest,
    Agent,
    Attempt,
    Grant,
)
from approvals.selectors import due
from approvals.services import restores
from approvals.services.execute import NotNow, claim_now, execute
from approvals.services.recover import recover
from approvals.services.redeem import Report, Reported, redeem, report
from approvals.services.sweep import sweep
from approvals.services.undo import propose_undo
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.reading import one_snapshot
from audit.selectors import events_of
from audit.verify import verify
from connectors.base import Action, ConnectorError, Preview
from connectors.registry import action_type, connector_for
from tests.approvals.agents_own import (
    APPROVED,
    COMMAND,
    LEASE,
    REDEEMED,
    approved_command,
    executions,
    lease_over,
    make_coder,
    make_command,
    redeemed,
    refused,
    reports,
    told,
)
from tests.approvals.make import (
    Cast,
    approve,
    approve_with_edits,
    crm,
    fresh,
    look_at,
    make_agent,
    make_crm,
    make_person,
    make_plan,
    make_proof,
)
from tests.approvals.restoring import end_freeze
from tests.approvals.story import assert_story, codes, facts_of

# --- from the proposal to the report --------------------------------------------------------------


def test_it_is_redeemed_once_carried_out_and_reported_and_never_verified(
    cast: Cast, coder: Agent
) -> None:
    request = approved_command(cast, coder)
    before = db_clock.now()

    grant = redeemed(request)
    reports(request)
    sweep()

    row = Grant.objects.get(request=request)
    assert (grant.id, grant.digest, grant.params) == (row.pk, request.digest, COMMAND)
    assert before + LEASE <= grant.not_after <= db_clock.now() + LEASE
    assert_story(request, "executed", [*REDEEMED, "execution.reported", "request.executed"])
    assert executions(request) == [
        {
            "state": "succeeded",
            "redeemer": "run-1",
            "receipt_reference": "build-4711",
            "problem": "",
        }
    ]
    for code in (AuditCode.GRANT_CONSUMED, AuditCode.REPORTED, AuditCode.EXECUTED):
        event = events_of(request).get(code=code)
        assert (event.actor_kind, event.actor_name) == ("agent", "coder")
    story = told(request)
    assert (story.outcome, story.final, story.poll_after) == ("done", True, None)
    assert story.message == "Reported by the agent, not verified: you said that it is done."
    assert not request.executions.get().verifications.exists()
    with one_snapshot():
        assert verify().problem is None


def test_it_counts_one_tier_higher_and_says_so(cast: Cast, coder: Agent) -> None:
    request = make_command(coder)

    found = fresh(request)
    said = found.policy_decisions.latest("id")
    assert (found.risk_tier, facts_of(request)["action.execution"]) == (4, "agent")
    assert {r.group for r in found.requirements.all()} == {"security", "operations"}
    assert said.tier == 4
    assert "one risk tier higher" in told(request).message


def test_the_agent_has_to_act_once_it_is_approved(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)

    story = told(request)
    assert (story.outcome, story.final) == ("needs_agent", False)
    assert "redeem/" in story.message
    redeemed(request)
    assert told(request).outcome == "open"
    assert "second time" in told(request).message


def test_what_a_reviewer_changed_is_what_the_grant_says(cast: Cast, coder: Agent) -> None:
    request = make_command(coder)
    edited = {**COMMAND, "command": "make check"}
    approve_with_edits(
        request.pk,
        decider=cast.sara,
        reviewed=look_at(request, cast.sara),
        params=edited,
        reason_code="corrected",
        proof=make_proof(cast.sara),
    )
    approve(request, cast.otto, make_person("sven", "security"))

    assert redeemed(request).params == edited


# --- once -----------------------------------------------------------------------------------------


def test_the_same_redeemer_gets_the_same_answer_and_nobody_else_one(
    cast: Cast, coder: Agent
) -> None:
    request = approved_command(cast, coder)

    first = redeemed(request)

    assert redeemed(request) == first
    assert refused(request, "run-2") == "grant_consumed"
    assert codes(request) == REDEEMED
    assert Attempt.objects.filter(execution__request=request).count() == 1


def test_after_the_lease_not_even_the_same_redeemer_gets_it_again(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    redeemed(request)
    lease_over(request)

    assert refused(request) == "grant_consumed"
    recover(request.pk)
    assert refused(request) == "grant_consumed"


def test_after_its_report_nobody_gets_it_again(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    redeemed(request)
    reports(request)

    assert refused(request) == "grant_consumed"


def test_another_agent_finds_no_such_request(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    other = make_coder(cast, "other")

    with pytest.raises(NotFound):
        redeem(request.pk, agent=other, redeemer="run-1")
    redeemed(request)
    with pytest.raises(NotFound):
        redeem(request.pk, agent=other, redeemer="run-1")
    with pytest.raises(NotFound):
        report(request.pk, agent=other, said=Report(1, Reported.DONE, "build-4711"))
    assert fresh(request).state == "executing"


def test_workers_never_carry_it_out_and_agents_nothing_of_ours(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    ours = make_crm(cast)
    approve(ours, cast.otto)

    assert due.unclaimed_approvals(db_clock.now()) == [ours.pk]
    execute(request.pk)
    assert isinstance(claim_now(request.pk, Preview()), NotNow)
    assert_story(request, "approved", APPROVED)
    assert refused(ours) == "executed_by_countersign"
    assert fresh(ours).state == "approved"
    connector = connector_for(action_type("command.run"))
    with pytest.raises(ConnectorError):
        connector.execute(Action("command.run", COMMAND), idempotency_key="k")


# --- what cannot be ------------------------------------------------------------------------------


def test_a_database_restored_since_gives_no_grant_away_a_second_time(
    cast: Cast, coder: Agent
) -> None:
    request = make_command(coder)
    restores.freeze(actor=Actor.system("test"), reason="restored")
    sweep()
    end_freeze(cast.ada)
    approve(request, cast.sara, cast.otto)

    assert refused(request) == "outcome_unknown"
    assert fresh(request).state == "outcome_unknown"
    assert refused(request) == "grant_consumed"


def test_nothing_here_takes_it_back(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    redeemed(request)
    reports(request)

    with pytest.raises((NotReversible, WrongState)):
        propose_undo(request.pk, person=cast.otto, reason="oops", idempotency_key="u")


def test_it_is_no_step_of_a_plan(cast: Cast, coder: Agent) -> None:
    agent = make_agent(cast.owner, "planner")

    with pytest.raises(InvalidProposal) as refusal:
        make_plan(
            agent,
            ("command.run", COMMAND),
            ("crm.update", crm()),
        )

    assert [one.field for one in refusal.value.problems] == ["steps.0.action_type"]


def test_without_its_system_named_nobody_proposes_one(cast: Cast) -> None:
    with pytest.raises((ApprovalError, LookupError)):
        make_command(make_agent(cast.owner, "coder"))
    assert not ActionRequest.objects.filter(action_type="command.run").exists()
