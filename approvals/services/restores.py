"""After a restore: everything stands still until people know what was done before it.

A database that was put back from a backup believes that what happened since has not happened.
Executions, read-backs and everything else that only reads go on; nothing new is called, taken or
approved, and nothing expires, until an ops admin ends the freeze (`pauses.lift`).
"""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import transaction

from approvals.choices import PauseScope, RestoreFinding, State
from approvals.domain.attempts import Done, Found, Lost, begin, calls_of_every_version
from approvals.domain.attempts import look_up as ask
from approvals.domain.transitions import EXECUTOR, Moves
from approvals.exceptions import ApprovalError, IntegrityBroken
from approvals.models import ActionRequest, Pause, RestoreCheck
from approvals.selectors.requests import action_of, usable_grant_of
from approvals.selectors.restores import LOOKED_UP, freeze_in_force
from approvals.services.execute import settle
from approvals.services.pauses import pause
from approvals.services.verify import read_back
from audit import outside
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import record
from connectors.base import ConnectorError, OutcomeUnknown, Preview
from connectors.registry import action_type

logger = logging.getLogger(__name__)

WATCHER = Actor.system("restore watch")


def freeze(*, actor: Actor, reason: str) -> Pause:
    """Say that the database was restored from a backup. Raises what `pauses.pause` raises."""
    made = pause(PauseScope.RESTORED, actor=actor, reason=reason)
    outside.remember_newest(also_older=True)
    return made


def notice() -> Pause | None:
    """Freeze when the database lacks an event that is remembered outside; else remember on.

    The freeze, if this call made one. Called before anything is carried on: by every worker when
    it starts, and by every sweep.
    """
    lost = outside.lost_event()
    if lost is None:
        outside.remember_newest()
        return None
    logger.critical("restored from a backup, execution is frozen", extra={"lost_event": lost.id})
    reason = f"The trail lacks event {lost.id}, which was there before: restored from a backup."
    try:
        return freeze(actor=WATCHER, reason=reason)
    except ApprovalError as refusal:
        if refusal.code != "already_paused":
            raise
        outside.remember_newest(also_older=True)  # of this restore, or of one before: frozen
        return None


def look_up(request_id: UUID) -> None:
    """Ask the target whether the request was carried out before the restore, and keep what it says.

    What was approved and is done is kept as done, and read back. Does nothing when nothing is
    frozen, and to a request that is not waiting any more.
    """
    frozen = freeze_in_force()
    request = ActionRequest.objects.filter(pk=request_id, state__in=LOOKED_UP).first()
    if frozen is None or request is None:
        return
    done, detail = None, ""
    try:
        if action_type(request.action_type).at_most_once.can_look_up:
            done = ask(calls_of_every_version(request))
        else:
            detail = "This system cannot look anything up: people find out there."
    except (ConnectorError, OutcomeUnknown, IntegrityBroken, LookupError) as problem:
        detail = str(problem) or type(problem).__name__
    _keep(request, frozen, done, detail)
    read_back(request_id)


@transaction.atomic
def _keep(asked: ActionRequest, frozen: Pause, done: Done | None, detail: str) -> None:
    request = ActionRequest.objects.locked(asked.pk)
    if (request.state, request.version) != (asked.state, asked.version):
        return  # it moved meanwhile; the sweeper asks again
    finding = _finding(done, detail)
    RestoreCheck.objects.update_or_create(
        pause=frozen,
        request=request,
        defaults={
            "state_before": request.state,
            "finding": finding,
            "detail": (done.receipt.reference if done else detail)[:300],
            "looked_up_at": db_clock.now(),
        },
    )
    data: JsonObject = {"finding": finding.value, "freeze": frozen.pk}
    record(AuditCode.RESTORE_CHECKED, actor=EXECUTOR, subject=request, data=data)
    grant = usable_grant_of(request)
    if done is None or request.state != State.APPROVED or grant is None:
        return
    moves = Moves(request, db_clock.now())
    claim = begin(moves, grant, action_of(request), preview=Preview())
    if done.call.action == claim.action:
        settle(claim, Found(done.receipt))
    else:
        what = f"An earlier version was done before the restore. {done.receipt.summary}"
        settle(claim, Lost(what, is_final=True))


def _finding(done: Done | None, detail: str) -> RestoreFinding:
    if done is not None:
        return RestoreFinding.FOUND
    return RestoreFinding.UNCLEAR if detail else RestoreFinding.ABSENT
