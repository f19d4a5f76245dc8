"""The page on which several requests of an inbox are decided together."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from approvals.admin import bulk
from approvals.admin.review_page import ReviewPageAdmin
from approvals.admin.scoped import as_uuid
from approvals.exceptions import ApprovalError
from approvals.models import ActionRequest
from approvals.selectors.inbox import requests_of
from approvals.selectors.inbox_counts import forget_counts
from approvals.selectors.request_view import for_review
from audit.lib import db_clock
from policies.models import User


class BulkPageAdmin(ReviewPageAdmin):
    """Adds one address to a team's inbox: shown by GET, decided by POST."""

    def team_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(
            never_cache(
                require_http_methods(["GET", "HEAD", "POST"])(self._view_of_team("bulk_view"))
            )
        )
        return [path("bulk/", view, name="inbox_bulk"), *super().team_urls()]

    def bulk_view(self, request: HttpRequest) -> HttpResponse:
        """Those chosen by explicit ids, as they are now; or what became of each."""
        if not self.is_member(request):
            raise PermissionDenied
        if request.method != "POST":
            ids = {one for one in map(as_uuid, request.GET.getlist("id")) if one is not None}
            return self._shown(request, self._chosen(request, ids))
        seals = request.POST.getlist("seal")[: bulk.MOST]
        form = bulk.BulkForm(request.POST)
        try:
            chosen = self._chosen(request, set(bulk.requests_in(seals)))
        except ApprovalError as refusal:
            return self._page_of(request, {"refusal": refusal.message}, status=refusal.status)
        if len(chosen) != len(seals):
            raise Http404
        if not form.is_valid():
            return self._shown(request, chosen, form, status=422)
        approves = form.cleaned_data["verdict"] == "approve"
        why_not = bulk.why_not_approve if approves else bulk.why_not_reject
        # what changed since it was shown is refused one by one, by the service
        if refusal_of_all := _of_one_kind(chosen) or why_not(chosen):
            return self._page_of(request, {"refusal": refusal_of_all}, status=409)
        results = bulk.decide(seals, decider=cast(User, request.user), form=form)
        forget_counts(self.team, viewer=cast(User, request.user))
        done = sum(result.is_done for result in results)
        return self._page_of(request, {"results": results, "done": done})

    def _chosen(self, request: HttpRequest, ids: set[UUID]) -> list[ActionRequest]:
        """This team's, in order of their deadlines; another team's do not exist here."""
        these = ActionRequest.objects.filter(pk__in=sorted(ids)[: bulk.MOST + 1])
        return list(for_review(requests_of(self.team, these)).order_by("decide_by", "id"))

    def _shown(
        self,
        request: HttpRequest,
        chosen: list[ActionRequest],
        form: bulk.BulkForm | None = None,
        *,
        status: int = 200,
    ) -> HttpResponse:
        refusal = bulk.why_not_together(chosen)
        not_approve, not_reject = bulk.why_not_approve(chosen), bulk.why_not_reject(chosen)
        if not refusal and not_approve and not_reject:
            refusal = not_approve
        if refusal:
            return self._page_of(request, {"refusal": refusal}, status=409)
        at = db_clock.now_of_page()
        form = form or bulk.BulkForm()
        context = {
            "chosen": bulk.shown(chosen, cast(User, request.user), at=at),
            "form": form,
            "reasons": form.fields["reason_code"].choices[1:],  # type: ignore[attr-defined]
            "only_reject": not_approve,
            "only_approve": not_reject,
        }
        return self._page_of(request, context, status=status)

    def _page_of(
        self, request: HttpRequest, context: dict[str, Any], *, status: int = 200
    ) -> HttpResponse:
        shared = {
            **self.admin_site.each_context(request),
            "title": self.name_for(request),
            "inbox_name": self.name_for(request),
            "inbox_url": self.list_url,
            "opts": self.opts,
        }
        return TemplateResponse(
            request, "approvals/bulk.html", {**shared, **context}, status=status
        )


def _of_one_kind(chosen: list[ActionRequest]) -> str:
    if not chosen:
        return "Nothing was chosen."
    return bulk.why_not_alike(chosen)
