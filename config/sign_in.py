"""Signing in and changing one's own password, with a pause after too many wrong ones."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm

from policies import throttle
from policies.models import User
from policies.services import passwords

MOST_FAILURES = throttle.MOST_FAILURES
PAUSE_SECONDS = throttle.PAUSE_SECONDS


class ThrottledSignInForm(AuthenticationForm):  # type: ignore[misc]  # the theme is untyped
    """The theme's form; ten failures in a row close the account's door for five minutes."""

    def clean(self) -> dict[str, Any]:
        typed = str(self.cleaned_data.get("username", ""))
        if throttle.is_paused(typed):
            raise ValidationError(throttle.SENTENCE, code="throttled")
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            throttle.count_failure(typed)
            raise
        throttle.forget_failures(typed)
        return cleaned


class OwnPasswordForm(AdminOwnPasswordChangeForm):  # type: ignore[misc]  # the theme is untyped
    """The theme's form, saved by the service: it is on record, and other sessions end."""

    def clean_old_password(self) -> str:
        name = self.user.get_username()
        if throttle.is_paused(name):
            raise ValidationError(throttle.SENTENCE, code="throttled")
        try:
            old: str = super().clean_old_password()
        except ValidationError:
            throttle.count_failure(name)
            raise
        throttle.forget_failures(name)
        return old

    def save(self, commit: bool = True) -> User:
        """The account as it is now: this session is renewed from it, every other one ends."""
        changed = passwords.change_own(self.user.pk, password=self.cleaned_data["new_password1"])
        self.user.password = changed.password
        return changed
