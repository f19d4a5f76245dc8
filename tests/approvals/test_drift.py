"""Whatever changed between approval and execution: it goes back to people, and never runs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from approvals.models import ActionRequest
from approvals.services import agents
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from audit.models import AuditEvent
from connectors.sandbox.server import Sandbox
from policies.services import limits, people
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    fresh,
    make_crm,
    make_limit,
    make_person,
    make_request,
    manager_refund,
    publish,
    refund,
)
from tests.approvals.story import ALLOWED, DECIDED, DONE, ROUTED, assert_story, codes, newest_event
from tests.connectors.make import change_row

BACK = ["grant.revoked", "request.invalidated"]
Change = Callable[[Cast, Sandbox], object]


def crm_of(cast: Cast) -> ActionRequest:
    request = make_crm(cast)
    approve(request, cast.otto)
    return request


def refund_of(cast: Cast) -> ActionRequest:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    return request


def require_legal(cast: Cast, sandbox: Sandbox) -> None:
    make_person("lea", "legal")  # a policy that asks a group without people is refused
    publish(
        cast,
        (
            "effect: require_approval\n    requirements:\n      - {group: operations}",
            "effect: require_approval\n    requirements:\n      - {group: legal}",
        ),
    )


def require_two_managers(cast: Cast, sandbox: Sandbox) -> None:
    publish(
        cast,
        (
            "action.amount <= param.refund_two_people\n    effect: require_approval\n"
            "    requirements:\n      - {group: manager, within_limit: true}",
            "action.amount <= param.refund_two_people\n    effect: require_approval\n"
            "    requirements:\n      - {group: manager, within_limit: true, quorum: 2}",
        ),
    )


def somebody_else_wrote(cast: Cast, sandbox: Sandbox) -> None:
    change_row(sandbox, "UPDATE accounts SET stage = 'negotiation' WHERE id = 'acct_2001'")


def cut_the_limit(cast: Cast, sandbox: Sandbox) -> None:
    make_limit(cast.mona, "799.99")


def take_the_limit(cast: Cast, sandbox: Sandbox) -> None:
    limits.remove_limit(cast.mona.approval_limits.get().pk, actor=INSTALLER, reason="test")


def deactivate_approver(cast: Cast, sandbox: Sandbox) -> None:
    people.deactivate(cast.otto.pk, actor=INSTALLER, reason="left")


def approver_left_the_group(cast: Cast, sandbox: Sandbox) -> None:
    people.change_roles(cast.otto.pk, actor=INSTALLER, roles=["support"], reason="moved")


def approver_audits_now(cast: Cast, sandbox: Sandbox) -> None:
    roles = ["operations", "auditor"]
    people.change_roles(cast.otto.pk, actor=INSTALLER, roles=roles, reason="moved")


def approver_owns_the_agent_now(cast: Cast, sandbox: Sandbox) -> None:
    agents.change_agent(
        cast.agent.pk,
        actor=INSTALLER,
        owner=cast.otto,
        team=cast.agent.team,
        action_types=cast.agent.action_types,
        model="",
        ceiling=None,
    )


def pause(cast: Cast, sandbox: Sandbox) -> None:
    agents.pause_agent(cast.agent.pk, actor=INSTALLER, reason="odd behaviour")


@pytest.mark.parametrize(
    ("begin", "change", "reason"),
    [
        (crm_of, require_legal, "Policy now requires approval by legal."),
        (refund_of, require_two_managers, "Policy now requires approval by manager."),
        (crm_of, somebody_else_wrote, "The target has changed since it was approved."),
        (refund_of, cut_the_limit, "above your approval limit (799.99 EUR)"),
        (refund_of, take_the_limit, "You have no approval limit"),
        (crm_of, deactivate_approver, "deactivated"),
        (crm_of, approver_left_the_group, "Only operations decides this."),
        (crm_of, approver_audits_now, "they never decide"),
        (crm_of, approver_owns_the_agent_now, "the agent's owner"),
        (crm_of, pause, "It was paused since it was approved. Agent refund-bot is paused since"),
    ],
)
def test_it_goes_back_with_a_new_version_and_a_reason(
    cast: Cast,
    sandbox: Sandbox,
    begin: Callable[[Cast], ActionRequest],
    change: Change,
    reason: str,
) -> None:
    request = begin(cast)
    effects = sandbox.effects("all")
    change(cast, sandbox)

    execute(request.pk)
    execute(request.pk)
    sweep()

    found = fresh(request)
    told = [code for code in codes(request) if code != "route.empty"]
    assert told == [*ROUTED, *DECIDED, *BACK]
    assert (found.state, found.version, found.execute_by) == ("pending_approval", 2, None)
    assert found.history.latest().state == "pending_approval"
    back = next(e for e in events(request) if e["reason"])
    assert reason in back["reason"]
    assert found.grants.filter(consumed_at=None, revoked_at=None).count() == 0
    assert found.requirements.filter(version=2, is_open=True).exists()
    assert found.executions.count() == 0
    assert sandbox.effects("all") == effects


def events(request: ActionRequest) -> list[dict[str, str]]:
    found = AuditEvent.objects.filter(subject_id=str(request.pk), code="request.invalidated")
    return [json.loads(event.data) for event in found]


def test_a_limit_policy_asks_for_since_then_counts(cast: Cast, sandbox: Sandbox) -> None:
    limited = "requirements: [{group: finance, within_limit: true}]"
    publish(cast, (limited, "requirements: [{group: finance}]"))
    request = make_request(cast.agent, refund("ch_1001", amount="480.00"))
    make_limit(cast.fred, "100.00")
    approve(request, cast.fred)
    publish(cast)

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert "above your approval limit (100.00 EUR)" in events(request)[0]["reason"]
    assert sandbox.effects("payments") == []


def test_who_approved_may_approve_again_after_looking_again(cast: Cast, sandbox: Sandbox) -> None:
    request = crm_of(cast)
    somebody_else_wrote(cast, sandbox)
    execute(request.pk)

    approve(request, cast.otto)
    execute(request.pk)

    assert_story(request, "audited", [*ROUTED, *DECIDED, *BACK, *DECIDED, *DONE])
    assert len(sandbox.effects("records")) == 1


def test_what_policy_denies_by_now_ends_and_never_runs(cast: Cast, sandbox: Sandbox) -> None:
    request = refund_of(cast)
    publish(cast, ("refund_never: 2000000", "refund_never: 20000"))

    execute(request.pk)

    assert_story(request, "denied", [*ROUTED, *DECIDED, "grant.revoked", "request.denied"])
    assert json.loads(newest_event(request).data)["reason"] == ["refund-ceiling"]
    assert "200.00 EUR" in request.policy_decisions.latest("id").trace  # the rule's own words
    assert sandbox.effects("payments") == []


def test_what_would_run_by_itself_yesterday_asks_people_when_policy_got_stricter(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)
    publish(cast, ("refund_automatic: 25000", "refund_automatic: 10000"))

    execute(request.pk)

    assert_story(request, "pending_approval", [*ALLOWED, *BACK])
    assert sandbox.effects("payments") == []


def test_a_paused_agents_allowed_action_waits_for_a_manager(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)
    pause(cast, sandbox)

    execute(request.pk)

    assert_story(request, "pending_approval", [*ALLOWED, *BACK])
    assert list(request.requirements.values_list("group", flat=True)) == ["manager"]
    assert sandbox.effects("payments") == []


def test_a_target_that_cannot_be_read_just_now_waits(cast: Cast, sandbox: Sandbox) -> None:
    request = crm_of(cast)
    change_row(sandbox, "UPDATE accounts SET id = 'acct_away' WHERE id = 'acct_2001'")

    execute(request.pk)
    assert_story(request, "approved", [*ROUTED, *DECIDED])

    change_row(sandbox, "UPDATE accounts SET id = 'acct_2001' WHERE id = 'acct_away'")
    sweep()
    assert_story(request, "audited", [*ROUTED, *DECIDED, *DONE])


def test_an_unchanged_world_runs(cast: Cast, sandbox: Sandbox) -> None:
    request = refund_of(cast)
    publish(cast)  # another version that says the same

    execute(request.pk)

    assert_story(request, "audited", [*ROUTED, *DECIDED, *DONE])
