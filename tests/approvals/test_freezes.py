"""During a freeze nothing it covers begins, approved or allowed; what it does not cover runs."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from approvals.models import PolicyDecision
from approvals.services.close import start
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from connectors.sandbox.server import Sandbox
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    make_crm,
    make_older,
    make_proof,
    make_request,
    publish,
)
from tests.approvals.story import DECIDED, DONE, ROUTED, assert_story

ASSISTED = (
    "operating_model: in the loop\n    pattern: single",
    "operating_model: assisted\n    pattern: single",
)


def freeze(action_types: str) -> tuple[str, str]:
    today = timezone.now().date()
    begins, ends = today - timedelta(days=1), today + timedelta(days=2)
    return (
        "freezes: []",
        f"freezes:\n- {{name: close, from: {begins}T00:00, to: {ends}T00:00, tz: UTC, "
        f"action_types: [{action_types}], reason: Books are closed.}}",
    )


def test_during_a_freeze_what_was_approved_waits_and_after_it_runs(
    cast: Cast, sandbox: Sandbox
) -> None:
    publish(cast, freeze("crm.*"))
    request = make_crm(cast)
    approve(request, cast.otto)

    execute(request.pk)
    sweep()

    assert_story(request, "approved", [*ROUTED, *DECIDED])
    assert sandbox.effects("records") == []
    publish(cast)
    execute(request.pk)
    assert_story(request, "audited", [*ROUTED, *DECIDED, *DONE])


def test_what_policy_allows_waits_too_and_other_types_run(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, freeze("refund.issue"))
    frozen, free = make_request(cast.agent), make_crm(cast)
    approve(free, cast.otto)

    execute(frozen.pk)
    execute(free.pk)

    assert fresh(frozen).state == "approved"
    assert sandbox.effects("payments") == []
    assert fresh(free).state == "audited"


def test_a_freeze_longer_than_the_grant_ends_in_expiry(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, freeze("'*'"))
    request = make_crm(cast)
    approve(request, cast.otto)
    make_older(request, timedelta(days=1))

    sweep()

    assert_story(request, "expired", [*ROUTED, *DECIDED, "grant.revoked", "request.expired"])
    assert sandbox.effects("records") == []


def test_a_freeze_that_began_after_approval_counts(cast: Cast, sandbox: Sandbox) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    publish(cast, freeze("crm.update"))

    execute(request.pk)

    assert_story(request, "approved", [*ROUTED, *DECIDED])
    assert sandbox.effects("records") == []


def test_what_is_assisted_waits_for_the_person_who_starts_it(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ASSISTED)
    request = make_crm(cast)
    approve(request, cast.otto)

    execute(request.pk)
    sweep()

    assert_story(request, "approved", [*ROUTED, *DECIDED])
    assert sandbox.effects("records") == []
    start(request.pk, operator=cast.oona, proof=make_proof(cast.oona))
    execute(request.pk)
    assert_story(request, "audited", [*ROUTED, *DECIDED, "execution.started", *DONE])
    kept = PolicyDecision.objects.filter(request=request).earliest("id")
    assert '"operating_model":"assisted"' in kept.trace
    assert '"pattern":"single"' in kept.trace


def test_what_is_not_assisted_starts_by_itself(cast: Cast) -> None:
    request = make_crm(cast)

    approve(request, cast.otto)

    assert not request.grants.get().needs_start
