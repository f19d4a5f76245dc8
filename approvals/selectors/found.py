"""What somebody may read of the requests a term finds: the search every page has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from approvals.models import ActionRequest
from approvals.selectors.search import matching
from approvals.selectors.visibility import visible_requests
from policies.models import User

MOST_SHOWN = 50
_MOST_LOOKED_AT = 400


@dataclass(frozen=True, slots=True)
class SearchResults:
    """The newest of them, and whether there are more."""

    requests: Sequence[ActionRequest]
    has_more: bool


def find(term: str, *, reader: User) -> SearchResults:
    """Nothing for an empty term.

    Not in the order of their ids: asked for the newest of a few, the database would begin with the
    newest of all. So it looks them up, each by its own index, and we order what was found.
    """
    if not term.strip():
        return SearchResults((), has_more=False)
    rows = visible_requests(reader).filter(matching(term)).order_by().values_list("pk", flat=True)
    ids = sorted(set(rows[:_MOST_LOOKED_AT]), reverse=True)
    shown = ActionRequest.objects.filter(pk__in=ids[:MOST_SHOWN]).select_related("agent")
    return SearchResults(list(shown.order_by("-id")), has_more=len(ids) > MOST_SHOWN)
