"""Naming a view of an inbox, and forgetting it: a person's own convenience, nobody else's business.

Nothing of it is in the trail: it says how somebody likes to look, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from approvals.exceptions import ApprovalError, NotFound
from approvals.models import SavedView
from approvals.selectors.saved_views import query_of
from audit.lib import db_clock
from policies.models import User

MOST = 12
"""How many one person keeps for one inbox: they stand in a row above it."""
LONGEST_NAME = 40
_REFUSED = "view_not_saved"


@transaction.atomic
def save_view(user: User, team: str, *, name: str, asked: Mapping[str, str]) -> SavedView:
    """Keep what the inbox shows under that name; an earlier one of that name now shows this.

    Raises ApprovalError (view_not_saved): no name, too many, nothing to save.
    """
    name, query = " ".join(name.split()), query_of(asked)
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # two tabs of theirs, one count
    theirs = SavedView.objects.filter(user=user, team=team)
    if not name or len(name) > LONGEST_NAME:
        raise ApprovalError(f"Give the view a name of up to {LONGEST_NAME} letters.", code=_REFUSED)
    if not query:
        raise ApprovalError(
            "This is the inbox as it opens anyway. Choose a filter first.", code=_REFUSED
        )
    if theirs.exclude(name=name).count() >= MOST:
        raise ApprovalError(f"You have {MOST} views here. Forget one first.", code=_REFUSED)
    saved, _ = SavedView.objects.update_or_create(
        user=user,
        team=team,
        name=name,
        defaults={"query": query},
        create_defaults={"query": query, "created_at": db_clock.now()},
    )
    return saved


@transaction.atomic
def forget_view(user: User, view_id: int) -> str:
    """Remove one of one's own and return its name. Raises NotFound for anybody else's."""
    found = SavedView.objects.filter(user=user, pk=view_id).first()
    if found is None:
        raise NotFound("You have no such view.")
    found.delete()
    return found.name
