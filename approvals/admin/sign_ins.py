"""Signing in to a system for a connection: from its page there, and back with the answer."""

from __future__ import annotations

from urllib.parse import urlsplit

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from approvals.services import sign_ins
from audit.lib.admin import Answer
from connectors.models import Connection
from policies.admin.access import actor_at, configures
from policies.admin.changes import MayWaitAdmin, onwards
from policies.exceptions import PolicyError


class SignsInAdmin(MayWaitAdmin):
    """The page of a connection, as far as somebody signs in from it."""

    def sign_in(self, request: HttpRequest, row: Connection, form: forms.Form) -> Answer:
        address = sign_ins.begin_sign_in(
            row.name, actor=actor_at(request), reason=form.cleaned_data["reason"]
        )
        # a page between: form-action of our content policy lets no form end at another site
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": row.name,
            "address": address,
            "host": urlsplit(address).hostname,
            "redirect_uri": sign_ins.redirect_uri(),
        }
        return TemplateResponse(request, "admin/approvals/connection_sign_in.html", context)

    def signed_in(self, request: HttpRequest) -> HttpResponse:
        """The system sends the person back here (RFC 6749, 4.1.2)."""
        if not configures(request):
            raise PermissionDenied
        state, code = (request.GET.get(name, "")[:2_000] for name in ("state", "code"))
        try:
            change = sign_ins.finish_sign_in(state, code, actor=actor_at(request))
        except PolicyError as refused:
            messages.error(request, str(refused))
            return HttpResponseRedirect(self.list_address())
        return onwards(request, change)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_GET(self.signed_in))
        own = path("signed-in/", view, name="connectors_connection_signed_in")
        return [own, *super().get_urls()]
