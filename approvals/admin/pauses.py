"""The page of pauses: stop with a reason, lift with a reason; auditors read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from approvals.choices import PauseScope
from approvals.exceptions import ApprovalError, InvalidProposal
from approvals.models import ActionRequest, Pause
from approvals.selectors.restores import MOST_SHOWN, carried_out_of, checks_of, progress_of
from approvals.services import pauses
from audit.lib.admin import ObjectActionsAdmin, ReasonForm
from audit.lib.admin_filters import one_of
from audit.lib.dates import format_moment
from policies.admin.access import actor_at, configures
from policies.authority import may_stop

_EVERYTHING = PauseScope.ALL.value


def _choices() -> list[tuple[str, Any]]:
    """Everything, or one of what is registered: a pause of nothing would calm nobody."""
    return [
        (_EVERYTHING, "Everything"),
        *(
            (scope.label.capitalize(), [(f"{scope.value}:{key}", key) for key in keys])
            for scope in (PauseScope.CONNECTOR, PauseScope.CONNECTION, PauseScope.ACTION_TYPE)
            if (keys := pauses.keys_of(scope))
        ),
    ]


class PauseForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """What to stop, and why."""

    what = forms.ChoiceField(choices=_choices, widget=UnfoldAdminSelectWidget, label="Stop")
    reason = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Everybody who runs into it reads this, agents too.",
    )

    class Meta:
        model = Pause
        fields = ("reason",)


@admin.register(Pause)
class PauseAdmin(ObjectActionsAdmin):
    form = PauseForm
    refusals = (ApprovalError,)
    object_actions = (("lift", ReasonForm),)
    list_display = ("what", "status", "paused_at", "paused_by", "reason", "lifted_at")
    list_filter = (one_of("scope", "scope", lambda: list(PauseScope.choices)),)
    list_filter_submit = True
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
        return ("what", "reason") if obj is None else self.shown

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.shown

    def call_service(self, request: HttpRequest, obj: Any, form: Any, *, change: bool) -> Pause:
        if change:
            return Pause.objects.get(pk=obj.pk)  # nothing on the form can be changed
        scope, _, key = form.cleaned_data["what"].partition(":")
        try:
            saved = pauses.pause(
                PauseScope(scope),
                key,
                actor=actor_at(request),
                reason=form.cleaned_data["reason"],
            )
        except InvalidProposal as refusal:
            said = " ".join(problem.message for problem in refusal.problems)
            raise ApprovalError(said, code=refusal.code) from refusal
        obj.scope, obj.key = saved.scope, saved.key  # Django names the object by them
        return saved

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        pause = context.get("original")
        context["may_lift"] = self.has_change_permission(request, pause)
        context["show_save"] = pause is None
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


def may_pause(request: HttpRequest) -> bool:
    """Whether this person may stop things; asked once per page, the theme asks often."""
    known: bool | None = getattr(request, "_countersign_may_stop", None)
    if known is None:
        known = request.user.is_authenticated and may_stop(actor_at(request)) is None
        request._countersign_may_stop = known  # type: ignore[attr-defined]
    return known
