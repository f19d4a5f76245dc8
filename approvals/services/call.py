"""The one call to the outside: by whoever holds a claim, and how it can end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from approvals.models import ActionRequest
from approvals.selectors.pauses import stopped_since
from connectors.base import Action, ConnectorError, OutcomeUnknown, Receipt
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
