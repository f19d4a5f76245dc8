"""The record of a request, for everybody who may see it: list, filters and the whole page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_safe
from unfold.decorators import display

from approvals.admin.record_tables import tables_of
from approvals.admin.scoped import ScopedRecords, as_uuid
from approvals.choices import State
from approvals.inspection import reveal
from approvals.models import ActionRequest, Decision, Requirement
from approvals.selectors.break_glass import open_for_break_glass
from approvals.selectors.case import amount_of
from approvals.selectors.case_file import CaseFile
from approvals.selectors.inbox import asked_now, inboxes_of, requests_of
from approvals.selectors.record import part_of, with_parts
from approvals.selectors.request_view import RequestView
from approvals.selectors.search import SEARCHED_BY, matching, request_id_at
from approvals.selectors.signatures import Proof, proof_of
from approvals.selectors.visibility import visible_requests
from audit.lib.admin_filters import between, equal_to, one_of
from audit.lib.dates import format_record_moment
from audit.selectors import events_of
from connectors.registry import action_types
from policies.matrix import SAFEGUARDS
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


@dataclass(frozen=True, slots=True)
class Badge:
    """A word with a colour of the theme's labels."""

    text: str
    colour: str = ""


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
        *between("created_at", request_id_at),
    )
    list_filter_submit = True
    search_help_text = SEARCHED_BY

    def get_queryset(self, request: HttpRequest) -> QuerySet[ActionRequest]:
        return visible_requests(cast(User, request.user)).order_by(*self.ordering)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> ActionRequest:
        """With whom its page names and which of its tables have rows; what is unseen is a 404."""
        pk = as_uuid(object_id)
        found = with_parts(self.get_queryset(request)).filter(pk=pk).first() if pk else None
        if found is None:
            raise Http404
        return found

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
        return queryset.filter(matching(search_term)), False

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
        view, events = RequestView(record), tuple(events_of(record))
        decided = part_of(record, "decisions").select_related("decider")
        decisions: tuple[Decision, ...] = tuple(decided.order_by("id"))
        return TemplateResponse(
            request,
            "admin/approvals/record.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": record,
                "title": str(record),
                "subtitle": "Record",
                "view": view,
                "case_file": CaseFile(view, events, decisions),
                "badges": _badges(record),
                "facts": _facts(view, proof_of(record, events)),
                "tables": tables_of(record, events, decisions),
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


def _badges(request: ActionRequest) -> tuple[Badge, ...]:
    tier = "tier not yet known" if request.risk_tier is None else f"tier {request.risk_tier}"
    return (
        Badge(State(request.state).label, STATE_COLOURS.get(request.state, "")),
        Badge(tier, "danger" if SAFEGUARDS[request.risk_tier or 0].sign_off else ""),
        Badge(request.reversibility),
    )


def _facts(view: RequestView, proof: Proof | None) -> tuple[tuple[str, Any], ...]:
    request = view.request
    agent = format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>',
        reverse("admin:approvals_agent_change", args=[request.agent_id]),
        request.agent.name,
    )
    opened_by = request.requested_by.get_username() if request.requested_by else ""
    facts: Sequence[tuple[str, Any]] = (
        ("Id", str(request.pk)),
        ("Agent", agent),
        ("Agent's owner", request.agent.owner.get_username()),
        ("Signed by the agent", str(proof or "")),
        ("On behalf of", request.on_behalf_of),
        ("Opened by", opened_by),
        ("Action type", f"{request.action_type} (version {request.action_type_version})"),
        ("Verb", request.verb),
        ("System", request.system),
        ("Target", reveal(request.target)),
        ("Counterparty", reveal(request.counterparty)),
        ("Amount", str(amount_of(request) or "")),
        ("Policy's verdict", request.verdict.replace("_", " ")),
        ("Policy version", view.policy.version if view.policy else ""),
        ("Floor", (view.policy.decision.floor_id or "") if view.policy else ""),
        ("Proposed", format_record_moment(request.created_at)),
        ("Last change", format_record_moment(request.updated_at)),
        ("Decide by", format_record_moment(request.decide_by)),
        ("Answer by", format_record_moment(request.answer_by)),
        ("Execute by", format_record_moment(request.execute_by)),
        ("Undoes", _other(request.compensates_id)),
        ("Supersedes", _other(request.supersedes_id)),
        ("Session", reveal(request.session)),
        ("Idempotency key", reveal(request.idempotency_key)),
    )
    return tuple((name, value) for name, value in facts if value)


def _other(request_id: Any) -> Any:
    if request_id is None:
        return ""
    address = reverse("admin:approvals_actionrequest_change", args=[request_id])
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, request_id
    )


@require_safe
@login_required
def open_review(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """To the inbox of a team that is asked; to the record for others who may read it; else 404."""
    user = cast(User, request.user)
    team = team_for(user, request_id)
    if team:
        return HttpResponseRedirect(reverse("admin:inbox_request", args=[team, request_id]))
    if visible_requests(user).filter(pk=request_id).exists():
        return HttpResponseRedirect(
            reverse("admin:approvals_actionrequest_change", args=[request_id])
        )
    raise Http404


def team_for(user: User, request_id: UUID) -> str:
    """The user's team that is asked now; otherwise one that ever was; empty: none, they read.

    Whoever may use break-glass is led to a team that is asked.
    """
    teams = inboxes_of(user)
    this = ActionRequest.objects.filter(pk=request_id)
    for team in teams:
        if asked_now(team, this).exists():
            return team
    for team in teams:
        if requests_of(team, this).exists():
            return team
    if open_for_break_glass(user).filter(pk=request_id).exists():
        asked = Requirement.objects.filter(request=request_id, is_open=True)
        return asked.values_list("group", flat=True).order_by("stage", "id").first() or ""
    return ""
