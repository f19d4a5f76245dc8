"""How much is on whose desk, as far as it matters for who comes next."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import IntegerField, Max, OuterRef, Subquery

from approvals.models import Requirement
from policies.models import User

MOST_COUNTED = 100
"""Whoever has that many open assignments has enough; nobody counts further."""

RECENT = 500
"""How many of the newest requirements say who got one last."""


class _Counted(Subquery):
    """How many rows a (sliced) query finds, without grouping all that it could find."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


def by_load(users: Iterable[User]) -> list[User]:
    """Fewest open assignments first; then longest without a new one; then by user name.

    Two queries by index, whatever is open: counting stops at MOST_COUNTED a person, and looking
    back after RECENT requirements.
    """
    candidates = list(users)
    if len(candidates) < 2:
        return candidates
    ids = [user.pk for user in candidates]
    assigned = Requirement.objects.filter(is_open=True, assignee=OuterRef("pk"))
    counts = dict(
        User.objects.filter(pk__in=ids)
        .annotate(load=_Counted(assigned.order_by().values("pk")[:MOST_COUNTED]))
        .values_list("pk", "load")
    )
    newest = Requirement.objects.order_by("-id").values("pk")[:RECENT]
    last = dict(
        Requirement.objects.filter(pk__in=list(newest.values_list("pk", flat=True)))
        .filter(assignee__in=ids)
        .order_by()
        .values_list("assignee")
        .annotate(last=Max("pk"))
    )
    return sorted(candidates, key=lambda u: (counts.get(u.pk, 0), last.get(u.pk, 0), u.username))
