"""Collecting what people will look at: the target as it is, and what the agent points to."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from approvals.choices import Origin
from approvals.inspection import inspect_all
from approvals.models import ActionRequest, EvidenceItem, TargetReading
from approvals.proposal import SuppliedEvidence
from audit.lib import db_clock
from audit.lib.canonical import canonical, digest_of
from connectors.base import Action, ConnectorError, OutcomeUnknown, Preview
from connectors.registry import action_type, connector_for

logger = logging.getLogger(__name__)


def read_target(action: Action) -> Preview:
    """Ask the connector what is and what would be. No transaction may be open.

    When the target cannot be read the preview says why instead; people see exactly that, whatever
    went wrong: an adapter's own mistake is logged with its stack and holds up nobody's request.
    """
    at = db_clock.now()
    return replace(ask_target(action), read_at=at)


def ask_target(action: Action) -> Preview:
    """`read_target` without the time, and without the database: for a thread of its own."""
    try:
        preview = connector_for(action_type(action.type)).preview(action)
        if not isinstance(preview, Preview):
            raise TypeError("An adapter's preview() answers a Preview.")
        return preview
    except ConnectorError as error:
        return Preview(unavailable=str(error)[:300])
    except OutcomeUnknown:
        logger.warning("target did not answer", extra={"action_type": action.type})
        return Preview(unavailable="The target system did not answer in time.")
    except Exception:
        logger.exception("target could not be read", extra={"action_type": action.type})
        return Preview(unavailable="The target system could not be read, by a mistake of ours.")


def store_reading(request: ActionRequest, preview: Preview, *, at: datetime) -> None:
    """Keep what was read, with the system's evidence, for the request's current version."""
    new_reading(request, preview, at=at).save()
    after = request.evidence.filter(version=request.version).count()
    keep_items(system_items(request, preview, after=after, at=at))


def store_supplied(
    request: ActionRequest, supplied: Sequence[SuppliedEvidence], *, at: datetime
) -> list[EvidenceItem]:
    """Keep what the agent points to, beside what there is of the request's current version."""
    if not supplied:
        return []
    after = request.evidence.filter(version=request.version).count()
    return keep_items(supplied_items(request, supplied, after=after, at=at))


def keep_items(items: Sequence[EvidenceItem]) -> list[EvidenceItem]:
    """Store them in one statement."""
    return EvidenceItem.objects.bulk_create(items)


def new_reading(request: ActionRequest, preview: Preview, *, at: datetime) -> TargetReading:
    """What was read of the target, not stored yet."""
    return TargetReading(
        request=request,
        version=request.version,
        before=canonical(preview.before),
        after=canonical(preview.after),
        target_version=preview.target_version,
        unavailable=preview.unavailable,
        read_at=preview.read_at or at,
    )


def system_items(
    request: ActionRequest, preview: Preview, *, after: int, at: datetime
) -> list[EvidenceItem]:
    """The system's evidence, not stored yet, in the places after the first `after`."""
    return [
        _item(
            request,
            after + offset,
            at,
            origin=Origin.SYSTEM,
            kind=source.kind,
            title=source.title,
            uri=source.uri,
            authority=source.authority,
            retrieved_at=preview.read_at or at,
            body=canonical(source.content),
        )
        for offset, source in enumerate(preview.evidence)
    ]


def supplied_items(
    request: ActionRequest,
    supplied: Iterable[SuppliedEvidence],
    *,
    after: int = 0,
    at: datetime,
) -> list[EvidenceItem]:
    """What the agent points to, not stored yet: flagged by the detectors, marked as the agent's."""
    return [
        _item(
            request,
            after + offset,
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
    ]


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
