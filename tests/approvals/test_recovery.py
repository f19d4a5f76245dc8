"""What a repeated call proves about the one before it: a receipt everything, a refusal nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from approvals.domain.attempts import call
from approvals.models import ActionRequest, Attempt, Execution
from approvals.services.execute import execute
from audit.models import AuditEvent
from connectors.sandbox.server import Sandbox
from tests.approvals.executing import attempts, claimed, taken_over
from tests.approvals.make import Cast, fresh, make_request
from tests.database import triggers_off

NOWHERE = "http://127.0.0.1:9"


def killed_after_the_call(request: ActionRequest) -> None:
    """The effect is there; the worker died before it could say so."""
    call(claimed(request))


def payments(settings: Settings, **changes: Any) -> None:
    """The payment system as Countersign is told to reach it from now on."""
    known = settings.CONNECTORS
    settings.CONNECTORS = {**known, "payments": {**known["payments"], **changes}}


@pytest.mark.parametrize(
    "trouble", [{"api_key": "sk_rotated"}, {"base_url": NOWHERE}], ids=["401", "unreachable"]
)
def test_a_refused_repeat_proves_nothing_about_the_call_before_it(
    cast: Cast, sandbox: Sandbox, settings: Settings, trouble: dict[str, str]
) -> None:
    healthy = settings.CONNECTORS
    request = make_request(cast.agent)
    killed_after_the_call(request)

    payments(settings, **trouble)
    taken_over(request)

    assert fresh(request).state == "executing"
    assert attempts(request) == ["lease_expired", "unknown"]
    settings.CONNECTORS = healthy
    taken_over(request)
    assert fresh(request).state == "audited"
    assert len(sandbox.effects("payments")) == 1


def test_the_same_refund_does_not_run_again_beside_one_nobody_knows_about(
    cast: Cast, sandbox: Sandbox, settings: Settings
) -> None:
    healthy = settings.CONNECTORS
    request = make_request(cast.agent)
    killed_after_the_call(request)
    payments(settings, api_key="sk_rotated")
    taken_over(request)
    settings.CONNECTORS = healthy

    second = make_request(cast.agent)
    execute(second.pk)

    assert second.state != "approved"
    assert len(sandbox.effects("payments")) == 1


def test_a_target_that_was_never_reached_fails_in_the_end_without_effect(
    cast: Cast, sandbox: Sandbox, settings: Settings
) -> None:
    request = make_request(cast.agent)
    claim = claimed(request)
    Attempt.objects.filter(execution_id=claim.execution_id).update(outcome="retry")
    payments(settings, base_url=NOWHERE)

    for _ in range(settings.EXECUTION_MAX_ATTEMPTS):
        taken_over(request)

    assert fresh(request).state == "failed"
    assert set(attempts(request)) == {"retry", "refused"}
    assert sandbox.effects("payments") == []


def test_a_refusal_after_calls_that_certainly_did_nothing_is_the_truth(
    cast: Cast, sandbox: Sandbox, settings: Settings
) -> None:
    request = make_request(cast.agent)
    claim = claimed(request)
    Attempt.objects.filter(execution_id=claim.execution_id).update(outcome="retry")
    payments(settings, api_key="sk_rotated")

    taken_over(request)

    assert fresh(request).state == "failed"


def with_a_lost_call_and_a_retry(request: ActionRequest) -> Execution:
    """As older workers left it: a call that may have worked, then one that certainly did not."""
    claim = claimed(request)
    call(claim)
    execution = Execution.objects.get(pk=claim.execution_id)
    with triggers_off():
        execution.attempts.update(outcome="lease_expired")
    execution.fence = 2
    with triggers_off():
        execution.save()
    Attempt.objects.create(
        execution=execution, fence=2, outcome="retry", started_at=execution.started_at
    )
    return execution


def test_past_the_key_s_window_nothing_is_repeated_that_may_have_happened(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent)
    execution = with_a_lost_call_and_a_retry(request)
    long_ago = execution.started_at - timedelta(days=400)
    with triggers_off():
        Execution.objects.filter(pk=execution.pk).update(started_at=long_ago)

    taken_over(request)

    assert fresh(request).state == "audited"
    retried = AuditEvent.objects.get(subject_id=str(request.pk), code="execution.retried")
    assert json.loads(retried.data)["way"] == "read"
    assert len(sandbox.effects("payments")) == 1


def test_giving_up_after_a_call_that_may_have_worked_is_not_a_failure(
    cast: Cast, sandbox: Sandbox, settings: Settings
) -> None:
    request = make_request(cast.agent)
    with_a_lost_call_and_a_retry(request)
    settings.EXECUTION_MAX_ATTEMPTS = 2

    taken_over(request)

    assert fresh(request).state == "outcome_unknown"
    assert len(sandbox.effects("payments")) == 1
