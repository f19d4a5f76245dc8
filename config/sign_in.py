"""Signing in and changing one's own password, with a growing wait after wrong ones."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm

from audit.addresses import client_address, throttled_as
from policies import throttle
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
    since = timezone.localtime(failures.since)
    return (
        f"{attempts} to sign in as you since {since:%-d %B, %H:%M}, the last from "
        f"{failures.last_from}. If that was not you, tell an ops admin."
    )
