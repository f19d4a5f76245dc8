"""Where a mailed link leads: its holder chooses the password of their account, once.

The token leaves the address at once, so that neither history nor a referrer keeps it.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from unfold.widgets import INPUT_CLASSES

from policies.exceptions import PolicyError
from policies.models import User
from policies.services import passwords

_KEPT = "password-link"


class ChoosePasswordForm(SetPasswordForm):  # type: ignore[type-arg]  # not subscriptable when run
    """Django's form and validators, in the theme's look."""

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = " ".join(INPUT_CLASSES)


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def choose_password(request: HttpRequest) -> HttpResponse:
    """Show the form to who came by a good link, and keep what they chose."""
    if request.method != "POST" and "token" in request.GET:
        request.session[_KEPT] = [request.GET.get("account", ""), request.GET["token"]]
        return HttpResponseRedirect(reverse("choose_password"))
    account, token = request.session.get(_KEPT, ("", ""))
    user = passwords.holder_of(account, token)
    if user is None:
        return _page(request, None, status=410)
    form = ChoosePasswordForm(user, request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _page(request, form, status=422 if form.is_bound else 200)
    try:
        passwords.choose(user.pk, token=token, password=form.cleaned_data["new_password1"])
    except PolicyError:
        return _page(request, None, status=410)
    del request.session[_KEPT]
    messages.success(request, "Your password is set. Sign in with it.")
    return HttpResponseRedirect(reverse("admin:login"))


def _page(request: HttpRequest, form: ChoosePasswordForm | None, *, status: int) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": "Choose your password", "form": form}
    return TemplateResponse(request, "admin/policies/choose_password.html", context, status=status)
