"""Exchange rates: read by whoever configures or audits, added by ops admins, never changed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from audit.lib import db_clock
from audit.lib.admin import ServiceAdmin
from audit.lib.admin_filters import equal_to
from policies.admin.access import actor_at, configures
from policies.exceptions import PolicyError
from policies.models import ExchangeRate
from policies.services import rates


class RateForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """One unit of which currency is worth how much, from which day on."""

    currency = forms.CharField(
        max_length=3, widget=UnfoldAdminTextInputWidget, help_text="ISO 4217 code, such as USD."
    )
    rate = forms.DecimalField(
        max_digits=20,
        decimal_places=10,
        widget=UnfoldAdminTextInputWidget,
        help_text="What one unit of it is worth in the base currency, such as 0.9215.",
    )

    class Meta:
        model = ExchangeRate
        fields = ("currency", "day", "rate")

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).upper()


@admin.register(ExchangeRate)
class ExchangeRateAdmin(ServiceAdmin):
    form = RateForm
    refusals = (PolicyError,)
    ordering = ("-day", "-id")
    list_display = ("currency", "day", "worth", "set_by_whom", "created_at", "status")
    list_select_related = ("set_by",)
    list_filter = (equal_to("currency", "currency"),)
    list_filter_submit = True
    fields = ("currency", "day", "rate")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and configures(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A rate stays as it was: sums rest on it. A correction is a newer row."""
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.fields
        return ("currency", "day", "worth", "set_by_whom", "created_at", "status")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.get_fields(request, obj)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"day": db_clock.now().date()}

    def call_service(
        self, request: HttpRequest, obj: Any, form: Any, *, change: bool
    ) -> ExchangeRate:
        values = form.cleaned_data
        return rates.set_rate(
            values["currency"], values["day"], values["rate"], actor=actor_at(request)
        )

    @display(description="one unit is worth")  # type: ignore[untyped-decorator]
    def worth(self, row: ExchangeRate) -> str:
        return f"{row.rate.normalize():f} {settings.BASE_CURRENCY}"

    @display(description="set by")  # type: ignore[untyped-decorator]
    def set_by_whom(self, row: ExchangeRate) -> str:
        return row.set_by.get_username() if row.set_by else "the system"

    @display(  # type: ignore[untyped-decorator]
        description="status", label={"in use": "success", "too old": "warning", "later": ""}
    )
    def status(self, row: ExchangeRate) -> str:
        today = db_clock.now().date()
        if row.day > today:
            return "later"
        return "in use" if row.day >= today - rates.STALE_AFTER else "too old"
