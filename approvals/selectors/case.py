"""The case authority is asked about: what, how much, and who had a hand in it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q, Sum

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


def case_of(request: ActionRequest, *, at: datetime, edited_to: Money | None = None) -> Case:
    """The case as authority sees it, with everybody who had a hand in it and may not decide.

    `edited_to` is the amount an edit leads to: the larger of the two counts, and an amount in
    another currency always counts as larger.
    """
    amount = amount_of(request)
    if edited_to is not None and (
        amount is None or edited_to.currency != amount.currency or edited_to.minor > amount.minor
    ):
        amount = edited_to
    currency = amount.currency if amount else ""

    def spent_today(user: User) -> int:
        return approved_today(user.person, currency, now=at, excluding=request)

    return Case(
        action_type=request.action_type,
        amount=amount,
        tier=request.effective_tier,
        involved=_involved(request),
        spent_today=spent_today,
    )


def _involved(request: ActionRequest) -> dict[str, str]:
    involved = dict.fromkeys(_owners_since(request), "the agent's owner")
    if request.on_behalf_of:
        involved[person_key(request.on_behalf_of)] = "the person it was requested for"
        # the agent spells it; no spelling of an account leads around four-eyes
        accounts = User.objects.filter(
            Q(username__iexact=request.on_behalf_of) | Q(email__iexact=request.on_behalf_of)
        )
        for account in accounts:
            involved[account.person] = "the person it was requested for"
    if request.requested_by is not None:
        involved[request.requested_by.person] = "the person who opened it"
    for content in request.contents.exclude(edited_by=None).select_related("edited_by"):
        if content.edited_by is not None:
            involved[content.edited_by.person] = "the person who edited it"
    return involved


def _owners_since(request: ActionRequest) -> set[str]:
    """Whoever owned the agent when it asked, or has since: handing it over frees nobody."""
    owners = {request.agent.owner.person}
    earlier = request.agent.history.order_by("-history_date", "-history_id")
    for changed_at, person in earlier.values_list("history_date", "owner__person"):
        owners.add(person)
        if changed_at <= request.created_at:
            break
    return owners


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


def approved_today_by_person(
    currency: str, *, now: datetime, excluding: ActionRequest
) -> dict[str, int]:
    """The same for everybody at once, minor units by person."""
    spent = (
        Decision.objects.filter(
            verdict=DecisionVerdict.APPROVE, currency=currency, created_at__gte=now - _DAY
        )
        .exclude(request=excluding)
        .order_by()
        .values_list("person")
        .annotate(total=Sum("amount_minor"))
    )
    return {person: int(total or 0) for person, total in spent}
