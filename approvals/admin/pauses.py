"""The page of pauses: stop with a reason, lift with a reason; auditors read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import display

from approvals.choices import PauseScope
from approvals.exceptions import ApprovalError, InvalidProposal
from approvals.models import ActionRequest, Pause
from approvals.selectors.pause_impact import (
    Scoped,
    impact_now,
    impact_of_pause,
    payment_scopes,
    payments_are_stopped,
)
from approvals.selectors.restores import MOST_SHOWN, carried_out_of, checks_of, progress_of
from approvals.services import pauses
from audit.lib.admin import ObjectActionsAdmin, ReasonForm
from audit.lib.admin_filters import one_of
from audit.lib.dates import format_moment
from connectors.registry import action_types
from policies.admin.access import actor_at, configures
from policies.authority import may_stop

_EVERYTHING = PauseScope.ALL.value
PAYMENTS = "payments"
"""Every system that moves money, as one thing to stop."""


@dataclass(frozen=True, slots=True)
class Stoppable:
    """One thing the form can stop; `words` follow the word "stop"."""

    value: str
    words: str
    scopes: tuple[Scoped, ...]


def _stoppable() -> list[tuple[str, list[Stoppable]]]:
    """By heading. A pause of nothing would calm nobody, so it is always of what is registered."""
    first = [Stoppable(_EVERYTHING, "everything", ((PauseScope.ALL, ""),))]
    if payments := payment_scopes():
        first.insert(0, Stoppable(PAYMENTS, "payments", payments))
    titles = {kind.key: f"“{kind.title}”" for kind in action_types()}
    named: list[tuple[str, PauseScope, Callable[[str], str]]] = [
        ("One system", PauseScope.CONNECTOR, lambda key: f"everything in {key}"),
        ("One connection", PauseScope.CONNECTION, lambda key: f"everything through {key}"),
        ("One action type", PauseScope.ACTION_TYPE, lambda key: titles[key]),
    ]
    groups = [("At once", first)]
    for heading, scope, words in named:
        found = [
            Stoppable(f"{scope.value}:{key}", words(key), ((scope, key),))
            for key in pauses.keys_of(scope)
        ]
        if found:
            groups.append((heading, found))
    return groups


def _choices() -> list[tuple[str, str]]:
    return [(one.value, one.words) for _, group in _stoppable() for one in group]


class PauseForm(forms.Form):
    """Why to stop what the page is about. Nothing is chosen beforehand."""

    use_required_attribute = False
    what = forms.ChoiceField(choices=_choices, widget=forms.HiddenInput)
    reason = forms.CharField(
        label="Why",
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text="Everybody who runs into it reads this, agents too.",
        error_messages={"required": "Write why it is stopped."},
    )


@admin.register(Pause)
class PauseAdmin(ObjectActionsAdmin):
    refusals = (ApprovalError,)
    object_actions = (("lift", ReasonForm),)
    list_display = ("what", "status", "paused_at", "paused_by", "reason", "lifted_at")
    list_filter = (one_of("scope", "scope", lambda: list(PauseScope.choices)),)
    list_filter_submit = True
    list_before_template = "approvals/_stop.html"
    shown = (
        "what", "status", "reason", "paused_by", "paused_at", "lifted_by", "lifted_at",
    )  # fmt: skip
    change_form_outer_after_template = "admin/approvals/pause.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_view_permission(request, obj)) or may_pause(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_pause(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Changing a pause means lifting it: its words stay."""
        in_force = isinstance(obj, Pause) and obj.lifted_at is None
        return in_force and configures(request)

    def why_over(self, request: HttpRequest, row: Model) -> str:
        """A colleague has lifted it."""
        if not isinstance(row, Pause) or row.lifted_at is None or not configures(request):
            return ""
        return f"{row.lifted_by} lifted this on {format_moment(row.lifted_at)}."

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.shown

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.shown

    def call_service(self, request: HttpRequest, obj: Any, form: Any, *, change: bool) -> Pause:
        return Pause.objects.get(pk=obj.pk)  # nothing on the form can be changed

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        page: HttpResponse = super().changelist_view(
            request, {"stop": stop_offered(request), **(extra_context or {})}
        )
        return page

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What there is to stop; then, of what was chosen, what it stops and a form to do it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        is_sent = request.method == "POST"
        form = PauseForm(
            request.POST if is_sent else None, initial={"what": request.GET.get("what")}
        )
        groups = _stoppable()
        asked = form["what"].value()
        chosen = next((one for _, group in groups for one in group if one.value == asked), None)
        if is_sent and form.is_valid() and chosen:
            try:
                made = self._stop(request, chosen, form.cleaned_data["reason"])
            except ApprovalError as refusal:
                form.add_error(None, _said(refusal))
            else:
                messages.success(request, _stopped_words(chosen))
                return HttpResponseRedirect(self._address_after(made))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Stop {chosen.words}" if chosen else "Stop",
            "form": form,
            "groups": groups,
            "chosen": chosen,
            "impact": impact_of_pause(*chosen.scopes) if chosen else None,
        }
        return TemplateResponse(request, "admin/approvals/pause_add.html", context)

    def _stop(self, request: HttpRequest, chosen: Stoppable, reason: str) -> list[Pause]:
        actor = actor_at(request)
        if chosen.value == PAYMENTS:
            return pauses.stop_payments(actor=actor, reason=reason)
        return [
            pauses.pause(scope, key, actor=actor, reason=reason) for scope, key in chosen.scopes
        ]

    def _address_after(self, made: list[Pause]) -> str:
        if len(made) == 1:
            return reverse("admin:approvals_pause_change", args=[made[0].pk])
        return reverse("admin:approvals_pause_changelist")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        pause = context.get("original")
        context["may_lift"] = self.has_change_permission(request, pause)
        context["show_save"] = False
        if isinstance(pause, Pause) and pause.lifted_at is None:
            context["impact"] = impact_now(pause)
        if isinstance(pause, Pause) and pause.scope == PauseScope.RESTORED:
            records = self.admin_site.get_model_admin(ActionRequest)
            context |= _reconciliation(pause)
            context["sees_records"] = records.has_view_permission(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def lift(self, request: HttpRequest, pause: Pause, form: forms.Form) -> str:
        pauses.lift(pause.pk, actor=actor_at(request), reason=form.cleaned_data["reason"])
        return f"{str(pause).capitalize()} goes on. What was approved before is looked at again."

    @display(description="what")  # type: ignore[untyped-decorator]
    def what(self, pause: Pause) -> str:
        return str(pause)

    @display(  # type: ignore[untyped-decorator]
        description="status", label={"in force": "danger", "lifted": ""}
    )
    def status(self, pause: Pause) -> str:
        return "in force" if pause.lifted_at is None else "lifted"


def _reconciliation(freeze: Pause) -> dict[str, Any]:
    """What a person needs who ends the freeze after a restore. No targets, no personal data."""
    progress = progress_of(freeze)
    return {
        "progress": progress,
        "checks": checks_of(freeze),
        "carried_out": carried_out_of(freeze),
        "is_looked_up": not progress.waiting,
        "most_shown": MOST_SHOWN,
    }


def stop_offered(request: HttpRequest) -> dict[str, str] | None:
    """The way to stop payments at once, for those who may; without them, to stop anything."""
    if not may_pause(request):
        return None
    address = reverse("admin:approvals_pause_add")
    if not payment_scopes() or payments_are_stopped():
        return {"other": address}
    return {"payments": f"{address}?what={PAYMENTS}", "other": address}


def _stopped_words(chosen: Stoppable) -> str:
    what = chosen.words[:1].upper() + chosen.words[1:]
    verb = "are" if chosen.value == PAYMENTS else "is"
    return (
        f"{what} {verb} stopped. None of this is approved or carried out until an ops admin "
        "lets it go on."
    )


def _said(refusal: ApprovalError) -> str:
    if isinstance(refusal, InvalidProposal):
        return " ".join(problem.message for problem in refusal.problems)
    return refusal.message


def may_pause(request: HttpRequest) -> bool:
    """Whether this person may stop things; asked once per page, the theme asks often."""
    known: bool | None = getattr(request, "_countersign_may_stop", None)
    if known is None:
        known = request.user.is_authenticated and may_stop(actor_at(request)) is None
        request._countersign_may_stop = known  # type: ignore[attr-defined]
    return known
