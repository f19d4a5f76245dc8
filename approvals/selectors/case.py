"""The case authority is asked about: what, how much, and who had a hand in it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Sum

from approvals.choices import DecisionVerdict
from approvals.models import ActionRequest, Decision
from audit.money import Money
from policies.authority import Case
from policies.models import User
from policies.models.people import person_key

_DAY = timedelta(hours=24)


def amount_of(request: ActionRequest) -> Money | None:
    """The request's amount, when it moves money."""
    if request.amount_minor is None:
        return None
    return Money(request.amount_minor, request.currency)


def case_of(request: ActionRequest, *, at: datetime) -> Case:
    """The case as authority sees it, with everybody who had a hand in it and may not decide."""

    def spent_today(user: User) -> int:
        return approved_today(user.person, request.currency, now=at, excluding=request)

    involved = {request.agent.owner.person: "the agent's owner"}
    if request.on_behalf_of:
        involved[person_key(request.on_behalf_of)] = "the person it was requested for"
        subject = User.objects.filter(username=request.on_behalf_of).first()
        if subject is not None:
            involved[subject.person] = "the person it was requested for"
    if request.requested_by is not None:
        involved[request.requested_by.person] = "the person who opened it"
    for content in request.contents.exclude(edited_by=None).select_related("edited_by"):
        if content.edited_by is not None:
            involved[content.edited_by.person] = "the person who edited it"
    return Case(
        action_type=request.action_type,
        amount=amount_of(request),
        tier=request.risk_tier if request.risk_tier is not None else 5,
        involved=involved,
        spent_today=spent_today,
    )


def approved_today(person: str, currency: str, *, now: datetime, excluding: ActionRequest) -> int:
    """What the person approved in the last 24 hours in that currency, minor units."""
    spent = (
        Decision.objects.filter(
            person=person,
            verdict=DecisionVerdict.APPROVE,
            currency=currency,
            created_at__gte=now - _DAY,
        )
        .exclude(request=excluding)
        .aggregate(total=Sum("amount_minor"))
    )
    return int(spent["total"] or 0)
