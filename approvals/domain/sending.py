"""Sending the notices that wait: after their change, again when refused, and never in its way."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction

from approvals.domain import dispatch
from approvals.models import Notice
from audit.lib import db_clock

logger = logging.getLogger(__name__)

RETRY_AFTER = timedelta(minutes=1)
BATCH = 100
BATCH_SECONDS = 20.0
"""How long one batch may go on beginning mails, on this process's own clock: a task's hard limit
would end it in the middle of one."""


def send_waiting() -> int:
    """Send what is due, at most `BATCH`, over one connection. Returns how many went out.

    A refused mail waits longer each time. When there was enough for a whole batch, a worker is
    told to go on. A crash after sending and before the commit sends one mail twice: harmless, it
    is a link.
    """
    with transaction.atomic():
        at = db_clock.now()
        waiting = list(
            Notice.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(sent_at=None, next_attempt_at__lte=at)
            .select_related("recipient")
            .order_by("next_attempt_at", "id")[:BATCH]
        )
        # claimed for a minute, so that nothing is open while mail goes out
        Notice.objects.filter(pk__in=[n.pk for n in waiting]).update(
            next_attempt_at=at + RETRY_AFTER
        )
    sent = _send_all(waiting) if waiting else 0
    if sent and len(waiting) == BATCH:
        dispatch.notices()
    return sent


def is_anything_waiting() -> bool:
    """Whether a notice is due to be sent."""
    return Notice.objects.filter(sent_at=None, next_attempt_at__lte=db_clock.now()).exists()


def _send_all(notices: Sequence[Notice]) -> int:
    """Over one connection, for as long as a task may take; what is left keeps its claim."""
    until = time.monotonic() + BATCH_SECONDS
    connection = get_connection()
    try:
        connection.open()
    except (SMTPException, OSError) as error:  # there is no server: nobody waits for it again
        for notice in notices:
            _put_off(notice, error)
        return 0
    sent = 0
    try:
        for notice in notices:
            if time.monotonic() > until:
                break
            sent += _send(notice, connection)
    finally:
        _hang_up(connection)
    return sent


def _send(notice: Notice, connection: BaseEmailBackend) -> bool:
    link = f"{settings.BASE_URL}/review/{notice.request_id}/"
    if notice.fired_id is not None:
        link = f"{settings.BASE_URL}/admin/approvals/firedtrigger/{notice.fired_id}/change/"
    message = EmailMessage(
        subject=f"[Countersign] {notice.subject}",
        body=f"{notice.subject}.\n\nOpen it here: {link}\n",
        to=[notice.recipient.email],
    )
    try:
        connection.open()  # again, after an error; nothing is done where it is open
        connection.send_messages([message])
    except (SMTPException, OSError) as error:
        _hang_up(connection)  # nobody knows what state the conversation is in
        _put_off(notice, error)
        return False
    Notice.objects.filter(pk=notice.pk).update(
        attempts=notice.attempts + 1, problem="", sent_at=db_clock.now()
    )
    return True


def _put_off(notice: Notice, error: Exception) -> None:
    logger.warning("notice not sent", extra={"notice": notice.pk})
    attempts = notice.attempts + 1
    Notice.objects.filter(pk=notice.pk).update(
        attempts=attempts,
        problem=str(error)[:300],
        next_attempt_at=db_clock.now() + RETRY_AFTER * min(2**attempts, 60),
    )


def _hang_up(connection: BaseEmailBackend) -> None:
    with suppress(SMTPException, OSError):
        connection.close()
