"""One browser for the tests that need a real one, and the outside systems."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.db import connections
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.programs import chromium

_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip


@pytest.fixture
def chrome(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """The system's Chromium, without anything that talks to its maker."""
    # Playwright's synchronous interface keeps an event loop in this thread, and Django refuses
    # to touch the database beside one. Nothing here is concurrent.
    monkeypatch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(_FLAGS))
        yield browser
        browser.close()
        # Beside the loop this thread had database connections of its own; nobody else closes them.
        connections.close_all()


@pytest.fixture
def screen(chrome: Browser) -> Iterator[Page]:
    """A page whose console stays silent: no script errors, nothing the content policy stopped."""
    cache.clear()
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    context = chrome.new_context(viewport={"width": 1280, "height": 900})
    shown = context.new_page()
    shown.on("console", listen)
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    yield shown
    context.close()
    assert complaints == []
