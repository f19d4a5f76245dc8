"""Replays of past requests against a version: asked for, carried out by a worker, read by people.

The row is the work order. Whoever runs it gives a sign of life with every batch; a run that fell
silent is taken over and starts again from nothing, and the old one finds that out and stops.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from importlib import import_module
from typing import cast

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import digest
from audit.lib.outbox import enqueue_on_commit
from audit.services import record
from policies.authority import may_write_policy
from policies.document import Document
from policies.exceptions import PolicyError
from policies.models import Backtest, BacktestFlip, PolicyVersion
from policies.models.replays import BacktestStatus
from policies.models.versions import VersionKind, VersionStatus
from policies.parsing.grammar import read_stored
from policies.parsing.yaml_source import DocumentError
from policies.replay.backtest import Flip, PastCases, Replay
from policies.services.evaluation import document_of, versions_in_force

logger = logging.getLogger(__name__)

TASK = "policies.run_backtest"
MOST_CASES = 100_000
"""How many of the newest evaluations one replay looks at."""

SILENT_AFTER = timedelta(seconds=60)
"""A run without a sign of life for so long is taken over."""

GIVE_UP_AFTER = timedelta(minutes=30)
"""An order older than this is not begun again."""

UNFINISHED = (BacktestStatus.WAITING, BacktestStatus.RUNNING)
REPLAYABLE = (VersionStatus.DRAFT, VersionStatus.PROPOSED, VersionStatus.PUBLISHED)
_SYSTEM = Actor.system("replay")
_FLIPS_AT_ONCE = 2_000


class TakenOver(Exception):
    """Somebody else runs this replay now; nothing of ours counts any more."""


def past_cases() -> PastCases:
    """Where this deployment keeps its past cases."""
    return cast("PastCases", import_module(settings.POLICY_PAST_CASES))


@transaction.atomic
def request_backtest(version_id: int, *, actor: Actor) -> Backtest:
    """Have past requests replayed against the version as it is now; a worker does it.

    An unfinished replay of the same document against the same policy is returned instead of a
    second one. Raises PolicyError: not_risk_owner, unknown_version, not_replayable.
    """
    try:
        version = PolicyVersion.objects.select_for_update(of=("self",)).get(pk=version_id)
    except PolicyVersion.DoesNotExist as error:
        raise PolicyError("unknown_version", "There is no such policy version.") from error
    refusal = may_write_policy(actor, floor=version.kind == VersionKind.FLOOR)
    if refusal:
        raise PolicyError(refusal.code, refusal.message)
    if version.status not in REPLAYABLE:
        raise PolicyError(
            "not_replayable", f"Version {version.label} is {version.status}; draft a new one."
        )
    versions = versions_in_force()
    against, beside = versions.policy, versions.floor
    if version.kind == VersionKind.FLOOR:
        against, beside = beside, against
    running = version.backtests.filter(
        status__in=UNFINISHED, digest=version.digest, against=against, beside=beside
    ).first()
    if running is not None:
        return running
    order = Backtest.objects.create(
        version=version,
        digest=version.digest,
        against=against,
        beside=beside,
        requested_by_id=int(actor.id) if actor.kind == ActorKind.HUMAN else None,
        created_at=db_clock.now(),
    )
    enqueue_on_commit(TASK, order.pk)
    return order


def run_backtest(backtest_id: int) -> None:
    """Carry out a replay that waits, or whose runner fell silent. Does nothing to any other.

    A failure is kept on the row as a sentence. Flips become visible batch by batch; they count
    once the replay is done.
    """
    order = _claim(backtest_id)
    if order is None:
        return
    try:
        document = _document(order)
        _carry_out(order, document)
    except TakenOver:
        logger.warning("replay %s was taken over", order.pk)
    except (PolicyError, DocumentError) as error:
        _fail(order, str(error))
    except Exception as error:
        logger.exception("replay %s failed", order.pk)
        if transaction.get_connection().in_atomic_block:
            raise
        _fail(order, f"The replay failed ({type(error).__name__}). Ask for it again.")


def find_waiting(now: datetime) -> list[int]:
    """Replays nobody carries out: not begun, or begun by somebody who fell silent."""
    return list(
        Backtest.objects.filter(status__in=UNFINISHED)
        .filter(Q(status=BacktestStatus.WAITING) | Q(beat_at__lte=now - SILENT_AFTER))
        .order_by("created_at")
        .values_list("pk", flat=True)[:100]
    )


@transaction.atomic
def _claim(backtest_id: int) -> Backtest | None:
    order = Backtest.objects.select_for_update(of=("self",)).filter(pk=backtest_id).first()
    if order is None or order.status not in UNFINISHED:
        return None
    now = db_clock.now()
    if order.beat_at is not None and order.beat_at > now - SILENT_AFTER:
        return None
    if order.created_at <= now - GIVE_UP_AFTER:
        order.status, order.finished_at = BacktestStatus.FAILED, now
        order.problem = "It was begun and never finished. Ask for it again."
        order.save(update_fields=["status", "finished_at", "problem"])
        return None
    order.flips.all().delete()
    order.status = BacktestStatus.RUNNING
    order.done = 0
    order.started_at = order.beat_at = now
    order.save(update_fields=["status", "done", "started_at", "beat_at"])
    return order


def _document(order: Backtest) -> Document:
    text = PolicyVersion.objects.values_list("document", flat=True).get(pk=order.version_id)
    if digest(text) != order.digest:
        raise PolicyError("edited_since", "The version was edited since. Replay it again.")
    return read_stored(text).document


def _carry_out(order: Backtest, document: Document) -> None:
    past = past_cases()
    replay = Replay(
        _together(order, document),
        past=past,
        base_currency=settings.BASE_CURRENCY,
        rules=tuple(rule.id for rule in document.rules),
    )
    _still_ours(order, total=past.how_many(MOST_CASES))
    for batch in past.newest(MOST_CASES):
        flips = replay.over(batch)
        with transaction.atomic():
            _still_ours(order, done=replay.summary.total)
            _keep(order, flips)
    _finish(order, replay.finished().as_json(), replay.summary.total)


def _together(order: Backtest, document: Document) -> Document:
    """The document as it would be evaluated: above the floor, or as the floor below the policy."""
    if order.beside is None:
        return document
    other = document_of(order.beside)
    if isinstance(other, str):
        raise PolicyError("unreadable", other)
    floor_label = order.version.label if document.is_floor else order.beside.label
    if document.is_floor:
        return other.under(document, floor_label)
    return document.under(other, floor_label)


def _still_ours(order: Backtest, **values: int) -> None:
    """Give a sign of life; raises TakenOver when the row has another runner or is finished.

    The row stays locked until the end of the transaction.
    """
    ours = Backtest.objects.filter(
        pk=order.pk, status=BacktestStatus.RUNNING, started_at=order.started_at
    )
    if not ours.update(beat_at=db_clock.now(), **values):
        raise TakenOver


def _keep(order: Backtest, flips: Iterable[Flip]) -> None:
    BacktestFlip.objects.bulk_create(
        (
            BacktestFlip(
                backtest_id=order.pk,
                subject_id=flip.subject_id,
                action_type=flip.action_type,
                agent=flip.agent,
                amount_minor=flip.amount_minor,
                currency=flip.currency,
                amount_base=flip.amount_base,
                direction=flip.direction,
                before_verdict=flip.before.verdict.value,
                before_tier=flip.before.tier,
                after_verdict=flip.after.verdict.value,
                after_tier=flip.after.tier,
                before_asked=", ".join(flip.before.asked),
                after_asked=", ".join(flip.after.asked),
                at=flip.at,
            )
            for flip in flips
        ),
        batch_size=_FLIPS_AT_ONCE,
    )


@transaction.atomic
def _finish(order: Backtest, summary: str, total: int) -> None:
    version = PolicyVersion.objects.select_for_update(of=("self",)).get(pk=order.version_id)
    _still_ours(order, done=total, total=total)
    now = db_clock.now()
    Backtest.objects.filter(pk=order.pk).update(
        status=BacktestStatus.DONE, summary=summary, finished_at=now
    )
    record(
        AuditCode.POLICY_REPLAYED,
        actor=Actor.human(order.requested_by) if order.requested_by else _SYSTEM,
        subject=version,
        state=version.status,
        data={
            "version": version.label,
            "digest": order.digest,
            "against": order.against.label if order.against else "",
            "beside": order.beside.label if order.beside else "",
            "replay": order.pk,
            "total": total,
            "flips": order.flips.count(),
        },
    )


def _fail(order: Backtest, problem: str) -> None:
    with transaction.atomic():
        Backtest.objects.filter(
            pk=order.pk, status=BacktestStatus.RUNNING, started_at=order.started_at
        ).update(status=BacktestStatus.FAILED, problem=problem[:500], finished_at=db_clock.now())
