"""Carrying out exactly what was approved, once, and closing the record."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.domain.attempts import Claim, call
from approvals.domain.evidence import read_target
from approvals.exceptions import IntegrityBroken, NotAuthorised, ReasonRequired
from approvals.models import ActionRequest, Grant, RequestContent
from approvals.services.close import resolve
from approvals.services.execute import NotNow, _due_action, claim_now, execute, settle
from approvals.services.sweep import sweep
from approvals.services.verify import read_back
from audit.lib.canonical import digest
from connectors.sandbox.server import Sandbox
from connectors.sandbox.web import Fault
from tests.approvals.executing import plan, taken_over
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    make_access,
    make_crm,
    make_older,
    make_request,
    manager_refund,
)
from tests.approvals.story import ALLOWED, DECIDED, DONE, ROUTED, assert_story
from tests.database import triggers_off


def test_what_policy_allowed_runs_once_and_is_closed(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)

    execute(request.pk)
    execute(request.pk)
    sweep()

    (effect,) = sandbox.effects("payments")
    assert_story(request, "audited", [*ALLOWED, *DONE])
    assert (effect["target"], effect["amount"]) == ("charge ch_1002", 18_000)
    assert request.executions.get().attempts.count() == 1
    assert request.grants.get().consumed_at is not None


def test_what_people_approved_runs_as_they_saw_it(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)

    execute(request.pk)

    (effect,) = sandbox.effects("payments")
    assert_story(request, "audited", [*ROUTED, *DECIDED, *DONE])
    assert effect["amount"] == 80_000
    assert request.executions.get().verifications.get().matches


def test_what_is_not_approved_does_not_run(cast: Cast, sandbox: Sandbox) -> None:
    request = make_access(cast)
    approve(request, cast.sara)

    execute(request.pk)
    sweep()

    assert_story(request, "pending_approval", [*ROUTED, "decision.recorded"])
    assert sandbox.effects("all") == []


def test_a_revoked_grant_unlocks_nothing(cast: Cast, sandbox: Sandbox) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    grant = request.grants.get()
    with triggers_off():
        Grant.objects.filter(pk=grant.pk).update(revoked_at=grant.created_at)

    execute(request.pk)

    assert_story(request, "approved", [*ROUTED, *DECIDED])
    assert sandbox.effects("records") == []


@pytest.mark.parametrize("what", ["action", "action and digest"])
def test_bytes_that_were_changed_are_refused_by_name(
    cast: Cast, sandbox: Sandbox, what: str
) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    content = request.contents.get()
    villainous = content.action.replace("won", "lost")
    changes = {"action": villainous}
    if what == "action and digest":
        changes["digest"] = digest(villainous)
    with triggers_off():
        RequestContent.objects.filter(pk=content.pk).update(**changes)

    with pytest.raises(IntegrityBroken) as refused:
        execute(request.pk)

    assert refused.value.code == "digest_mismatch"
    ended = ["request.integrity_broken", "grant.revoked", "request.denied"]
    assert_story(request, "denied", [*ROUTED, *DECIDED, *ended])
    assert sandbox.effects("records") == []


def test_a_definite_refusal_of_the_target_is_failed(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="refuse", method="POST"))

    execute(request.pk)

    assert_story(request, "failed", [*ALLOWED, *DONE[:2], "request.failed"])
    assert sandbox.effects("payments") == []


FOUND = ["execution.retried", "execution.effect_found"]


def test_an_effect_nobody_answered_for_is_found_by_reading_and_not_repeated(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="apply_then_500", method="POST", times=9))

    execute(request.pk)
    assert fresh(request).state == "executing"
    taken_over(request)

    assert len(sandbox.effects("payments")) == 1
    assert_story(request, "audited", [*ALLOWED, *DONE[:2], *FOUND, *DONE[2:]])


def test_an_effect_that_differs_is_an_incident_a_person_resolves(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="slow", seconds=0, method="POST"))
    stop_before_reading_back(request)
    with sandbox.store.transaction("payments") as store:
        (found,) = store.all("refund")
        store.put("refund", found["id"], {**found, "amount": 90_000})

    read_back(request.pk)

    told = [*ALLOWED, *DONE[:3], "request.verification_failed"]
    assert_story(request, "verification_failed", told)
    with pytest.raises(NotAuthorised):
        resolve(request.pk, person=cast.owner, applied=True, outcome="it was fine")
    with pytest.raises(ReasonRequired):
        resolve(request.pk, person=cast.mona, applied=True, outcome=" ")
    resolve(
        request.pk,
        person=cast.mona,
        applied=True,
        outcome="Refunded 900.00; taken up with the bank.",
    )
    assert_story(request, "resolved", [*told, "request.resolved"])


def stop_before_reading_back(request: ActionRequest) -> None:
    """The worker dies between keeping the receipt and reading the effect back."""
    action, _ = _due_action(request.pk)
    assert action is not None
    claim = claim_now(request.pk, read_target(action))
    assert isinstance(claim, Claim)
    settle(claim, call(claim))


def test_what_ran_out_between_the_look_and_the_claim_does_not_run(cast: Cast) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    action, _ = _due_action(request.pk)
    assert action is not None
    preview = read_target(action)

    make_older(request, timedelta(hours=24))

    assert isinstance(claim_now(request.pk, preview), NotNow)
    assert_story(request, "approved", [*ROUTED, *DECIDED])
