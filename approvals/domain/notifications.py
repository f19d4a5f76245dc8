"""Telling people: written with the change, sent after it, retried, and never in its way.

A notice carries a link and no content. Deciding happens only on the authenticated page.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction

from approvals.domain import dispatch
from approvals.models import ActionRequest, Notice, Requirement
from audit.lib import db_clock
from policies.models import User
from policies.roles import AUDITOR, BREAK_GLASS_REVIEWERS, CONFIGURING_ROLE

logger = logging.getLogger(__name__)

RETRY_AFTER = timedelta(minutes=1)
BATCH = 100


def routed(request: ActionRequest, requirements: Iterable[Requirement]) -> None:
    """A request waits in these groups' inboxes."""
    groups = {r.group for r in requirements} | {r.escalated_to for r in requirements} - {""}
    _tell(request, _members(groups), "A request waits for your decision")


def asked(request: ActionRequest) -> None:
    """A reviewer asked the agent."""
    _tell(request, [request.agent.owner], "A reviewer asked your agent a question")


def answered(request: ActionRequest) -> None:
    """The agent answered."""
    open_groups = request.requirements.filter(is_open=True).values_list("group", flat=True)
    _tell(request, _members(set(open_groups)), "An agent answered; the request waits for you")


def approved(request: ActionRequest) -> None:
    """Everything required has been said."""
    _tell(request, [request.agent.owner], "A request of your agent was approved")


def escalated(request: ActionRequest, requirement: Requirement) -> None:
    """A requirement was made the next level's problem."""
    _tell(request, _members({requirement.escalated_to}), "A request was escalated to you")


def used_on_behalf(request: ActionRequest, lender: str) -> None:
    """Somebody decided with delegated authority: the delegator learns of each use."""
    accounts = User.objects.filter(person=lender, is_active=True)
    _tell(request, accounts, "Somebody decided on your behalf")


def nobody(request: ActionRequest, requirement: Requirement) -> None:
    """Too few people may decide it: the fallback, whoever sets limits and the owner learn it."""
    fallback = _members({requirement.escalated_to})
    keepers = _members({CONFIGURING_ROLE})
    _tell(
        request,
        [*fallback, *keepers, request.agent.owner],
        "Too few people may decide a request; it needs somebody",
    )


def reassigned(request: ActionRequest, to: User) -> None:
    """A colleague gave it to them."""
    _tell(request, [to], "A colleague gave you a request to decide")


def reminded(request: ActionRequest, requirement: Requirement) -> None:
    """Time passes."""
    _tell(request, _members({requirement.group}), "Reminder: a request waits for your decision")


def incident(request: ActionRequest) -> None:
    """Something needs a person now."""
    groups = set(request.requirements.values_list("group", flat=True)) | {"manager"}
    _tell(request, [*_members(groups), request.agent.owner], "An execution needs your attention")


def integrity_broken(request: ActionRequest) -> None:
    """A stored request was changed by other means: whoever looks into such things learns it."""
    everybody = _members({CONFIGURING_ROLE, "security", AUDITOR})
    _tell(request, everybody, "INCIDENT: a stored request was changed outside of Countersign")


def agent_paused(request: ActionRequest) -> None:
    """The agent keeps proposing what it was refused, and has been stopped."""
    _tell(request, [request.agent.owner], "Your agent was paused: it repeats what was refused")


def break_glass_used(request: ActionRequest) -> None:
    """One person approved alone: everybody learns it at once."""
    everybody = _members({*BREAK_GLASS_REVIEWERS, CONFIGURING_ROLE, AUDITOR})
    _tell(request, [*everybody, request.agent.owner], "EMERGENCY: somebody used break-glass")


def break_glass_review_overdue(request: ActionRequest) -> None:
    """A day has passed and nobody said whether it was right."""
    everybody = _members({*BREAK_GLASS_REVIEWERS, CONFIGURING_ROLE, AUDITOR})
    _tell(request, everybody, "OVERDUE: a break-glass approval has not been reviewed")


def break_glass_not_justified(request: ActionRequest) -> None:
    """The review says it was no emergency."""
    everybody = _members({*BREAK_GLASS_REVIEWERS, CONFIGURING_ROLE, AUDITOR})
    _tell(request, [*everybody, request.agent.owner], "A break-glass approval was NOT justified")


def ended(request: ActionRequest) -> None:
    """The requester and the agent's owner learn how it ended."""
    people = [request.agent.owner]
    if request.on_behalf_of:
        people += User.objects.filter(username=request.on_behalf_of, is_active=True)
    _tell(request, people, f"A request of your agent is now {request.get_state_display()}")


def _members(groups: set[str]) -> list[User]:
    return list(User.objects.filter(groups__name__in=groups, is_active=True).distinct())


def _tell(request: ActionRequest, people: Iterable[User], subject: str) -> None:
    at = db_clock.now_in_query()
    recipients = {user.pk: user for user in people if user.email and user.is_active}
    Notice.objects.bulk_create(
        Notice(request=request, recipient=user, subject=subject, created_at=at, next_attempt_at=at)
        for user in recipients.values()
    )
    if recipients:
        dispatch.notices()


def send_waiting() -> int:
    """Send what is due, at most `BATCH`; a refused mail waits longer each time. Returns how many.

    A crash after sending and before the commit sends one mail twice: harmless, it is a link.
    """
    sent = 0
    with transaction.atomic():
        at = db_clock.now()
        waiting = list(
            Notice.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(sent_at=None, next_attempt_at__lte=at)
            .select_related("recipient")
            .order_by("next_attempt_at")[:BATCH]
        )
        # claimed for a minute, so that nothing is open while mail goes out
        Notice.objects.filter(pk__in=[n.pk for n in waiting]).update(
            next_attempt_at=at + RETRY_AFTER
        )
    for notice in waiting:
        sent += _send(notice)
    return sent


def _send(notice: Notice) -> bool:
    link = f"{settings.BASE_URL}/review/{notice.request_id}/"
    message = EmailMessage(
        subject=f"[Countersign] {notice.subject}",
        body=f"{notice.subject}.\n\nOpen it here: {link}\n",
        to=[notice.recipient.email],
    )
    notice.attempts += 1
    try:
        message.send()
    except (SMTPException, OSError) as error:
        logger.warning("notice not sent", extra={"notice": notice.pk})
        notice.problem = str(error)[:300]
        notice.next_attempt_at = db_clock.now() + RETRY_AFTER * min(2**notice.attempts, 60)
        notice.save(update_fields=["attempts", "problem", "next_attempt_at"])
        return False
    notice.sent_at, notice.problem = db_clock.now(), ""
    notice.save(update_fields=["attempts", "problem", "sent_at"])
    return True
