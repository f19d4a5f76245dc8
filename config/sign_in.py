"""Signing in, with a growing wait after wrong passwords; changing one's own, choosing it by link.

The token of a mailed link leaves the address at once, so that neither history nor a referrer keeps
it.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.forms import SetPasswordForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm
from unfold.widgets import INPUT_CLASSES

from audit.lib.dates import format_moment
from audit.lib.throttling import client_address, throttled_as
from policies import throttle
from policies.exceptions import PolicyError
from policies.models import User
from policies.services import passwords


class ThrottledSignInForm(AuthenticationForm):  # type: ignore[misc]  # the theme is untyped
    """The theme's form; wrong passwords make this name wait at this address, and nowhere else."""

    def clean(self) -> dict[str, Any]:
        typed = str(self.cleaned_data.get("username", ""))
        place = throttled_as(client_address(self.request))
        if seconds := throttle.begin_try(typed, place):
            raise ValidationError(throttle.sentence(seconds), code="throttled")
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            throttle.keep_failure(typed, place)
            raise
        failures = throttle.forget(typed, place)
        if failures is not None:
            messages.warning(self.request, _told(failures))
        return cleaned


class OwnPasswordForm(AdminOwnPasswordChangeForm):  # type: ignore[misc]  # the theme is untyped
    """The theme's form, saved by the service: it is on record, and other sessions end."""

    def clean_old_password(self) -> str:
        name = self.user.get_username()
        if seconds := throttle.begin_try(name, throttle.SIGNED_IN):
            raise ValidationError(throttle.sentence(seconds), code="throttled")
        try:
            old: str = super().clean_old_password()
        except ValidationError:
            throttle.keep_failure(name, throttle.SIGNED_IN)
            raise
        throttle.forget(name, throttle.SIGNED_IN)
        return old

    def save(self, commit: bool = True) -> User:
        """The account as it is now: this session is renewed from it, every other one ends."""
        changed = passwords.change_own(self.user.pk, password=self.cleaned_data["new_password1"])
        self.user.password = changed.password
        return changed


def _told(failures: throttle.Failures) -> str:
    number = failures.number
    attempts = "1 failed attempt" if number == 1 else f"{number} failed attempts"
    return (
        f"{attempts} to sign in as you since {format_moment(failures.since)}, the last "
        f"from {failures.last_from}. If that was not you, tell an ops admin."
    )


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
