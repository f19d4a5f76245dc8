"""One address per request for people, whatever team they are in: it leads to their own page."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from approvals.models import ActionRequest, Requirement
from approvals.selectors.glass import open_to_breakers
from approvals.selectors.inbox import asked_now, requests_of, teams_of
from approvals.selectors.visibility import visible_requests
from policies.models import User


@require_safe
@login_required
def open_review(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """To the inbox of a team that is asked; to the record for others who may read it; else 404."""
    user = cast(User, request.user)
    team = team_for(user, request_id)
    if team:
        return HttpResponseRedirect(
            reverse(f"admin:approvals_{team}inbox_change", args=[request_id])
        )
    if visible_requests(user).filter(pk=request_id).exists():
        return HttpResponseRedirect(
            reverse("admin:approvals_actionrequest_change", args=[request_id])
        )
    raise Http404


def team_for(user: User, request_id: UUID) -> str:
    """The user's team that is asked now; otherwise one that ever was; empty: none, they read.

    Whoever may break the glass is led to a team that is asked.
    """
    teams = teams_of(user)
    this = ActionRequest.objects.filter(pk=request_id)
    for team in teams:
        if asked_now(team, this).exists():
            return team
    for team in teams:
        if requests_of(team, this).exists():
            return team
    if open_to_breakers(user).filter(pk=request_id).exists():
        asked = Requirement.objects.filter(request=request_id, is_open=True)
        return asked.values_list("group", flat=True).order_by("stage", "id").first() or ""
    return ""
