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
from approvals.domain.derivation import as_defined_now
from approvals.domain.transitions import EXECUTOR, Moves
from approvals.models import ActionRequest, Attempt, Execution, Grant
from approvals.selectors.pauses import stopped_since, stops_asked
from approvals.selectors.requests import action_in, action_of, content_of, contents_of
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib.canonical import JsonObject, digest, digest_of
from audit.lib.db import insert_one
from audit.lib.prepared import Given, Prepared, Question, asked_together
from audit.services import Entry
from connectors.base import Action, ConnectorError, OutcomeUnknown, Preview, Receipt
from connectors.catalogue import AtMostOnce, Proof
from connectors.circuit import reference_of
from connectors.registry import action_type, connector_for

ANOTHER_CONNECTION = "The connection it would go through is not the one it was approved for."


@dataclass(frozen=True, slots=True)
class Possible:
    """One call that may have been made already: with this action, under this key."""

    action: Action
    provider_key: str
    connection: str = ""
    """The reference of the one it may have been made through."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's right to call out once, until the lease ends."""

    request_id: UUID
    execution_id: int
    fence: int
    action: Action
    provider_key: str
    granted_at: datetime
    guard: str = ""
    """The approved version of the target, for the write to carry."""
    connection: str = ""
    """The reference of the one it was approved for."""
    may_be_done: tuple[Possible, ...] = ()
    """What the target is asked for first; the call is made only when it shows none of it."""
    stops: tuple[Question, ...] = ()
    """What is asked about pauses just before the call."""
    is_blind: bool = False
    """It may have been done before a restore, and nothing would show: a person finds out."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The target refused, or a pause did before it was asked; nothing happened there."""

    reason: str
    permanent: bool
    retry_after: timedelta | None = None


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
    moves: Moves,
    grant: Grant,
    action: Action,
    *,
    preview: Preview,
    possible: tuple[Possible, ...] = (),
    actor: Actor = EXECUTOR,
    redeemer: str = "",
) -> Claim:
    """Consume the grant and write the first attempt, on a locked request that may run.

    With a `redeemer` it is the agent's own, which has its type's lease for its report.
    """
    request, at = moves.request, moves.at
    lease = action_type(request.action_type).lease if redeemer else settings.EXECUTION_LEASE
    grant.consumed_at = at
    moves.change_on_record(grant, "consumed_at")
    execution = Execution(
        request=request,
        grant=grant,
        state=ExecutionState.RUNNING,
        provider_key=provider_key(request, request.version, request.digest),
        guard=preview.guard,
        connection=preview.connection or grant.connection,
        redeemer=redeemer,
        fence=1,
        lease_until=at + lease,
        started_at=at,
    )
    moves.store_keyed(execution)
    attempt = _new_attempt(execution, at=at)
    moves.store(attempt)
    claim = _claim_of(request, attempt, action, possible)
    used: JsonObject = {"grant": grant.pk, "attempt": claim.fence}
    moves.also(Entry(AuditCode.GRANT_CONSUMED, actor, request.state, used))
    begun: JsonObject = {
        "attempt": claim.fence,
        "digest": request.digest,
        "provider_key": claim.provider_key,
        "pre_image_digest": digest_of(preview.before),
    }
    moves.take(request.begin, AuditCode.EXECUTION_BEGUN, actor, begun)
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
    """Write a further attempt: a higher fence than anyone before, and a lease on it."""
    execution.fence += 1
    execution.lease_until = at + settings.EXECUTION_LEASE
    execution.save(update_fields=["fence", "lease_until"])
    attempt = insert_one(_new_attempt(execution, at=at))
    return _claim_of(request, attempt, action, possible)


def _new_attempt(execution: Execution, *, at: datetime) -> Attempt:
    return Attempt(
        execution=execution, fence=execution.fence, outcome=AttemptOutcome.RUNNING, started_at=at
    )


def _claim_of(
    request: ActionRequest, attempt: Attempt, action: Action, possible: tuple[Possible, ...]
) -> Claim:
    execution, granted_at = attempt.execution, attempt.execution.grant.created_at
    return Claim(
        request.pk,
        execution.pk,
        attempt.fence,
        action,
        execution.provider_key,
        granted_at,
        execution.guard,
        execution.connection,
        possible,
        tuple(stops_asked(request, granted_at)),
    )


def call(claim: Claim) -> Outcome:
    """The one call to the outside, with no transaction open.

    Pauses are asked once more just before it: one that began since the claim stops it, and
    nothing is sent.
    """
    if claim.is_blind:
        return Lost(NOBODY_KNOWS, is_final=True)
    if claim.may_be_done:
        try:
            found = look_up(claim.may_be_done)
        except (ConnectorError, OutcomeUnknown) as error:
            return Unasked(f"Not sent: the target could not be asked first. {error}")
        if found is not None and found.call.action == claim.action:
            return Found(found.receipt)
        if found is not None:
            return Lost(f"Not sent: an earlier version was done. {found.receipt.summary}", True)
    asked = _REQUEST.asking(pk=claim.request_id)
    with asked_together(asked, *claim.stops):
        (request,) = asked.all()
        stop = stopped_since(request, claim.granted_at)
    if stop is not None:
        if stop.is_restore:  # nothing was sent by this worker; nobody knows what was sent before
            return Lost(f"Not sent: restored from a backup. {stop.for_agents}", is_final=True)
        return Refused(f"Nothing was sent. {stop.for_agents}", permanent=True)
    connector = connector_for(action_type(claim.action.type))
    if claim.connection and reference_of(connector) not in {"", claim.connection}:
        return Refused(f"Nothing was sent. {ANOTHER_CONNECTION}", permanent=False)
    try:
        return connector.execute(
            claim.action, idempotency_key=claim.provider_key, guard=claim.guard
        )
    except ConnectorError as error:
        return Refused(str(error), error.permanent, error.retry_after)
    except OutcomeUnknown as error:
        return Lost(str(error))


_REQUEST = Prepared(lambda: ActionRequest.objects.select_related("agent").filter(pk=Given("pk")))


@dataclass(frozen=True, slots=True)
class Done:
    """A call the target shows, and its receipt."""

    call: Possible
    receipt: Receipt


def look_up(calls: Iterable[Possible]) -> Done | None:
    """The first of the calls that the target shows. Raises what the connector raises."""
    for possible in calls:
        connector = connector_for(action_type(possible.action.type), possible.connection)
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

CALL_AGAIN_AFTER = tuple(timedelta(seconds=pause) for pause in (5, 15, 45, 135))
"""Pauses before the first, second, ... repeat; the last one before every further repeat."""


ASK_AGAIN_AFTER = (
    timedelta(seconds=15),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
)
"""The same before a target that could not be asked is asked again: nothing has been sent yet."""


LONGEST_PAUSE = timedelta(hours=1)
"""A target that asks for more is asked again anyway: the approval does not hold for ever."""


def pause_before_next(
    execution: Execution,
    *,
    after: AttemptOutcome = AttemptOutcome.UNKNOWN,
    asked_for: timedelta | None = None,
) -> timedelta:
    """How long the target is left alone after the execution's newest attempt, which ended so.

    At least as long as it `asked_for`. Nothing is waited for after the last one: then people are
    told.
    """
    if execution.fence >= settings.EXECUTION_MAX_ATTEMPTS:
        return timedelta(0)
    pauses = ASK_AGAIN_AFTER if after == AttemptOutcome.UNASKED else CALL_AGAIN_AFTER
    pause = pauses[min(execution.fence, len(pauses)) - 1]
    return max(pause, min(asked_for or pause, LONGEST_PAUSE))


def provider_key(request: ActionRequest, version: int, digest: str) -> str:
    """The key of carrying out that version: the same however often, and after a restore too."""
    return digest_of({"request": str(request.pk), "version": version, "digest": digest})


def may_be_done(
    request: ActionRequest, connection: str, at: datetime, *, restored: bool
) -> tuple[Possible, ...]:
    """What the target is asked for before even the first call; nothing where a key vouches for it.

    A target that remembers keys answers a repeated call for itself; one that keeps none, or may
    have forgotten one as old as the request, is asked. So is every target when the database was
    `restored` since, and about every request that was sent back to people or edited: a new
    version has a new key, which says nothing of what an unnoticed restore made it forget.
    `connection` is the reference of the one its call goes through.
    """
    promise = action_type(request.action_type).at_most_once
    if not promise.can_look_up:
        return ()
    if restored or request.version > 1:
        return calls_of_every_version(request)
    if promise.may_repeat and key_still_known(promise, request.created_at, at):
        return ()
    return (this_call(request, connection),)


NOBODY_KNOWS = (
    "Not sent: the database was restored from a backup since this was proposed, and the system "
    "cannot be asked whether it was done before. Look there; if it was not, have it proposed again."
)


def is_blind(request: ActionRequest, *, restored: bool) -> bool:
    """Whether calling could do again what a restored database forgot, with nothing to show it.

    The target neither remembers a call nor shows its effect, so a fresh preview looks as if it had
    not happened, and so would approvers.
    """
    return restored and action_type(request.action_type).at_most_once.proof is Proof.NONE


def this_call(request: ActionRequest, connection: str) -> Possible:
    """Carrying out the current version. Raises IntegrityBroken."""
    key = provider_key(request, request.version, request.digest)
    return Possible(action_of(request), key, connection)


def calls_of_every_version(request: ActionRequest) -> tuple[Possible, ...]:
    """Every call for the request that may have been made and forgotten, the next version's too.

    Sending the same action back to people makes a new version of it. Each is looked for where its
    grant says it went. Raises IntegrityBroken.
    """
    current = action_of(request)
    went = dict(request.grants.order_by("id").values_list("version", "connection"))
    calls = [this_call(request, went.get(request.version, ""))]
    for content in reversed(contents_of(request)):
        if content.version == request.version:
            continue
        key = provider_key(request, content.version, content.digest)
        calls.append(Possible(action_in(content), key, went.get(content.version, "")))
    redefined = digest(as_defined_now(content_of(request).action))
    for following in dict.fromkeys((request.digest, redefined)):
        key = provider_key(request, request.version + 1, following)
        calls.append(Possible(current, key))
    return tuple(calls)


def nothing_happened(execution_id: int, *, before: int | None = None) -> bool:
    """Did every attempt so far (every one with a fence below `before`) certainly do nothing?

    Only then is repeating safe for any length of time, and a refusal the whole truth.
    """
    attempts = Attempt.objects.filter(execution_id=execution_id)
    if before is not None:
        attempts = attempts.filter(fence__lt=before)
    return not attempts.exclude(outcome__in=_WITHOUT_EFFECT).exists()


def key_still_known(promise: AtMostOnce, first_used: datetime, at: datetime) -> bool:
    """Does the target still know a key used at `first_used`, until a call begun at `at` is over?"""
    until = at + settings.EXECUTION_LEASE
    return promise.window is None or until - first_used < promise.window


def may_repeat(request: ActionRequest, execution: Execution, at: datetime) -> bool:
    """May a call that nobody answered properly be made once more, with the same key?

    Only where a second one has no second effect; not for ever, and not after a pause.
    """
    promise = action_type(request.action_type).at_most_once
    return (
        promise.may_repeat
        and execution.fence < settings.EXECUTION_MAX_ATTEMPTS
        and key_still_known(promise, execution.started_at, at + pause_before_next(execution))
        and stopped_since(request, execution.grant.created_at) is None
    )
