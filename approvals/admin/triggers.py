"""Triggers that fired: what was measured, what was done about it, and how to end it."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display

from approvals.admin.scoped import ScopedRecords
from approvals.exceptions import ApprovalError
from approvals.inspection import reveal
from approvals.models import Agent, Complaint, FiredTrigger
from approvals.selectors.triggers import measured_in_words, threshold_in_words, visible_triggers
from approvals.selectors.visibility import visible_requests
from approvals.services.triggers import end_trigger
from audit.lib.admin import ObjectActionsAdmin, ReasonForm
from audit.lib.admin_filters import between, equal_to, one_of
from audit.lib.dates import format_moment
from policies.admin.access import actor_at, configures
from policies.models import User
from policies.triggers import Consequence, Per, Watch

_DONE = {
    Consequence.PAUSE.value: "paused",
    Consequence.MANUAL.value: "sent to people",
    Consequence.DEMOTE.value: "demoted",
}


@admin.register(FiredTrigger)
class FiredTriggerAdmin(ObjectActionsAdmin):
    refusals = (ApprovalError,)
    object_actions = (("end", ReasonForm),)
    list_display = ("fired_at", "what", "done", "measured_as", "trigger", "status")
    list_display_links = ("fired_at", "what")
    list_filter = (
        one_of("counted", "watch", lambda: [(one.value, one.value) for one in Watch]),
        one_of("done", "then", lambda: sorted(_DONE.items())),
        equal_to("agent, action type or connection", "key"),
        *between("fired_at"),
    )
    list_filter_submit = True
    fields = readonly_fields = (
        "what", "done", "status", "reason", "measured_as", "threshold", "counted_since",
        "trigger", "policy", "rule_owner", "fired_at", "ended_at", "ended_by",
        "end_reason",
    )  # fmt: skip
    change_form_outer_after_template = "admin/approvals/trigger.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[FiredTrigger]:
        return visible_triggers(cast(User, request.user)).order_by(*self.ordering)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Changing one means ending it."""
        if obj is not None and not (isinstance(obj, FiredTrigger) and obj.is_in_force):
            return False
        return configures(request)

    def call_service(
        self, request: HttpRequest, obj: Any, form: Any, *, change: bool
    ) -> FiredTrigger:
        return FiredTrigger.objects.get(pk=obj.pk)  # nothing on the form can be changed

    def why_over(self, request: HttpRequest, row: Model) -> str:
        """A colleague has ended it."""
        if not isinstance(row, FiredTrigger) or row.ended_at is None or not configures(request):
            return ""
        return f"{row.ended_by} ended this on {format_moment(row.ended_at)}."

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        fired = context.get("original")
        context["show_save"] = False
        if isinstance(fired, FiredTrigger):
            may_end = self.has_change_permission(request, fired)
            is_paused = fired.then == Consequence.PAUSE
            seen = visible_requests(cast(User, request.user)).filter(pk__in=fired.causes)
            context["causes"] = list(seen.order_by("-updated_at"))
            context["unseen"] = len(fired.causes) - len(context["causes"])
            context["may_end"] = may_end and not is_paused
            context["pause_page"] = _pause_page(fired) if is_paused and fired.is_in_force else ""
        return super().render_change_form(request, context, *args, **kwargs)

    def end(self, request: HttpRequest, fired: FiredTrigger, form: forms.Form) -> str:
        end_trigger(fired.pk, actor=actor_at(request), reason=form.cleaned_data["reason"])
        return f"{fired.per.capitalize()} {fired.key} does again by itself what policy allows."

    @display(description="what")  # type: ignore[untyped-decorator]
    def what(self, fired: FiredTrigger) -> str:
        return f"{fired.per} {fired.key}"

    @display(description="done", label=dict.fromkeys(_DONE.values(), ""))  # type: ignore[untyped-decorator]
    def done(self, fired: FiredTrigger) -> str:
        return _DONE[fired.then]

    @display(  # type: ignore[untyped-decorator]
        description="status", label={"in force": "danger", "ended": ""}
    )
    def status(self, fired: FiredTrigger) -> str:
        return "in force" if fired.is_in_force else "ended"

    @display(description="measured")  # type: ignore[untyped-decorator]
    def measured_as(self, fired: FiredTrigger) -> str:
        return measured_in_words(fired)

    @display(description="fires from")  # type: ignore[untyped-decorator]
    def threshold(self, fired: FiredTrigger) -> str:
        return threshold_in_words(fired)


def _pause_page(fired: FiredTrigger) -> str:
    """Where the pause is lifted that this trigger began."""
    if fired.pause_id is not None:
        return reverse("admin:approvals_pause_change", args=[fired.pause_id])
    agent = Agent.objects.filter(name=fired.key).first() if fired.per == Per.AGENT else None
    return reverse("admin:approvals_agent_change", args=[agent.pk]) if agent else ""


@admin.register(Complaint)
class ComplaintAdmin(ScopedRecords):
    list_display = ("created_at", "reference", "reported_by", "request_link")
    list_select_related = ("request", "reported_by")
    list_filter = (
        equal_to("reported by", "reported_by__name", parameter="reporter"),
        *between("created_at"),
    )
    list_filter_submit = True
    fields = readonly_fields = (
        "request_link", "reference", "said", "reported_by", "created_at",
    )  # fmt: skip

    @display(description="said")  # type: ignore[untyped-decorator]
    def said(self, complaint: Complaint) -> str:
        return reveal(complaint.text)
