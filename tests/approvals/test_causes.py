"""What a denial, a failure and a reopening say: the decision that caused it, in people's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from approvals.exceptions import IntegrityBroken
from approvals.models import ActionRequest, PolicyDecision
from approvals.selectors.evidence_view import DAMAGED
from approvals.services import agent_replies
from approvals.services.execute import execute
from audit.models import AuditEvent
from connectors.sandbox.server import Sandbox
from tests.approvals.answers import answer_of, view_of
from tests.approvals.make import (
    Cast,
    approve,
    approve_with_edits,
    ask,
    look_at,
    make_access,
    make_crm,
    make_proof,
    make_request,
    manager_refund,
    publish,
)
from tests.approvals.story import newest_event
from tests.connectors.make import change_row
from tests.database import triggers_off

DENIES = ("refund_never: 2000000", "refund_never: 20000")


def effects(answer: dict[str, Any]) -> dict[str, str]:
    """The rules the answer names, each with what it came to."""
    return {rule["rule"]: rule["effect"] for rule in answer["policy"]["matched"]}


def reasons_asked(request: ActionRequest) -> list[str]:
    """Why people were asked, as their page says it."""
    asked = view_of(request).asked
    return [rule.rule for rule in asked.reasons] if asked else []


def lines(request: ActionRequest) -> list[tuple[str, int, str, str]]:
    """The other times policy was asked."""
    return [(one.when, one.version, one.policy, one.verdict) for one in view_of(request).checks]


def newest_decision(request: ActionRequest) -> PolicyDecision:
    return request.policy_decisions.latest("id")


def named_by_trail(request: ActionRequest) -> int:
    """The policy decision the newest event names."""
    named: int = json.loads(newest_event(request).data)["policy_decision"]
    return named


# --- Denials --------------------------------------------------------------------------------------


def test_a_denial_at_execution_names_the_policy_that_denied_and_its_rule(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent, manager_refund())
    before = answer_of(request)
    approve(request, cast.mona)
    publish(cast, DENIES)

    execute(request.pk)

    after = answer_of(request)
    assert (after["state"], after["verdict"]) == ("denied", "deny")
    assert after["policy"]["verdict"] == "deny"
    assert after["policy"]["version"] != before["policy"]["version"]
    assert effects(after)["refund-ceiling"] == "deny"
    assert effects(after)["refund-medium"] == "require_approval"
    assert newest_decision(request).purpose == "execution"
    assert named_by_trail(request) == newest_decision(request).pk
    assert after["risk_tier"] == newest_decision(request).tier
    cause = view_of(request).cause
    assert cause.startswith(f"Policy {after['policy']['version']} denied it before execution: ")
    assert "200.00 EUR" in cause


def test_why_people_were_asked_stays_what_it_was(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent, manager_refund())
    asked, first = reasons_asked(request), answer_of(request)["policy"]["version"]
    approve(request, cast.mona)
    publish(cast, DENIES)

    execute(request.pk)

    second = answer_of(request)["policy"]["version"]
    assert reasons_asked(request) == asked == ["refund-above-automatic", "refund-medium"]
    assert view_of(request).asked.version == first  # type: ignore[union-attr]
    assert lines(request) == [("before execution", 1, second, "deny")]
    assert "200.00 EUR" in view_of(request).checks[0].reason


def test_what_was_denied_at_once_was_caused_by_that_and_by_nothing_later(cast: Cast) -> None:
    publish(cast, DENIES)

    request = make_request(cast.agent, manager_refund())

    answer = answer_of(request)
    assert (answer["state"], answer["policy"]["verdict"]) == ("denied", "deny")
    assert "denied it when it was proposed" in view_of(request).cause
    assert reasons_asked(request)[0] == "refund-ceiling"
    assert lines(request) == []


def test_a_denied_edit_names_the_rule_and_people_still_read_why_they_were_asked(cast: Cast) -> None:
    request = make_access(cast)
    asked = reasons_asked(request)
    params = {"user": "mia.keller", "group": "domain-admins", "until": "2030-12-31"}

    approve_with_edits(
        request.pk,
        decider=cast.otto,
        reviewed=look_at(request, cast.otto),
        params=params,
        reason_code="corrected",
        proof=make_proof(cast.otto),
    )

    answer = answer_of(request)
    assert (answer["state"], answer["version"], answer["policy"]["verdict"]) == (
        "denied",
        2,
        "deny",
    )
    assert "deny" in effects(answer).values()
    assert named_by_trail(request) == newest_decision(request).pk
    assert reasons_asked(request) == asked
    assert [line[:2] for line in lines(request)] == [("after an edit", 2)]


def test_what_was_changed_behind_our_back_is_denied_by_a_decision_that_says_so(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(amount_minor=100)

    with pytest.raises(IntegrityBroken):
        execute(request.pk)

    answer = answer_of(request)
    assert (answer["state"], answer["verdict"]) == ("denied", "deny")
    assert (answer["policy"]["version"], effects(answer)) == ("", {"not-as-approved": "deny"})
    assert named_by_trail(request) == newest_decision(request).pk
    assert view_of(request).cause.startswith("It was denied before execution: What is stored is")
    assert newest_decision(request).tier == request.risk_tier
    assert reasons_asked(request) == ["refund-above-automatic", "refund-medium"]


def test_a_denial_of_earlier_releases_without_its_decision_claims_nothing(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(state="denied")

    assert view_of(request).cause == ""


def test_a_damaged_decision_is_still_shown(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    publish(cast, DENIES)
    execute(request.pk)
    with triggers_off():
        request.policy_decisions.update(trace="{")

    assert view_of(request).cause == f"It was denied before execution: {DAMAGED}"
    assert view_of(request).checks[0].reason == DAMAGED


# --- Sent back, and carried out -------------------------------------------------------------------


def test_what_was_sent_back_says_why_first_and_lists_why_it_was_asked_before(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_crm(cast)
    before = answer_of(request)["policy"]["version"]
    approve(request, cast.otto)
    change_row(sandbox, "UPDATE accounts SET stage = 'negotiation' WHERE id = 'acct_2001'")

    execute(request.pk)

    answer = answer_of(request)
    assert (answer["state"], answer["version"]) == ("pending_approval", 2)
    assert effects(answer) == {"record-change": "require_approval", "sent-back": "require_approval"}
    assert reasons_asked(request) == ["sent-back", "record-change"]
    assert "The target has changed since it was approved." in view_of(request).cause
    assert lines(request) == [("when it was proposed", 1, before, "require approval")]
    told = AuditEvent.objects.get(subject_id=str(request.pk), code="request.invalidated")
    assert json.loads(told.data)["policy_decision"] == newest_decision(request).pk


def test_a_check_that_was_passed_caused_nothing_and_is_one_line(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_crm(cast)
    first = answer_of(request)["policy"]
    approve(request, cast.otto)
    publish(cast)  # another version that says the same

    execute(request.pk)

    answer, view = answer_of(request), view_of(request)
    assert (answer["state"], answer["policy"], view.cause) == ("audited", first, "")
    assert answer["execution"]["problem"] is None
    (check,) = view.checks
    assert (check.when, check.reason) == ("before execution", "The approval it had still held.")
    assert check.policy != first["version"]


def test_an_answered_question_is_not_another_check(cast: Cast) -> None:
    request = make_access(cast)
    approve(request, cast.sara)
    ask(request, cast.otto)

    agent_replies.answer(request.pk, agent=cast.agent, body="For the audit.")

    assert answer_of(request)["version"] == 2
    assert lines(request) == []


def test_what_was_denied_after_it_was_sent_back_lists_every_check_in_order(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    strict = (
        "action.amount <= param.refund_two_people\n    effect: require_approval\n"
        "    requirements:\n      - {group: manager, within_limit: true}"
    )
    publish(cast, (strict, strict.replace("true}", "true, quorum: 2}")))
    execute(request.pk)
    approve(request, cast.mona, cast.max)
    publish(cast, DENIES)

    execute(request.pk)

    assert answer_of(request)["state"] == "denied"
    assert [line[:2] + line[3:] for line in lines(request)] == [
        ("when it was proposed", 1, "require approval"),
        ("before execution", 2, "deny"),
    ]
    assert reasons_asked(request)[0] == "sent-back"
