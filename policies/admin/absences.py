"""Out of office: people enter their own absences, ops admins anybody's."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from audit.lib import db_clock
from audit.lib.admin import ObjectActionsAdmin
from audit.lib.admin_filters import equal_to
from policies.admin.access import actor_at, configures, person_at
from policies.authority import only_reads, roles_of
from policies.exceptions import PolicyError
from policies.models import Absence, User
from policies.services import absences


class _Moment(UnfoldAdminTextInputWidget):  # type: ignore[misc]  # the theme is untyped
    """The browser's own chooser of a day and a time."""

    input_type = "datetime-local"


class AbsenceForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """Who is away, and when."""

    who = forms.ModelChoiceField(
        queryset=User.objects.none(),
        required=False,
        widget=UnfoldAdminSelectWidget,
        empty_label="myself",
    )
    begins = forms.DateTimeField(widget=_Moment)
    ends = forms.DateTimeField(widget=_Moment)
    why = forms.CharField(
        max_length=200,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Colleagues see it. No medical details, please.",
    )

    class Meta:
        model = Absence
        fields = ()


class NothingToFillIn(forms.Form):
    """The click is the answer."""


@admin.register(Absence)
class AbsenceAdmin(ObjectActionsAdmin):
    form = AbsenceForm
    refusals = (PolicyError,)
    object_actions = (("cancel", NothingToFillIn),)
    list_display = ("user", "starts_at", "ends_at", "status", "reason")
    list_select_related = ("user",)
    list_filter = (equal_to("person", "user__username", parameter="person"),)
    list_filter_submit = True
    shown = ("user", "starts_at", "ends_at", "status", "reason")
    change_form_outer_after_template = "admin/policies/absence.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Everybody who works here sees who is away."""
        return bool(request.user.is_active and request.user.is_staff)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Auditors are away, too; they only do not write it down here."""
        return self.has_view_permission(request) and not _only_reads(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Changing an absence means calling it off."""
        return isinstance(obj, Absence) and not _is_over(obj) and self._may_cancel(request, obj)

    def why_over(self, request: HttpRequest, row: Model) -> str:
        """It has ended, or somebody has called it off."""
        if not isinstance(row, Absence) or not _is_over(row) or not self._may_cancel(request, row):
            return ""
        return "This absence is over already."

    def _may_cancel(self, request: HttpRequest, absence: Absence) -> bool:
        own = absence.user.person == person_at(request).person
        return self.has_add_permission(request) and (own or configures(request))

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        form = super().get_form(request, obj, change=change, **kwargs)
        if "who" in form.base_fields and configures(request):
            everybody = User.objects.filter(is_active=True).order_by("username")
            form.base_fields["who"].queryset = everybody  # type: ignore[attr-defined]
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return self.shown
        own = ("begins", "ends", "why")
        return ("who", *own) if configures(request) else own

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.shown

    def call_service(self, request: HttpRequest, obj: Any, form: Any, *, change: bool) -> Absence:
        if change:
            return Absence.objects.get(pk=obj.pk)  # nothing on the form can be changed
        said = form.cleaned_data
        saved = absences.set_absence(
            (said.get("who") or person_at(request)).pk,
            starts_at=said["begins"],
            ends_at=said["ends"],
            reason=said["why"],
            actor=actor_at(request),
        )
        obj.user, obj.ends_at = saved.user, saved.ends_at  # Django names the object by them
        return saved

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        absence = context.get("original")
        context["may_cancel"] = self.has_change_permission(request, absence)
        context["show_save"] = absence is None
        return super().render_change_form(request, context, *args, **kwargs)

    def cancel(self, request: HttpRequest, absence: Absence, form: forms.Form) -> str:
        absences.cancel_absence(absence.pk, actor=actor_at(request))
        return f"{absence.user} is back: work is suggested again."

    @display(  # type: ignore[untyped-decorator]
        description="status", label={"away": "warning", "to come": "info", "over": ""}
    )
    def status(self, absence: Absence) -> str:
        at = db_clock.now()
        if absence.cancelled_at is not None or absence.ends_at <= at:
            return "over"
        return "away" if absence.starts_at <= at else "to come"


def _only_reads(request: HttpRequest) -> bool:
    return only_reads(roles_of(person_at(request)))


def _is_over(absence: Absence) -> bool:
    return absence.cancelled_at is not None or absence.ends_at <= db_clock.now()
