"""Telling people: written with the change, sent after it, retried, and never in its way.

A notice carries a link and no content. Deciding happens only on the authenticated page.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import Q

from approvals.choices import State
from approvals.domain import dispatch, recipients
from approvals.domain.transitions import Moves
from approvals.models import ActionRequest, Notice, Plan, Requirement
from approvals.selectors.requests import requirements_of
from audit.actors import ActorKind
from audit.lib import db_clock
from audit.lib.db import insert_all
from policies.authority import Case
from policies.models import User
from policies.roles import AUDITOR, BREAK_GLASS_REVIEWERS, CONFIGURING_ROLE
from policies.team_names import persons_in

logger = logging.getLogger(__name__)

WAITING = "A request waits for your decision"
REMINDER = "Reminder: a request waits for your decision"
ESCALATED = "A request was escalated to you"
SUGGESTED = "suggested to you: "

_BECAME = {
    State.VERIFIED: "was carried out and checked",
    State.AUDITED: "was carried out and checked",
    State.FAILED: "FAILED: nothing was done",
    State.OUTCOME_UNKNOWN: "has an UNKNOWN outcome",
    State.VERIFICATION_FAILED: "was NOT done as approved",
    State.EXPIRED: "expired before it was carried out",
    State.DENIED: "was stopped by policy before it was carried out",
}


def routed(
    request: ActionRequest, requirements: Sequence[Requirement], *, case: Case, at: datetime
) -> None:
    """A request waits in these groups' inboxes: whoever may decide it learns that.

    `case` is the request's `case_for_all`.
    """
    people = recipients.may_decide_now(request, requirements, at=at, case=case)
    _tell_deciders(request, requirements, people, WAITING, at=at)


def asked(request: ActionRequest) -> None:
    """A reviewer asked the agent."""
    _tell(request, [request.agent.owner], "A reviewer asked your agent a question")


def answered(request: ActionRequest) -> None:
    """The agent answered."""
    at = db_clock.now()
    still_open = [r for r in requirements_of(request) if r.is_open]
    people = recipients.may_decide_now(request, still_open, at=at)
    subject = "An agent answered; the request waits for you"
    _tell_deciders(request, still_open, people, subject, at=at)


def approved(moves: Moves) -> None:
    """Everything required has been said, in the move that was just made and is written next."""
    owner, subject = moves.request.agent.owner, "A request of your agent was approved"
    _tell(moves.request, [owner], subject, at=moves.at, moves=moves)


def escalated(request: ActionRequest, requirement: Requirement) -> None:
    """A requirement was made the next level's problem."""
    at, ways = db_clock.now(), recipients.as_escalated
    people = recipients.may_decide_now(request, [requirement], at=at, ways=ways)
    _tell_deciders(request, [requirement], people, ESCALATED, at=at)


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


def noted(request: ActionRequest, *, by: User) -> None:
    """Somebody wrote to the people on the case: who works on it, decided on it or wrote before."""
    open_ones = [one for one in requirements_of(request) if one.is_open]
    on_it = Q(assigned_requirements__in=open_ones)
    on_it |= Q(decisions__request=request)
    written = request.thread.filter(actor_kind=ActorKind.HUMAN).values("actor_name")
    people = User.objects.filter(on_it | Q(username__in=written)).distinct()
    others = people.exclude(person=by.person)
    _tell(request, others, "A colleague wrote about a request you are on")


def reminded(request: ActionRequest, requirement: Requirement) -> None:
    """Time passes."""
    at, ways = db_clock.now(), recipients.as_asked
    people = recipients.may_decide_now(request, [requirement], at=at, ways=ways)
    _tell_deciders(request, [requirement], people, REMINDER, at=at)


def incident(request: ActionRequest) -> None:
    """Something needs a person now; whoever approved it learns that it went wrong."""
    approvers = recipients.approvers_of(request)
    _tell(request, approvers, _outcome(request))
    approved_by = {user.pk for user in approvers}
    groups = set(request.requirements.values_list("group", flat=True)) | {"manager"}
    others = [user for user in _members(groups) if user.pk not in approved_by]
    _tell(request, [*others, request.agent.owner], "An execution needs your attention")


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


def webhook_fails(request: ActionRequest) -> None:
    """An endpoint of its agent has not taken a webhook for an hour, or not at all."""
    _tell(request, [request.agent.owner], "A webhook endpoint of your agent does not answer")


def webhook_disabled(request: ActionRequest) -> None:
    """An endpoint of its agent said that it is gone."""
    _tell(request, [request.agent.owner], "A webhook endpoint of your agent was disabled")


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
    """Requester, agent's owner and whoever approved it learn how it ended, in the last move.

    With `moves` the notices are written with them.
    """
    people = [request.agent.owner]
    if request.on_behalf_of:
        people += User.objects.filter(username=request.on_behalf_of, is_active=True)
    at, approvers = request.updated_at, recipients.approvers_of(request)
    _keep(_of_the_end(request, people, approvers, at=at), moves)


def _of_the_end(
    request: ActionRequest, people: Sequence[User], approvers: Sequence[User], *, at: datetime
) -> list[Notice]:
    """Whoever approved it reads what became of that; the others, how a request of theirs ended."""
    told = {user.pk for user in approvers}
    others = [user for user in people if user.pk not in told]
    subject = f"A request of your agent is now {request.get_state_display().lower()}"
    return [
        *_notices(request, approvers, _outcome(request), at=at),
        *_notices(request, others, subject, at=at),
    ]


def ended_all(requests: Sequence[ActionRequest], *, at: datetime) -> None:
    """`ended` for many that ended in the same moment."""
    names = {request.on_behalf_of for request in requests} - {""}
    asking: dict[str, list[User]] = {}
    for user in User.objects.filter(username__in=names, is_active=True):
        asking.setdefault(user.username, []).append(user)
    approvers = recipients.approvers_of_many(requests)
    notices: list[Notice] = []
    for request in requests:
        people = [request.agent.owner, *asking.get(request.on_behalf_of, ())]
        notices += _of_the_end(request, people, approvers.get(request.pk, ()), at=at)
    _keep(notices)


def reminded_all(asked: Sequence[tuple[ActionRequest, Requirement]], *, at: datetime) -> None:
    """`reminded` for many in the same moment."""
    _tell_many(asked, REMINDER, at=at)


def escalated_all(asked: Sequence[tuple[ActionRequest, Requirement]], *, at: datetime) -> None:
    """`escalated` for many in the same moment."""
    _tell_many(asked, ESCALATED, at=at)


def _tell_many(
    asked: Sequence[tuple[ActionRequest, Requirement]], subject: str, *, at: datetime
) -> None:
    ways = recipients.as_escalated if subject == ESCALATED else recipients.as_asked
    people = recipients.may_decide_of_many(asked, ways=ways)
    _keep(
        [
            notice
            for (request, requirement), deciders in zip(asked, people, strict=True)
            for notice in _to_deciders(request, [requirement], deciders, subject, at=at)
        ]
    )


def _tell_deciders(
    request: ActionRequest,
    requirements: Sequence[Requirement],
    people: Iterable[User],
    subject: str,
    *,
    at: datetime,
) -> None:
    _keep(_to_deciders(request, requirements, people, subject, at=at))


def _to_deciders(
    request: ActionRequest,
    requirements: Sequence[Requirement],
    people: Iterable[User],
    subject: str,
    *,
    at: datetime,
) -> list[Notice]:
    """With team, tier and due in the subject; whom it is suggested to reads that as well."""
    groups = [r.escalated_to if subject == ESCALATED else r.group for r in requirements]
    about = recipients.about(request, groups)
    own = {user.pk for user in recipients.assignees(requirements)}
    return [
        notice
        for user in people
        for notice in _notices(
            request,
            [user],
            f"{subject}: {SUGGESTED if user.pk in own else ''}{about}",
            at=at,
        )
    ]


def _outcome(request: ActionRequest) -> str:
    """What whoever approved a request reads of it, without what it is."""
    became = _BECAME.get(State(request.state), f"is now {request.get_state_display().lower()}")
    return f"A request you approved {became}, tier {request.risk_tier}"


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
