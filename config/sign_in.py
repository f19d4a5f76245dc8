"""Signing in, with a pause after too many wrong passwords for one account."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from audit.canonical import digest

MOST_FAILURES = 10
PAUSE_SECONDS = 300


class ThrottledSignInForm(AuthenticationForm):  # type: ignore[misc]  # the theme is untyped
    """The theme's form; ten failures in a row close the account's door for five minutes.

    Counted by the name typed, known or not, so that the answer tells nobody which accounts exist.
    """

    def clean(self) -> dict[str, Any]:
        typed = str(self.cleaned_data.get("username", "")).strip().casefold()
        key = f"sign-in:{digest(typed)}"
        failures = cache.get(key, 0)
        if failures >= MOST_FAILURES:
            raise ValidationError(
                "Too many wrong passwords. Wait five minutes and try again.", code="throttled"
            )
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            cache.set(key, failures + 1, PAUSE_SECONDS)
            raise
        cache.delete(key)
        return cleaned
