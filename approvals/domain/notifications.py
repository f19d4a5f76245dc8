"""Telling people: written with the change, sent after it, retried, and never in its way.

A notice carries a link and no content. Deciding happens only on the authenticated page.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import Q

from approvals.domain import dispatch
from approvals.domain.transitions import Moves
from approvals.models import ActionRequest, Notice, Plan, Requirement
from audit.lib import db_clock
from audit.lib.db import insert_all
from policies.models import User
from policies.roles import AUDITOR, BREAK_GLASS_REVIEWERS, CONFIGURING_ROLE
from policies.team_names import persons_in

logger = logging.getLogger(__name__)

REMINDER = "Reminder: a request waits for your decision"
ESCALATED = "A request was escalated to you"

RETRY_AFTER = timedelta(minutes=1)
BATCH = 100
BATCH_SECONDS = 20.0
"""How long one batch may go on beginning mails, on this process's own clock: a task's hard limit
would end it in the middle of one."""


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


def approved(moves: Moves) -> None:
    """Everything required has been said, in the move that was just made and is written next."""
    owner, subject = moves.request.agent.owner, "A request of your agent was approved"
    _tell(moves.request, [owner], subject, at=moves.at, moves=moves)


def escalated(request: ActionRequest, requirement: Requirement) -> None:
    """A requirement was made the next level's problem."""
    _tell(request, _members({requirement.escalated_to}), ESCALATED)


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
    _tell(request, _members({requirement.group}), REMINDER)


def incident(request: ActionRequest) -> None:
    """Something needs a person now."""
    groups = set(request.requirements.values_list("group", flat=True)) | {"manager"}
    _tell(request, [*_members(groups), request.agent.owner], "An execution needs your attention")


def plan_half_done(plan: Plan) -> None:
    """A plan was stopped and some of it stays done: whoever agreed to a whole has a half."""
    asked = Requirement.objects.filter(request__plan=plan)
    people = [*_members({*asked.values_list("group", flat=True), "manager"}), plan.agent.owner]
    first = ActionRequest.objects.get(plan=plan, step=1)
    _tell(first, people, "A plan was stopped half-way, and some of it stays done")


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


def ended(request: ActionRequest, moves: Moves | None = None) -> None:
    """The requester and the agent's owner learn how it ended, in the move that was just made.

    With `moves` the notices are written with them.
    """
    people = [request.agent.owner]
    if request.on_behalf_of:
        people += User.objects.filter(username=request.on_behalf_of, is_active=True)
    subject = f"A request of your agent is now {request.get_state_display()}"
    _tell(request, people, subject, at=request.updated_at, moves=moves)


def ended_all(requests: Sequence[ActionRequest], *, at: datetime) -> None:
    """`ended` for many that ended in the same moment."""
    names = {request.on_behalf_of for request in requests} - {""}
    asking: dict[str, list[User]] = {}
    for user in User.objects.filter(username__in=names, is_active=True):
        asking.setdefault(user.username, []).append(user)
    _keep(
        [
            notice
            for request in requests
            for notice in _notices(
                request,
                [request.agent.owner, *asking.get(request.on_behalf_of, ())],
                f"A request of your agent is now {request.get_state_display()}",
                at=at,
            )
        ]
    )


def reminded_all(asked: Sequence[tuple[ActionRequest, Requirement]], *, at: datetime) -> None:
    """`reminded` for many in the same moment."""
    _tell_groups([(request, requirement.group) for request, requirement in asked], REMINDER, at=at)


def escalated_all(asked: Sequence[tuple[ActionRequest, Requirement]], *, at: datetime) -> None:
    """`escalated` for many in the same moment."""
    _tell_groups(
        [(request, requirement.escalated_to) for request, requirement in asked], ESCALATED, at=at
    )


def _tell_groups(told: Sequence[tuple[ActionRequest, str]], subject: str, *, at: datetime) -> None:
    members = {group: _members({group}) for group in {group for _, group in told}}
    _keep(
        [
            notice
            for request, group in told
            for notice in _notices(request, members[group], subject, at=at)
        ]
    )


def _members(groups: set[str]) -> list[User]:
    asked = Q(groups__name__in=groups) | Q(person__in=persons_in(groups))
    return list(User.objects.filter(asked, is_active=True).distinct())


def _tell(
    request: ActionRequest,
    people: Iterable[User],
    subject: str,
    *,
    at: datetime | None = None,
    moves: Moves | None = None,
) -> None:
    _keep(_notices(request, people, subject, at=at or db_clock.now()), moves)


def _notices(
    request: ActionRequest, people: Iterable[User], subject: str, *, at: datetime
) -> list[Notice]:
    recipients = {user.pk: user for user in people if user.email and user.is_active}
    return [
        Notice(request=request, recipient=user, subject=subject, created_at=at, next_attempt_at=at)
        for user in recipients.values()
    ]


def _keep(notices: Sequence[Notice], moves: Moves | None = None) -> None:
    if moves is None:
        insert_all(notices)
    else:
        moves.store(*notices)
    if notices:
        dispatch.notices()


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
            .order_by("next_attempt_at")[:BATCH]
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
