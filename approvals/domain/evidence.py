"""Collecting what people will look at: the target as it is, and what the agent points to."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from approvals.choices import Origin
from approvals.domain.names import names_in, payee_of, sentence_of
from approvals.inspection import inspect_all
from approvals.models import ActionRequest, EvidenceItem, TargetReading
from approvals.proposal import SuppliedEvidence
from audit.lib import db_clock
from audit.lib.canonical import canonical, digest_of
from audit.lib.cel_tree import is_cut
from audit.lib.db import insert, insert_one
from connectors.base import FOREIGN, LONGEST_GUARD, Action, ConnectorError, OutcomeUnknown, Preview
from connectors.circuit import Runner, reference_of, run_apart
from connectors.registry import action_type, connector_for

logger = logging.getLogger(__name__)


def read_target(action: Action, *, at: datetime | None = None) -> Preview:
    """Ask the connector what is and what would be. No transaction may be open.

    When the target cannot be read the preview says why instead; people see exactly that, whatever
    went wrong: an adapter's own mistake is logged with its stack and holds up nobody's request.
    `at` is the time by the database's clock, for a caller who has just read it.
    """
    at = at or db_clock.now()
    return replace(ask_target(action), read_at=at)


def ask_target(action: Action, run: Runner | None = None) -> Preview:
    """`read_target` without the time. `run` makes the call to the outside somewhere else."""
    connection = ""
    try:
        connector = connector_for(action_type(action.type))
        connection = reference_of(connector)
        preview = (run_apart(connector, run) if run else connector).preview(action)
        if not isinstance(preview, Preview):
            raise TypeError("An adapter's preview() answers a Preview.")
        if is_cut([preview.before, preview.after, preview.facts, preview.offered]):
            raise ConnectorError("The target shows text no rule can read (NUL).", permanent=True)
        if len(preview.guard) > LONGEST_GUARD:
            raise ConnectorError("The target's version is longer than can be kept.", permanent=True)
        return replace(preview, connection=connection)
    except ConnectorError as error:
        why = str(error)[:300]
    except OutcomeUnknown:
        logger.warning("target did not answer", extra={"action_type": action.type})
        why = "The target system did not answer in time."
    except Exception:
        logger.exception("target could not be read", extra={"action_type": action.type})
        why = "The target system could not be read, by a mistake of ours."
    return Preview(unavailable=why, connection=connection)


def store_reading(request: ActionRequest, preview: Preview, *, at: datetime) -> None:
    """Keep what was read, with the system's evidence, for the request's current version."""
    insert_one(new_reading(request, preview, at=at))
    after = request.evidence.filter(version=request.version).count()
    keep_items(system_items(request, preview, after=after, at=at))


def store_supplied(
    request: ActionRequest,
    supplied: Sequence[SuppliedEvidence],
    *,
    origin: Origin = Origin.AGENT,
    at: datetime,
) -> list[EvidenceItem]:
    """Keep what somebody points to, beside what there is of the request's current version."""
    if not supplied:
        return []
    after = request.evidence.filter(version=request.version).count()
    return keep_items(supplied_items(request, supplied, after=after, origin=origin, at=at))


def keep_items(items: Sequence[EvidenceItem]) -> list[EvidenceItem]:
    """Store them in one statement."""
    insert(items)
    return list(items)


def new_reading(request: ActionRequest, preview: Preview, *, at: datetime) -> TargetReading:
    """What was read of the target, not stored yet."""
    names = names_in(preview.evidence)
    payee = payee_of(request, names)
    return TargetReading(
        request=request,
        version=request.version,
        before=canonical(preview.before),
        after=canonical(preview.after),
        target_version=preview.target_version,
        connection=preview.connection,
        guard=preview.guard,
        unavailable=preview.unavailable,
        sentence=sentence_of(request, preview, names=names, payee=payee),
        payee=payee,
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
    origin: Origin = Origin.AGENT,
    at: datetime,
) -> list[EvidenceItem]:
    """What somebody points to, not stored yet: flagged by the detectors, marked as theirs."""
    return [
        _item(
            request,
            after + offset,
            at,
            origin=origin,
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
    """The next version keeps what was supplied; what the system reads is read again."""
    kept = request.evidence.filter(version=request.version).exclude(origin=Origin.SYSTEM)
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
    is_ours = origin == Origin.SYSTEM and authority != FOREIGN
    flags = () if is_ours else inspect_all([title, uri, authority, body])
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
