"""People at the browser."""

from __future__ import annotations

from django.urls import reverse
from playwright.sync_api import Page

from tests.approvals.make import PASSWORD


def sign_in(screen: Page, address: str, username: str) -> None:
    """With the password everybody has in tests, as far as the first page."""
    screen.context.clear_cookies()
    screen.goto(address + reverse("admin:login"))
    screen.fill("[name=username]", username)
    screen.fill("[name=password]", PASSWORD)
    screen.click("button[type=submit]")
    screen.wait_for_url(address + reverse("admin:index"))
