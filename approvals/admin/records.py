"""The records of requests, for everybody who may see them: read, filter, nothing else."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import display

from approvals.admin.links import team_for
from approvals.admin.record_page import record_page
from approvals.admin.scoped import ScopedRecords, as_uuid
from approvals.choices import State
from approvals.inspection import reveal
from approvals.models import ActionRequest
from approvals.selectors.case import amount_of
from approvals.selectors.visibility import visible_requests
from audit.filters import between, equal_to, one_of
from connectors.registry import action_types
from policies.models import User
from policies.verdicts import HIGHEST_TIER, Verdict

STATE_COLOURS: dict[str, str] = dict.fromkeys(State.values, "") | {
    State.PENDING_APPROVAL.value: "warning",
    State.CHANGES_REQUESTED.value: "warning",
    State.APPROVED.value: "info",
    State.EXECUTING.value: "info",
    State.EXECUTED.value: "info",
    State.VERIFIED.value: "success",
    State.AUDITED.value: "success",
    State.OUTCOME_UNKNOWN.value: "danger",
    State.VERIFICATION_FAILED.value: "danger",
    State.FAILED.value: "danger",
    State.DENIED.value: "danger",
    State.REJECTED.value: "danger",
}


@admin.register(ActionRequest)
class ActionRequestAdmin(ScopedRecords):
    request_path = "pk"
    list_display = (
        "created_at", "what", "state_badge", "tier", "amount", "agent", "target", "decide_by",
    )  # fmt: skip
    list_display_links = ("created_at", "what")
    list_select_related: ClassVar[Any] = ("agent",)
    list_filter = (
        one_of("state", "state", lambda: list(State.choices)),
        one_of("tier", "risk_tier", lambda: [(str(n), str(n)) for n in range(HIGHEST_TIER + 1)]),
        one_of("policy's verdict", "verdict", lambda: [(v.value, v.value) for v in Verdict]),
        one_of("action type", "action_type", lambda: [(t.key, t.title) for t in action_types()]),
        equal_to("agent", "agent__name", parameter="agent"),
        *between("created_at"),
    )
    list_filter_submit = True
    search_help_text = "The whole id of a request, or the beginning of its target."

    def get_queryset(self, request: HttpRequest) -> QuerySet[ActionRequest]:
        return visible_requests(cast(User, request.user)).order_by(*self.ordering)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        page: HttpResponse = super().changelist_view(
            request, {"title": "Records", **(extra_context or {})}
        )
        return page

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = as_uuid(term)
        if wanted:
            return queryset.filter(pk=wanted), False
        return queryset.filter(target__startswith=term), False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The whole record on one page, instead of a form with every field greyed out."""
        record = self.get_object(request, object_id)
        if not self.has_view_permission(request, record):
            raise PermissionDenied
        return TemplateResponse(
            request,
            "admin/approvals/record.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": record,
                "title": str(record),
                "subtitle": "Record",
                "page": record_page(record, colours=STATE_COLOURS),
                "review_page": self._review_page(request, record),
            },
        )

    def _review_page(self, request: HttpRequest, record: ActionRequest) -> str:
        """The page where this reader may have a say; empty when theirs is to read."""
        if team_for(cast(User, request.user), record.pk):
            return reverse("review", args=[record.pk])
        return ""

    @display(description="effect")  # type: ignore[untyped-decorator]
    def what(self, request: ActionRequest) -> str:
        return reveal(request.effect)

    @display(description="state", label=STATE_COLOURS)  # type: ignore[untyped-decorator]
    def state_badge(self, request: ActionRequest) -> tuple[str, str]:
        return request.state, State(request.state).label

    @display(description="tier", empty_value="not yet known")  # type: ignore[untyped-decorator]
    def tier(self, request: ActionRequest) -> int | None:
        return request.risk_tier

    @display(description="amount")  # type: ignore[untyped-decorator]
    def amount(self, request: ActionRequest) -> str:
        return str(amount_of(request) or "")
