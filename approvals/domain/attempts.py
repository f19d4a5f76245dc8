"""One attempt to carry a request out: claimed, called once, and when that may be done again.

A claim consumes the grant and has a higher fence than anyone before, and a lease. Whoever holds it
makes the one call to the outside. Whether that may be repeated follows from what the attempts so
far prove, from keys and their windows, and from pauses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from approvals.choices import AttemptOutcome, ExecutionState
from approvals.domain.transitions import EXECUTOR, Moves
from approvals.models import ActionRequest, Attempt, Execution, Grant
from approvals.selectors.pauses import stopped_since
from approvals.selectors.requests import action_in, action_of, contents_of
from audit.events import AuditCode
from audit.lib.canonical import JsonObject, digest_of
from audit.services import Entry
from connectors.base import Action, Connector, ConnectorError, OutcomeUnknown, Receipt
from connectors.registry import action_type, connector_for


@dataclass(frozen=True, slots=True)
class Possible:
    """One call that may have been made already: with this action, under this key."""

    action: Action
    provider_key: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's right to call out once, until the lease ends."""

    request_id: UUID
    execution_id: int
    fence: int
    action: Action
    provider_key: str
    granted_at: datetime
    may_be_done: tuple[Possible, ...] = ()
    """What the target is asked for first; the call is made only when it shows none of it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The target refused, or a pause did before it was asked; nothing happened there."""

    reason: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The call went out and no trustworthy answer came back.

    `is_final`: the same call again would tell no more.
    """

    reason: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Unasked:
    """Nothing was sent: the target could not be asked first whether it has happened already."""

    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """Nothing was sent: the target shows the effect already."""

    receipt: Receipt


Outcome = Receipt | Found | Refused | Unasked | Lost


def begin(
    request: ActionRequest,
    grant: Grant,
    action: Action,
    *,
    at: datetime,
    before: JsonObject,
    possible: tuple[Possible, ...] = (),
) -> Claim:
    """Consume the grant and write the first attempt, on a locked request that may run."""
    grant.consumed_at = at
    grant.save(update_fields=["consumed_at"])
    execution = Execution(
        request=request,
        grant=grant,
        state=ExecutionState.RUNNING,
        provider_key=provider_key(request, request.version, request.digest),
        started_at=at,
    )
    claim = open_attempt(request, execution, action, at=at, possible=possible)
    moves = Moves(request, at)
    used: JsonObject = {"grant": grant.pk, "attempt": claim.fence}
    moves.also(Entry(AuditCode.GRANT_CONSUMED, EXECUTOR, request.state, used))
    moves.take(
        request.begin,
        AuditCode.EXECUTION_BEGUN,
        EXECUTOR,
        {
            "attempt": claim.fence,
            "digest": request.digest,
            "provider_key": claim.provider_key,
            "pre_image_digest": digest_of(before),
        },
    )
    moves.write()
    return claim


def open_attempt(
    request: ActionRequest,
    execution: Execution,
    action: Action,
    *,
    at: datetime,
    possible: tuple[Possible, ...] = (),
) -> Claim:
    """Write the next attempt: a higher fence than anyone before, and a lease on it.

    The execution is stored with it when this is its first.
    """
    execution.fence += 1
    execution.lease_until = at + settings.EXECUTION_LEASE
    is_first = execution._state.adding
    execution.save(update_fields=None if is_first else ["fence", "lease_until"])
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


def call(claim: Claim) -> Outcome:
    """The one call to the outside, with no transaction open.

    Pauses are asked once more just before it: one that began since the claim stops it, and
    nothing is sent.
    """
    if claim.may_be_done:
        try:
            found = look_up(claim.may_be_done)
        except (ConnectorError, OutcomeUnknown) as error:
            return Unasked(f"Not sent: the target could not be asked first. {error}")
        if found is not None and found.call.action == claim.action:
            return Found(found.receipt)
        if found is not None:
            return Lost(f"Not sent: an earlier version was done. {found.receipt.summary}", True)
    request = ActionRequest.objects.select_related("agent").get(pk=claim.request_id)
    stop = stopped_since(request, claim.granted_at)
    if stop is not None:
        if stop.is_restore:  # nothing was sent by this worker; nobody knows what was sent before
            return Lost(f"Not sent: restored from a backup. {stop.for_agents}", is_final=True)
        return Refused(f"Nothing was sent. {stop.for_agents}", permanent=True)
    connector = connector_for(action_type(claim.action.type))
    try:
        return connector.execute(claim.action, idempotency_key=claim.provider_key)
    except ConnectorError as error:
        return Refused(str(error), error.permanent)
    except OutcomeUnknown as error:
        return Lost(str(error))


@dataclass(frozen=True, slots=True)
class Done:
    """A call the target shows, and its receipt."""

    call: Possible
    receipt: Receipt


def look_up(calls: Iterable[Possible]) -> Done | None:
    """The first of the calls that the target shows. Raises what the connector raises."""
    for possible in calls:
        connector = connector_for(action_type(possible.action.type))
        receipt = connector.look_up(possible.action, idempotency_key=possible.provider_key)
        if receipt is not None:
            return Done(possible, receipt)
    return None


def describe(outcome: Outcome) -> str:
    """One line for the attempt's record."""
    match outcome:
        case Receipt():
            return f"receipt {outcome.reference}: {outcome.summary}"
        case Found():
            return f"found at the target, receipt {outcome.receipt.reference}"
        case Unasked():
            return outcome.reason
        case Refused():
            return f"refused: {outcome.reason}"
        case Lost():
            return f"no trustworthy answer: {outcome.reason}"


_WITHOUT_EFFECT = (AttemptOutcome.RETRY, AttemptOutcome.UNASKED)

CALL_AGAIN_AFTER = (
    timedelta(seconds=5),
    timedelta(seconds=15),
    timedelta(seconds=45),
    timedelta(seconds=135),
)
"""Pauses before the first, second, ... repeat; the last one before every further repeat."""


ASK_AGAIN_AFTER = (
    timedelta(seconds=15),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
)
"""The same before a target that could not be asked is asked again: nothing has been sent yet."""


def pause_before_next(
    execution: Execution, *, after: AttemptOutcome = AttemptOutcome.UNKNOWN
) -> timedelta:
    """How long the target is left alone after the execution's newest attempt, which ended so.

    Nothing is waited for after the last one: then people are told.
    """
    if execution.fence >= settings.EXECUTION_MAX_ATTEMPTS:
        return timedelta(0)
    pauses = ASK_AGAIN_AFTER if after == AttemptOutcome.UNASKED else CALL_AGAIN_AFTER
    return pauses[min(execution.fence, len(pauses)) - 1]


def provider_key(request: ActionRequest, version: int, digest: str) -> str:
    """The key of carrying out that version: the same however often, and after a restore too."""
    return digest_of({"request": str(request.pk), "version": version, "digest": digest})


def may_be_done(request: ActionRequest, at: datetime, *, restored: bool) -> tuple[Possible, ...]:
    """What the target is asked for before even the first call; nothing where a key vouches for it.

    A target that remembers keys answers a repeated call for itself; one that keeps none, or may
    have forgotten one as old as the request, is asked. So is every target when the database was
    `restored` since, and about every request that was sent back to people or edited: a new
    version has a new key, which says nothing of what an unnoticed restore made it forget.
    """
    connector = connector_for(action_type(request.action_type))
    if not connector.can_look_up:
        return ()
    if restored or request.version > 1:
        return calls_of_every_version(request)
    if connector.idempotent and key_still_known(connector, request.created_at, at):
        return ()
    return (this_call(request),)


def this_call(request: ActionRequest) -> Possible:
    """Carrying out the current version. Raises IntegrityBroken."""
    key = provider_key(request, request.version, request.digest)
    return Possible(action_of(request), key)


def calls_of_every_version(request: ActionRequest) -> tuple[Possible, ...]:
    """Every call for the request that may have been made and forgotten, the next version's too.

    Sending the same action back to people makes a new version of it. Raises IntegrityBroken.
    """
    current = action_of(request)
    calls = [this_call(request)]
    for content in reversed(contents_of(request)):
        if content.version == request.version:
            continue
        key = provider_key(request, content.version, content.digest)
        calls.append(Possible(action_in(content), key))
    following = provider_key(request, request.version + 1, request.digest)
    return (*calls, Possible(current, following))


def nothing_happened(execution_id: int, *, before: int | None = None) -> bool:
    """Did every attempt so far (every one with a fence below `before`) certainly do nothing?

    Only then is repeating safe for any length of time, and a refusal the whole truth.
    """
    attempts = Attempt.objects.filter(execution_id=execution_id)
    if before is not None:
        attempts = attempts.filter(fence__lt=before)
    return not attempts.exclude(outcome__in=_WITHOUT_EFFECT).exists()


def key_still_known(connector: Connector, first_used: datetime, at: datetime) -> bool:
    """Does the target still know a key used at `first_used`, until a call begun at `at` is over?"""
    window = connector.key_window_seconds
    until = at + settings.EXECUTION_LEASE
    return window == 0 or until - first_used < timedelta(seconds=window)


def may_repeat(request: ActionRequest, execution: Execution, at: datetime) -> bool:
    """May a call that nobody answered properly be made once more, with the same key?

    Only where a second one has no second effect; not for ever, and not after a pause.
    """
    connector = connector_for(action_type(request.action_type))
    return (
        connector.idempotent
        and execution.fence < settings.EXECUTION_MAX_ATTEMPTS
        and key_still_known(connector, execution.started_at, at + pause_before_next(execution))
        and stopped_since(request, execution.grant.created_at) is None
    )
