"""Break-glass: who may use it for a request, what they may open, and what waits for review."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.core.cache import cache
from django.db.models import Exists, Q, QuerySet

from approvals.choices import State
from approvals.models import ActionRequest, BreakGlass
from approvals.selectors.authority import people_decided
from approvals.selectors.case import case_of
from policies.authority import (
    Authority,
    has_break_glass,
    may_break_glass,
    reviews_break_glass,
    roles_of,
    roles_told_of_break_glass,
)
from policies.models import User

_KEPT = 10  # seconds


def may_break(request: ActionRequest, viewer: User, *, at: datetime) -> bool:
    """Whether the page offers it; the service asks again."""
    if request.state != State.PENDING_APPROVAL or not has_break_glass(roles_of(viewer)):
        return False
    case = replace(case_of(request, at=at), decided=people_decided(request))
    return isinstance(may_break_glass(viewer, case), Authority)


def open_for_break_glass(user: User) -> QuerySet[ActionRequest]:
    """What whoever may use break-glass may read: whatever waits, and what they used it for."""
    if not user.is_active or not has_break_glass(roles_of(user)):
        return ActionRequest.objects.none()
    broke = BreakGlass.objects.filter(person=user.person).values("request")
    return ActionRequest.objects.filter(Q(state=State.PENDING_APPROVAL) | Q(pk__in=broke))


def readable_break_glass(user: User) -> QuerySet[BreakGlass]:
    """Every emergency, for those who review and those who were told; for others, their own."""
    rows = BreakGlass.objects.all()
    if not user.is_active:
        return rows.none()
    if user.is_superuser:
        return rows
    told = roles_told_of_break_glass(user)
    return rows.filter(Q(person=user.person) | Exists(told))  # one query: every page asks


def open_to_reviewers(user: User) -> QuerySet[ActionRequest]:
    """What emergencies were about, for those who review them."""
    if not user.is_active or not reviews_break_glass(roles_of(user)):
        return ActionRequest.objects.none()
    return ActionRequest.objects.filter(pk__in=BreakGlass.objects.values("request"))


def unreviewed(user: User) -> int:
    """How many emergencies this reader knows of still wait for their review."""
    return readable_break_glass(user).filter(reviewed_at=None).count()


def unreviewed_badge(user: User) -> str:
    """The same beside a link that every page has, some seconds old; "" for none."""
    return str(cache.get_or_set(f"unreviewed:{user.pk}", lambda: unreviewed(user), _KEPT) or "")


def overdue_reviews(at: datetime) -> int:
    """How many of them have waited too long."""
    return BreakGlass.objects.filter(reviewed_at=None, review_due_at__lte=at).count()
