"""Forms whose save may wait for a second person: they lead on to the waiting change."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from audit.doors import ServiceAdminWithDoors
from policies.models import AuthorityChange, User
from policies.models.authority import ChangeStatus

WAITS = "This raises authority: it takes effect when a second ops admin agrees."


def change_url(change: AuthorityChange) -> str:
    """The waiting change's own page."""
    return reverse("admin:policies_authoritychange_change", args=[change.pk])


def onwards(request: HttpRequest, change: AuthorityChange) -> HttpResponse:
    """Say that nothing has changed yet, and show what waits."""
    messages.warning(request, WAITS)
    return HttpResponseRedirect(change_url(change))


def waiting_for(person: User) -> list[tuple[str, str]]:
    """What waits for a second person about this natural person: its sentence and its address."""
    rows = AuthorityChange.objects.filter(
        status=ChangeStatus.WAITING, beneficiary=person.person
    ).order_by("pk")
    return [(change.summary, change_url(change)) for change in rows]


class MayWaitAdmin(ServiceAdminWithDoors):
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
