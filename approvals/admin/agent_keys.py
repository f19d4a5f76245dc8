"""Which keys exist, and what is typed to issue or revoke one on its agent's page."""

from __future__ import annotations

from typing import cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from approvals.models import AgentKey
from approvals.selectors.visibility import visible_agents
from approvals.services import agents
from audit.lib import db_clock
from audit.lib.admin import ReadOnlyAdmin
from audit.lib.admin_filters import equal_to
from policies.models import User


class IssueKeyForm(forms.Form):
    """How long the new key is to work."""

    days = forms.IntegerField(min_value=1, max_value=agents.LONGEST_KEY_LIFE.days)


class RotateKeyForm(forms.Form):
    """Which key a new one replaces, and how long the old one still works."""

    key = forms.IntegerField(min_value=1)
    hours = forms.IntegerField(
        min_value=0, max_value=int(agents.LONGEST_OVERLAP.total_seconds() // 3600)
    )


class RevokeKeyForm(forms.Form):
    """Which key of this agent ends."""

    key = forms.IntegerField(min_value=1)


@admin.register(AgentKey)
class AgentKeyAdmin(ReadOnlyAdmin):
    """Which keys exist. They are issued and revoked on their agent's page; no hash is shown."""

    list_display = (
        "prefix", "agent", "created_at", "expires_at", "last_used_at", "revoked_at", "status",
    )  # fmt: skip
    list_select_related = ("agent",)
    list_filter = (equal_to("agent", "agent__name", parameter="agent"),)
    list_filter_submit = True
    search_fields = ("prefix",)
    search_help_text = "The whole prefix, as logs show it."
    fields = readonly_fields = (
        "prefix", "agent", "created_at", "expires_at", "last_used_at", "replaced_until",
        "revoked_at", "status", "where",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgentKey]:
        keys: QuerySet[AgentKey] = super().get_queryset(request)
        return keys.filter(
            agent__in=visible_agents(cast(User, request.user)).order_by().values("pk")
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AgentKey], search_term: str
    ) -> tuple[QuerySet[AgentKey], bool]:
        term = search_term.strip()
        return (queryset.filter(prefix=term) if term else queryset), False

    @display(  # type: ignore[untyped-decorator]
        description="status",
        label={"works": "success", "being replaced": "warning", "revoked": "danger"},
    )
    def status(self, key: AgentKey) -> str:
        if key.revoked_at is not None:
            return "revoked"
        if not key.works(db_clock.now()):
            return "expired" if key.replaced_until is None else "replaced"
        return "works" if key.replaced_until is None else "being replaced"

    @display(description="issued and revoked")  # type: ignore[untyped-decorator]
    def where(self, key: AgentKey) -> SafeString:
        return format_html("On the page of agent {}.", key.agent.name)
