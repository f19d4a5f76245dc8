"""Approval limits: set and removed with a reason, amounts typed as money is written."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from audit.lib.admin import Answer, ReasonForm
from audit.lib.admin_filters import equal_to, one_of
from audit.lib.money import Money, MoneyError
from policies.admin.access import actor_at, configures
from policies.admin.changes import MayWaitAdmin, onwards
from policies.exceptions import PolicyError
from policies.models import ApprovalLimit, AuthorityChange, User
from policies.services import limits
from policies.teams import team_choices


class LimitForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """Whose limit, for what, and how much."""

    account = forms.ModelChoiceField(
        queryset=User.objects.filter(is_active=True).order_by("username"),
        required=False,
        widget=UnfoldAdminSelectWidget,
        empty_label="nobody in particular",
        help_text="The person whose limit it is, or choose a role below.",
    )
    role = forms.ChoiceField(
        required=False,
        choices=lambda: [("", "no role"), *team_choices()],
        widget=UnfoldAdminSelectWidget,
        help_text="Everybody in this role who has no limit of their own.",
    )
    each = forms.CharField(
        max_length=30,
        widget=UnfoldAdminTextInputWidget,
        help_text='The largest single amount, such as "500.00".',
    )
    per_day = forms.CharField(
        required=False,
        max_length=30,
        widget=UnfoldAdminTextInputWidget,
        help_text='The largest sum in 24 hours, such as "2000.00". Empty: no daily sum.',
    )
    reason = forms.CharField(
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text="Why, for the trail. A lower limit holds at once; a new or a higher one raises "
        "authority and takes effect when a second ops admin agrees.",
    )

    class Meta:
        model = ApprovalLimit
        fields = ("action_type", "currency")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit = self.instance
        if limit.pk:
            self.initial["each"] = Money(limit.each_minor, limit.currency).decimal
            if limit.per_day_minor is not None:
                self.initial["per_day"] = Money(limit.per_day_minor, limit.currency).decimal

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        currency = cleaned.get("currency") or self.instance.currency
        for name in ("each", "per_day"):
            text = cleaned.get(name, "").strip()
            cleaned[f"{name}_minor"] = None
            if not text:
                continue
            try:
                cleaned[f"{name}_minor"] = Money.parse(text, currency).minor
            except MoneyError as error:
                self.add_error(name, str(error))
        if not self.instance.pk and bool(cleaned.get("account")) == bool(cleaned.get("role")):
            raise ValidationError("A limit belongs to one person or to one role: choose one.")
        return cleaned

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).upper()


@admin.register(ApprovalLimit)
class ApprovalLimitAdmin(MayWaitAdmin):
    form = LimitForm
    refusals = (PolicyError,)
    object_actions = (("remove", ReasonForm),)
    ordering = ("-valid", "id")
    list_display = ("held_by", "action_type", "each", "per_day", "status")
    list_select_related = ("user", "group")
    list_filter = (
        one_of("in force", "valid", lambda: [("1", "yes"), ("0", "no")]),
        one_of("role", "group__name", team_choices, parameter="role"),
        equal_to("person", "user__username", parameter="person"),
        equal_to("currency", "currency"),
    )
    list_filter_submit = True
    fields = ("account", "role", "action_type", "currency", "each", "per_day", "reason")
    change_form_outer_after_template = "admin/policies/limit.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and configures(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A removed limit stays as it was: decisions rest on it."""
        gone = isinstance(obj, ApprovalLimit) and not obj.valid
        return self._may_change(request, obj) and not gone

    def why_over(self, request: HttpRequest, row: Model) -> str:
        """A colleague has removed or replaced it."""
        if not isinstance(row, ApprovalLimit) or row.valid or not self._may_change(request, row):
            return ""
        return "This limit is not in force any more: it has been removed or replaced."

    def _may_change(self, request: HttpRequest, obj: Any) -> bool:
        return bool(super().has_change_permission(request, obj)) and configures(request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.fields
        if self.has_change_permission(request, obj):
            return ("held_by", "action_type", "currency", "each", "per_day", "reason")
        return ("held_by", "action_type", "currency", "each", "per_day", "status")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ()
        if self.has_change_permission(request, obj):
            return ("held_by", "action_type", "currency")
        return self.get_fields(request, obj)

    def call_service(
        self, request: HttpRequest, obj: Any, form: Any, *, change: bool
    ) -> ApprovalLimit | AuthorityChange:
        values = form.cleaned_data
        account: User | None = values.get("account")
        return limits.set_limit(
            actor=actor_at(request),
            action_type=obj.action_type,
            currency=obj.currency,
            each_minor=values["each_minor"],
            per_day_minor=values["per_day_minor"],
            user_id=obj.user_id if change else (account.pk if account else None),
            role=(obj.group.name if obj.group else "") if change else values["role"],
            reason=values["reason"],
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        context = dict(extra_context or {})
        if object_id is not None:
            limit = self.get_object(request, object_id)
            context["may_change"] = self.has_change_permission(request, limit)
        return super().changeform_view(request, object_id, form_url, context)

    def remove(self, request: HttpRequest, limit: ApprovalLimit, form: forms.Form) -> Answer:
        removed = limits.remove_limit(
            limit.pk, actor=actor_at(request), reason=form.cleaned_data["reason"]
        )
        if isinstance(removed, AuthorityChange):
            return onwards(request, removed)
        return f"The limit is removed: {limit}."

    @display(description="held by")  # type: ignore[untyped-decorator]
    def held_by(self, limit: ApprovalLimit) -> str:
        return limit.holder if limit.user else f"everybody in {limit.holder}"

    @display(description="each")  # type: ignore[untyped-decorator]
    def each(self, limit: ApprovalLimit) -> str:
        return str(Money(limit.each_minor, limit.currency))

    @display(description="in 24 hours", empty_value="no daily sum")  # type: ignore[untyped-decorator]
    def per_day(self, limit: ApprovalLimit) -> str | None:
        if limit.per_day_minor is None:
            return None
        return str(Money(limit.per_day_minor, limit.currency))

    @display(  # type: ignore[untyped-decorator]
        description="status", label={"in force": "success", "removed": ""}
    )
    def status(self, limit: ApprovalLimit) -> str:
        return "in force" if limit.valid else "removed"
