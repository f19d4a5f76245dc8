"""Writing an attempt: the grant consumed, a higher fence than anyone before, and a lease on it."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from approvals.choices import AttemptOutcome, ExecutionState
from approvals.models import ActionRequest, Attempt, Execution, Grant
from approvals.selectors.requests import action_of
from approvals.services.call import Claim, Possible
from approvals.services.moves import EXECUTOR, move
from approvals.services.retries import provider_key
from audit.canonical import JsonObject, digest_of
from audit.events import AuditCode
from audit.services import record
from connectors.base import Action


def begin(
    request: ActionRequest,
    grant: Grant,
    *,
    at: datetime,
    before: JsonObject,
    possible: tuple[Possible, ...] = (),
) -> Claim:
    """Consume the grant and write the first attempt, on a locked request that may run."""
    action = action_of(request)
    grant.consumed_at = at
    grant.save(update_fields=["consumed_at"])
    execution = Execution.objects.create(
        request=request,
        grant=grant,
        state=ExecutionState.RUNNING,
        provider_key=provider_key(request, request.version, request.digest),
        started_at=at,
    )
    claim = open_attempt(request, execution, action, at=at, possible=possible)
    record(
        AuditCode.GRANT_CONSUMED,
        actor=EXECUTOR,
        subject=request,
        data={"grant": grant.pk, "attempt": claim.fence},
    )
    move(
        request,
        request.begin,
        AuditCode.EXECUTION_BEGUN,
        actor=EXECUTOR,
        data={
            "attempt": claim.fence,
            "digest": request.digest,
            "provider_key": claim.provider_key,
            "pre_image_digest": digest_of(before),
        },
    )
    return claim


def open_attempt(
    request: ActionRequest,
    execution: Execution,
    action: Action,
    *,
    at: datetime,
    possible: tuple[Possible, ...] = (),
) -> Claim:
    """Write the next attempt: a higher fence than anyone before, and a lease on it."""
    execution.fence += 1
    execution.lease_until = at + settings.EXECUTION_LEASE
    execution.save(update_fields=["fence", "lease_until"])
    Attempt.objects.create(
        execution=execution,
        fence=execution.fence,
        outcome=AttemptOutcome.RUNNING,
        started_at=at,
    )
    return Claim(
        request.pk,
        execution.pk,
        execution.fence,
        action,
        execution.provider_key,
        execution.grant.created_at,
        possible,
    )
