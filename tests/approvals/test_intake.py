"""A proposal becomes a request: evaluated on what the system derives and reads, once per key."""

from __future__ import annotations

import json

import pytest

from approvals.exceptions import (
    IdempotencyMismatch,
    InvalidProposal,
    NotAllowedForAgent,
    Paused,
    StillRunning,
)
from approvals.models import ActionRequest, PolicyDecision
from approvals.selectors.requests import reading_of
from approvals.services import agents
from approvals.services.dry_run import check
from approvals.services.propose import propose
from approvals.services.sweep import sweep
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from connectors.sandbox.server import Sandbox
from tests.approvals.make import (
    INSTALLER,
    Cast,
    fresh,
    half_open,
    make_agent,
    make_proposal,
    make_request,
    manager_refund,
    refund,
)
from tests.approvals.story import ALLOWED, INTAKE, ROUTED, assert_story


def groups(request: ActionRequest) -> list[str]:
    return sorted(fresh(request).requirements.values_list("group", flat=True))


def test_a_small_clean_refund_is_allowed_with_a_grant(cast: Cast) -> None:
    request = make_request(cast.agent)

    grant = request.grants.get()
    assert_story(request, "approved", ALLOWED)
    assert (grant.approvers, grant.ceiling_minor, grant.currency) == ([], 18_000, "EUR")
    assert grant.digest == request.digest
    assert (request.risk_tier, request.verdict, groups(request)) == (3, "allow", [])


def test_a_large_refund_waits_for_the_people_policy_names(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())

    assert_story(request, "pending_approval", ROUTED)
    assert groups(request) == ["manager"]
    assert request.grants.count() == 0
    assert request.decide_by is not None
    assert request.clock_started_at is not None


def test_what_policy_denies_ends_at_once_without_a_grant(cast: Cast) -> None:
    request = make_request(
        cast.agent,
        {"user": "mia.keller", "group": "domain-admins", "until": "2030-12-31"},
        action_type="access.grant",
    )

    assert_story(request, "denied", [*INTAKE, "request.denied"])
    assert (request.grants.count(), groups(request)) == (0, [])


def test_every_step_has_a_history_row_although_the_row_is_written_once(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())

    rows = request.history.order_by("history_id").values_list("state", "history_change_reason")
    assert [state for state, _ in rows] == [
        "requested",
        "classified",
        "evidence_collected",
        "policy_checked",
        "pending_approval",
    ]
    assert all(reason for _, reason in rows)


def test_amount_and_target_come_from_params_whatever_the_text_says(cast: Cast) -> None:
    request = make_request(
        cast.agent,
        manager_refund("900.00"),
        intent="Refund 10.00 EUR on ch_1009",
        said={"amount": "10.00", "target": "charge ch_1009", "risk_tier": 0},
    )

    assert (request.amount_minor, request.currency) == (90_000, "EUR")
    assert request.target == "charge ch_1001"
    assert "900.00" in request.effect
    assert "10.00 " not in request.effect.replace("900.00 ", "")
    assert_story(request, "pending_approval", ROUTED)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        (refund(amount="180.000"), "params.amount"),
        (refund(amount="1e3"), "params.amount"),
        (refund(amount="-1.00"), "params.amount"),
        (refund(currency="XXY"), "params"),
        ({**refund(), "approved": True}, "params"),
    ],
)
def test_params_the_type_does_not_accept_are_named_and_nothing_is_stored(
    cast: Cast, params: JsonObject, field: str
) -> None:
    with pytest.raises(InvalidProposal) as refused:
        make_request(cast.agent, params)

    assert refused.value.problems[0].field.startswith(field)
    assert ActionRequest.objects.count() == 0


def test_an_unknown_type_and_one_the_agent_may_not_propose_are_refused(cast: Cast) -> None:
    narrow = make_agent(cast.owner, "narrow-bot", action_types=["crm.update"])

    with pytest.raises(InvalidProposal):
        make_request(cast.agent, action_type="nobody.knows")
    with pytest.raises(NotAllowedForAgent):
        make_request(narrow)

    assert ActionRequest.objects.count() == 0


def test_a_paused_agent_proposes_nothing(cast: Cast) -> None:
    agents.pause_agent(cast.agent.pk, actor=INSTALLER, reason="odd behaviour")
    paused = type(cast.agent).objects.get(pk=cast.agent.pk)

    with pytest.raises(Paused, match="odd behaviour"):
        make_request(paused)
    with pytest.raises(Paused):
        check(make_proposal(), agent=paused)

    assert ActionRequest.objects.count() == 0


# --- Once per key, and once per thing


def test_the_same_key_answers_the_first_request_and_opens_no_second(cast: Cast) -> None:
    first = propose(make_proposal(), agent=cast.agent, idempotency_key="once")
    again = propose(make_proposal(), agent=cast.agent, idempotency_key="once")

    assert (first.replayed, again.replayed) == (False, True)
    assert again.request == first.request
    assert_story(first.request, "approved", ALLOWED)


def test_the_same_key_with_another_body_is_refused(cast: Cast) -> None:
    first = propose(make_proposal(), agent=cast.agent, idempotency_key="once").request

    with pytest.raises(IdempotencyMismatch):
        propose(make_proposal(refund(amount="181.00")), agent=cast.agent, idempotency_key="once")

    assert_story(first, "approved", ALLOWED)


def test_the_same_thing_under_a_new_key_goes_to_people(cast: Cast) -> None:
    make_request(cast.agent)

    second = make_request(cast.agent, refund(reason="worded otherwise"))

    assert_story(second, "pending_approval", ROUTED)
    trace = json.loads(PolicyDecision.objects.get(request=second).trace)
    assert "duplicate" in [rule["rule"] for rule in trace["rules"] if rule.get("matched")]


def test_the_same_thing_by_another_agent_goes_to_people(cast: Cast) -> None:
    make_request(cast.agent)

    second = make_request(make_agent(cast.owner, "second-bot"))

    assert_story(second, "pending_approval", ROUTED)


# --- Crashes and targets that do not answer


def test_an_intake_somebody_is_at_is_left_alone(cast: Cast) -> None:
    request = half_open(cast)

    sweep()

    assert_story(request, "requested", ["request.requested"])
    with pytest.raises(StillRunning):
        propose(make_proposal(), agent=cast.agent, idempotency_key="crashed")


def test_a_crash_between_the_halves_is_carried_on_by_the_sweep(cast: Cast) -> None:
    request = half_open(cast, manager_refund())
    ActionRequest.objects.filter(pk=request.pk).update(intake_claimed_until=db_clock.now())

    sweep()
    sweep()

    assert_story(request, "pending_approval", ROUTED)
    assert request.history.count() == len(ROUTED)


def test_a_stored_proposal_its_type_no_longer_accepts_is_denied_not_stuck(cast: Cast) -> None:
    request = half_open(cast, manager_refund(), params={**manager_refund(), "amount": "8e2"})
    ActionRequest.objects.filter(pk=request.pk).update(intake_claimed_until=None)

    swept = sweep()

    assert swept.failed == 0
    assert_story(request, "denied", [*INTAKE, "request.denied"])


@pytest.mark.parametrize(
    ("params", "action_type"),
    [(refund(), "refund.issue"), ({"record": "acct_2002", "tag": "vip"}, "crm.tag")],
)
def test_a_target_that_cannot_be_read_is_said_so_and_never_allowed(
    cast: Cast, sandbox: Sandbox, params: JsonObject, action_type: str
) -> None:
    unread = make_unreadable(cast, params, action_type)

    reading = reading_of(unread)
    assert reading is not None
    assert reading.unavailable
    assert (reading.before, reading.target_version) == ("{}", "")
    assert_story(unread, "pending_approval", ROUTED)
    assert unread.verdict == "require_approval"
    assert groups(unread)
    assert sandbox.effects("all") == []


def make_unreadable(cast: Cast, params: JsonObject, action_type: str) -> ActionRequest:
    """The same proposal, about something the target does not have."""
    missing = {k: "acct_9999" if k == "record" else v for k, v in params.items()}
    missing = {k: "ch_9999" if k == "charge" else v for k, v in missing.items()}
    return make_request(cast.agent, missing, action_type=action_type)


def test_the_preflight_says_the_same_and_stores_nothing(cast: Cast) -> None:
    proposal = make_proposal({"record": "acct_9999", "tag": "vip"}, action_type="crm.tag")

    foreseen = check(proposal, agent=cast.agent)

    assert foreseen.evaluation.verdict == "require_approval"
    assert ActionRequest.objects.count() == 0
