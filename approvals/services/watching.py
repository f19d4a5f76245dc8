"""Looking after the installation itself: heartbeats, outside systems, telling people."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import DatabaseError, transaction
from django.db.models import Q

from approvals.models import Alarm, Heartbeat
from approvals.selectors.watching import Problem, find_problems
from audit.lib import db_clock
from connectors.probes import probe_all
from policies.models import User
from policies.roles import CONFIGURING_ROLE, RISK_OWNER

logger = logging.getLogger(__name__)

TELL_AGAIN_AFTER = timedelta(minutes=1)
"""Pause before a mail about an alarm that could not be sent is tried again."""
_CONCERNS = {"policy": (RISK_OWNER,)}
"""Who is told beside ops admins, by the problem's code."""
_UNRECORDED_PAUSE = 3600.0  # seconds between alarms that could not be written down

_last_unrecorded = -_UNRECORDED_PAUSE


def beat(name: str, said: list[str] | None = None) -> None:
    """Keep that this kind of work has just run: one small statement."""
    at, said = db_clock.now(), said or []
    if not Heartbeat.objects.filter(name=name).update(at=at, said=said):
        Heartbeat.objects.bulk_create(
            [Heartbeat(name=name, at=at, said=said)], ignore_conflicts=True
        )


def begin(name: str, *, unless_within: timedelta) -> bool:
    """Keep that this kind of work begins now, unless it has just begun somewhere else.

    By the database's clock: one that was set back must not stop the work until it has caught up.
    """
    at = db_clock.now()
    row = Heartbeat.objects.filter(name=name)
    long_ago = Q(at__lte=at - unless_within) | Q(at__gt=at)
    if row.filter(long_ago).update(at=at, said=[]):
        return True
    if row.exists():
        return False
    beat(name)
    return True


def watch() -> list[Problem]:
    """Try the outside systems, look at everything, and tell ops admins what is newly wrong.

    Once per problem: it is told again only after it was over. A database that keeps nothing
    keeps no alarm either; then the mail goes out at most once an hour from each process.
    """
    try:
        beat(Heartbeat.SYSTEMS, [route.name for route in probe_all()])
        found = find_problems()
        for alarm in _due_alarms(found):
            _tell(alarm)
    except DatabaseError:
        found = find_problems()  # raises when the database does not even answer
        _tell_unrecorded(found)
    return found


@transaction.atomic
def _due_alarms(found: list[Problem]) -> list[Alarm]:
    """Keep what is wrong now, forget what is over, and take what nobody has been told."""
    at = db_clock.now()
    known = {alarm.code: alarm for alarm in Alarm.objects.select_for_update()}
    Alarm.objects.exclude(code__in=[problem.code for problem in found]).delete()
    fresh = [
        Alarm(code=problem.code, reason=problem.reason[:500], since=at, next_attempt_at=at)
        for problem in found
        if problem.code not in known
    ]
    Alarm.objects.bulk_create(fresh, ignore_conflicts=True)
    due = Alarm.objects.filter(told_at=None, next_attempt_at__lte=at)
    taken = list(due)
    due.update(next_attempt_at=at + TELL_AGAIN_AFTER)
    return taken


def _tell(alarm: Alarm) -> None:
    if _mail(alarm.reason, {CONFIGURING_ROLE, *_CONCERNS.get(alarm.code, ())}):
        Alarm.objects.filter(pk=alarm.pk).update(told_at=db_clock.now())


def _tell_unrecorded(found: list[Problem]) -> None:
    global _last_unrecorded
    for problem in found:
        logger.critical("%s", problem.reason)
    if found and time.monotonic() - _last_unrecorded >= _UNRECORDED_PAUSE:
        _last_unrecorded = time.monotonic()
        _mail("\n".join(problem.reason for problem in found), {CONFIGURING_ROLE})


def _mail(reason: str, roles: Collection[str]) -> bool:
    """One mail to everybody in these roles; False when it was not taken and must be tried again."""
    people = User.objects.filter(groups__name__in=roles, is_active=True).exclude(email="")
    addresses = sorted({user.email for user in people})
    if not addresses:
        logger.error("no ops admin has a mail address; nobody was told: %s", reason)
        return True
    message = EmailMessage(
        subject="[Countersign] Something is wrong with this installation",
        body=f"{reason}\n\nSee how it stands: {settings.BASE_URL}/admin/\n",
        bcc=addresses,
    )
    try:
        message.send()
    except (SMTPException, OSError):
        logger.exception("alarm not sent")
        return False
    return True
