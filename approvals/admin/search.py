"""One search for every page: the number in the hand, and the case it belongs to."""

from __future__ import annotations

from typing import cast

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from approvals.inspection import reveal
from approvals.selectors.case import amount_of
from approvals.selectors.found import find
from approvals.selectors.search import SEARCHED_BY
from policies.models import User

_LONGEST = 200


@require_safe
def search(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """What was found of what its reader may see; of one alone, its page at once."""
    term = request.GET.get("q", "")[:_LONGEST].strip()
    found = find(term, reader=cast(User, request.user))
    if len(found.requests) == 1:
        return HttpResponseRedirect(reverse("review", args=[found.requests[0].pk]))
    context = {
        **site.each_context(request),
        "title": "Search",
        "term": term,
        "searched_by": SEARCHED_BY,
        "has_more": found.has_more,
        "results": [
            {
                "request": one,
                "effect": reveal(one.effect),
                "amount": str(amount_of(one) or ""),
                "url": reverse("review", args=[one.pk]),
            }
            for one in found.requests
        ],
    }
    return TemplateResponse(request, "approvals/search.html", context)
