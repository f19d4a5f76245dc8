"""Changes of authority: proposed by one person, agreed to or refused by another.

Forms whose save may wait for a second person (`MayWaitAdmin`) lead on to the waiting change.
"""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import display

from audit.lib import db_clock
from audit.lib.admin import ObjectActionsAdmin, ReasonForm
from audit.lib.admin_filters import one_of
from policies.admin.access import actor_at, configures, person_at
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, User
from policies.models.authority import ChangeStatus
from policies.services import dual_control
from policies.services.limit_effects import effect_of


@admin.register(AuthorityChange)
class AuthorityChangeAdmin(ObjectActionsAdmin):
    """Read, not changed; its object actions are agreeing, refusing and withdrawing."""

    refusals = (PolicyError,)
    object_actions = (("agree", ReasonForm), ("refuse", ReasonForm), ("withdraw", ReasonForm))
    ordering = ("-pk",)
    list_display = ("shown_summary", "status_badge", "proposer", "proposed_at", "decider")
    list_display_links = ("shown_summary",)
    list_select_related = ("proposed_by", "decided_by")
    list_filter = (one_of("status", "status", lambda: list(ChangeStatus.choices)),)
    list_filter_submit = True
    fields = ("summary",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this reader may use the object actions; the services ask again."""
        waits = isinstance(obj, AuthorityChange) and obj.status == ChangeStatus.WAITING
        return waits and _may_answer(request, obj)

    def why_over(self, request: HttpRequest, row: Model) -> str:
        """A colleague was faster, or time was."""
        if not isinstance(row, AuthorityChange) or row.status == ChangeStatus.WAITING:
            return ""
        return dual_control.how_it_ended(row) if _may_answer(request, row) else ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuthorityChange]:
        rows: QuerySet[AuthorityChange] = super().get_queryset(request)
        return rows.select_related("proposed_by", "decided_by")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Read, not changed: whatever is posted here is not looked at."""
        change = self.get_object(request, object_id)
        if request.method not in {"GET", "HEAD"} or not self.has_view_permission(request, change):
            raise PermissionDenied
        is_open = change.status == ChangeStatus.WAITING
        return TemplateResponse(
            request,
            "admin/policies/change.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": change,
                "title": "Change of authority",
                "subtitle": change.get_status_display(),
                "tone": _TONES[ChangeStatus(change.status)],
                "details": [(k, _shown(v)) for k, v in json.loads(change.payload).items()],
                "effect": effect_of(change) if is_open else None,
                "raises_authority": dual_control.raises_authority(change),
                "has_lapsed": is_open and change.lapses_at <= db_clock.now(),
                "is_own": _is_own(request, change),
                "may_answer": is_open and configures(request),
                "why_not": self._why_not(request, change),
            },
        )

    def agree(self, request: HttpRequest, change: AuthorityChange, form: forms.Form) -> str:
        dual_control.agree(change.pk, actor=actor_at(request), reason=form.cleaned_data["reason"])
        return f"Agreed, and done: {change.summary}"

    def refuse(self, request: HttpRequest, change: AuthorityChange, form: forms.Form) -> str:
        dual_control.refuse(change.pk, actor=actor_at(request), reason=form.cleaned_data["reason"])
        return "Refused. Nothing has changed."

    def withdraw(self, request: HttpRequest, change: AuthorityChange, form: forms.Form) -> str:
        dual_control.withdraw(
            change.pk, actor=actor_at(request), reason=form.cleaned_data["reason"]
        )
        return "Withdrawn. Nothing has changed."

    def _why_not(self, request: HttpRequest, change: AuthorityChange) -> str:
        """Why this reader cannot agree; empty when they can, or when there is nothing to say."""
        if change.status != ChangeStatus.WAITING:
            return ""
        if not configures(request):
            return "It waits for a second ops admin."
        if _is_own(request, change):
            return "You proposed this, so somebody else agrees to it."
        if change.beneficiary and change.beneficiary == person_at(request).person:
            return "This raises your own authority, so somebody else agrees to it."
        return ""

    @display(description="change")  # type: ignore[untyped-decorator]
    def shown_summary(self, change: AuthorityChange) -> str:
        return change.summary

    @display(  # type: ignore[untyped-decorator]
        description="status",
        label={
            ChangeStatus.WAITING: "warning",
            ChangeStatus.AGREED: "success",
            ChangeStatus.REFUSED: "danger",
        },
    )
    def status_badge(self, change: AuthorityChange) -> tuple[str, str]:
        return change.status, change.get_status_display()

    @display(description="proposed by")  # type: ignore[untyped-decorator]
    def proposer(self, change: AuthorityChange) -> str:
        return change.proposed_by.get_username()

    @display(description="answered by", empty_value="nobody yet")  # type: ignore[untyped-decorator]
    def decider(self, change: AuthorityChange) -> str | None:
        return change.decided_by.get_username() if change.decided_by else None


_TONES = {
    ChangeStatus.WAITING: "warning",
    ChangeStatus.AGREED: "success",
    ChangeStatus.REFUSED: "danger",
    ChangeStatus.WITHDRAWN: "",
    ChangeStatus.LAPSED: "",
}


def waiting_badge(request: HttpRequest) -> str:
    """How many wait for this reader, for the sidebar; nothing when none does."""
    if not configures(request):
        return ""
    waiting = AuthorityChange.objects.filter(
        status=ChangeStatus.WAITING, lapses_at__gt=db_clock.now()
    )
    number = waiting.exclude(proposed_by__person=person_at(request).person).count()
    return str(number) if number else ""


def _may_answer(request: HttpRequest, change: AuthorityChange) -> bool:
    return configures(request) or _is_own(request, change)


def _is_own(request: HttpRequest, change: AuthorityChange) -> bool:
    return change.proposed_by.person == person_at(request).person


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


WAITS = "This takes effect when a second ops admin agrees."
RAISES = "This raises authority: it takes effect when a second ops admin agrees."


def change_url(change: AuthorityChange) -> str:
    """The waiting change's own page."""
    return reverse("admin:policies_authoritychange_change", args=[change.pk])


def onwards(request: HttpRequest, change: AuthorityChange) -> HttpResponse:
    """Say that nothing has changed yet, and show what waits."""
    messages.warning(request, RAISES if dual_control.raises_authority(change) else WAITS)
    return HttpResponseRedirect(change_url(change))


def waiting_for(person: User) -> list[tuple[str, str]]:
    """What waits for a second person about this natural person: its sentence and its address."""
    rows = AuthorityChange.objects.filter(
        status=ChangeStatus.WAITING, beneficiary=person.person
    ).order_by("pk")
    return [(change.summary, change_url(change)) for change in rows]


class MayWaitAdmin(ObjectActionsAdmin):
    """A service's answer may be a change that waits; then the row on the form is as it was."""

    def save_model(
        self, request: HttpRequest, obj: Any, form: forms.ModelForm[Any], change: bool
    ) -> None:
        saved = self.call_service(request, obj, form, change=change)
        if isinstance(saved, AuthorityChange):
            request.waiting_change = saved  # type: ignore[attr-defined]
        else:
            obj.pk = saved.pk

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Django's own log has nothing to say about what has not happened."""
        return None if _waiting(request) else super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None if _waiting(request) else super().log_change(request, obj, message)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        waiting = _waiting(request)
        if waiting:
            return onwards(request, waiting)
        answer: HttpResponse = super().response_add(request, obj, post_url_continue)
        return answer

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        waiting = _waiting(request)
        if waiting:
            return onwards(request, waiting)
        answer: HttpResponse = super().response_change(request, obj)
        return answer


def _waiting(request: HttpRequest) -> AuthorityChange | None:
    return getattr(request, "waiting_change", None)
