"""Collecting what people will look at: the target as it is, and what the agent points to."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from approvals.choices import Origin
from approvals.inspection import inspect_all
from approvals.models import ActionRequest, EvidenceItem, TargetReading
from approvals.proposal import SuppliedEvidence
from audit.canonical import canonical, digest_of
from connectors.base import Action, ConnectorError, OutcomeUnknown, Preview
from connectors.registry import action_type, connector_for

logger = logging.getLogger(__name__)


def read_target(action: Action) -> Preview:
    """Ask the connector what is and what would be. No transaction may be open.

    When the target cannot be read the preview says why instead; people see exactly that, whatever
    went wrong: an adapter's own mistake is logged with its stack and holds up nobody's request.
    """
    try:
        return connector_for(action_type(action.type)).preview(action)
    except ConnectorError as error:
        return Preview(unavailable=str(error)[:300])
    except OutcomeUnknown:
        logger.warning("target did not answer", extra={"action_type": action.type})
        return Preview(unavailable="The target system did not answer in time.")
    except Exception:
        logger.exception("target could not be read", extra={"action_type": action.type})
        return Preview(unavailable="The target system could not be read, by a mistake of ours.")


def store_reading(request: ActionRequest, preview: Preview, *, at: datetime) -> TargetReading:
    """Keep what was read, with the system's evidence, for the request's current version."""
    reading = TargetReading.objects.create(
        request=request,
        version=request.version,
        before=canonical(preview.before),
        after=canonical(preview.after),
        target_version=preview.target_version,
        unavailable=preview.unavailable,
        read_at=at,
    )
    start = request.evidence.filter(version=request.version).count()
    EvidenceItem.objects.bulk_create(
        _item(
            request,
            start + offset,
            at,
            origin=Origin.SYSTEM,
            kind=source.kind,
            title=source.title,
            uri=source.uri,
            authority=source.authority,
            retrieved_at=source.retrieved_at,
            body=canonical(source.content),
        )
        for offset, source in enumerate(preview.evidence)
    )
    return reading


def store_supplied(
    request: ActionRequest, supplied: Iterable[SuppliedEvidence], *, at: datetime
) -> list[EvidenceItem]:
    """Keep what the agent points to, flagged by the detectors and marked as the agent's."""
    supplied = tuple(supplied)
    if not supplied:
        return []
    start = request.evidence.filter(version=request.version).count()
    return EvidenceItem.objects.bulk_create(
        _item(
            request,
            start + offset,
            at,
            origin=Origin.AGENT,
            kind=source.kind,
            title=source.title,
            uri=source.uri,
            authority=source.authority,
            retrieved_at=source.retrieved_at,
            body=source.excerpt,
        )
        for offset, source in enumerate(supplied)
    )


def carry_over(request: ActionRequest, *, to_version: int) -> None:
    """An edited version keeps the agent's evidence; the system's is read again."""
    kept = request.evidence.filter(version=request.version, origin=Origin.AGENT)
    copies = list(kept.order_by("position"))
    for position, item in enumerate(copies):
        item.pk = None
        item._state.adding = True
        item.version, item.position = to_version, position
    EvidenceItem.objects.bulk_create(copies)


def _item(
    request: ActionRequest,
    position: int,
    at: datetime,
    *,
    origin: Origin,
    kind: str,
    title: str,
    uri: str,
    authority: str,
    retrieved_at: datetime | None,
    body: str,
) -> EvidenceItem:
    flags = inspect_all([title, uri, authority, body]) if origin == Origin.AGENT else ()
    return EvidenceItem(
        request=request,
        version=request.version,
        position=position,
        origin=origin,
        kind=kind,
        title=title,
        uri=uri,
        authority=authority,
        retrieved_at=retrieved_at,
        body=body,
        flags=list(flags),
        sha256=digest_of(
            {
                "origin": origin.value,
                "kind": kind,
                "title": title,
                "uri": uri,
                "authority": authority,
                "retrieved_at": retrieved_at.isoformat() if retrieved_at else "",
                "body": body,
            }
        ),
        created_at=at,
    )
