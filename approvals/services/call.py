"""The one call to the outside: by whoever holds a claim, and how it can end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from approvals.models import ActionRequest
from approvals.selectors.pauses import stopped_since
from connectors.base import Action, ConnectorError, OutcomeUnknown, Receipt
from connectors.registry import action_type, connector_for


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's right to call out once, until the lease ends."""

    request_id: UUID
    execution_id: int
    fence: int
    action: Action
    provider_key: str
    granted_at: datetime
    looks_first: bool = False
    """It may have happened already: look it up, and call only when the target does not show it."""


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
    if claim.looks_first:
        try:
            found = look_up(claim)
        except (ConnectorError, OutcomeUnknown) as error:
            return Unasked(f"Not sent: the target could not be asked first. {error}")
        if found is not None:
            return Found(found)
    request = ActionRequest.objects.select_related("agent").get(pk=claim.request_id)
    stop = stopped_since(request, claim.granted_at)
    if stop is not None:
        return Refused(f"Nothing was sent. {stop.for_agents}", permanent=True)
    connector = connector_for(action_type(claim.action.type))
    try:
        return connector.execute(claim.action, idempotency_key=claim.provider_key)
    except ConnectorError as error:
        return Refused(str(error), error.permanent)
    except OutcomeUnknown as error:
        return Lost(str(error))


def look_up(claim: Claim) -> Receipt | None:
    """The receipt of the claim's key if the target shows it. Raises what the connector raises."""
    connector = connector_for(action_type(claim.action.type))
    return connector.look_up(claim.action, idempotency_key=claim.provider_key)


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
