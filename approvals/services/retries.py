"""When the same call may be made again: what its attempts prove, keys and their windows, pauses."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from approvals.choices import AttemptOutcome
from approvals.models import ActionRequest, Attempt, Execution
from approvals.selectors.pauses import stopped_since
from approvals.selectors.requests import action_in, action_of
from approvals.services.call import Possible
from audit.canonical import digest_of
from connectors.base import Connector
from connectors.registry import action_type, connector_for

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
    for content in request.contents.exclude(version=request.version).order_by("-version"):
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
