"""One address per request for people, whatever team they are in: it leads to their own page."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from approvals.models import ActionRequest


@login_required
def open_review(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Redirect to the request's record."""
    if not ActionRequest.objects.filter(pk=request_id).exists():
        raise Http404
    return HttpResponseRedirect(reverse("admin:approvals_actionrequest_change", args=[request_id]))
