"""What a page weighs on its way: the first time somebody comes, and every time after."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from config.subset_fonts import KEPT_ICONS
from config.theme import UNFOLD
from tests.agents.installation import Installation, an_installation
from tests.api.make import a_proposal
from tests.approvals.make import refund
from tests.browser.people import sign_in

ROOT = Path(__file__).resolve().parents[2]
COLD, WARM = 700_000, 100_000  # bytes as they are sent

pytestmark = [pytest.mark.slow, pytest.mark.once]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with an_installation(tmp_path, "refund-bot") as made:
        yield made


@contextmanager
def bytes_received(screen: Page) -> Iterator[list[int]]:
    """The bytes of every answer meanwhile, heads and bodies, as the network carried them."""
    sizes: list[int] = []
    network = screen.context.new_cdp_session(screen)
    network.send("Network.enable")
    network.on("Network.loadingFinished", lambda told: sizes.append(told["encodedDataLength"]))
    yield sizes
    network.detach()


def opened(screen: Page, address: str) -> int:
    """What opening that page cost."""
    with bytes_received(screen) as sizes:
        screen.goto(address, wait_until="networkidle")
    return int(sum(sizes))


def test_a_page_is_light(installation: Installation, chrome: Browser) -> None:
    proposed: dict[str, Any] = httpx.post(
        f"{installation.url}/api/v1/actions/",
        json=a_proposal(refund("ch_1001", "400.00")),
        headers={
            "Authorization": f"Bearer {installation.keys['refund-bot']}",
            "Idempotency-Key": "weight-1",
        },
        timeout=30,
        trust_env=False,
    ).json()
    pages = {
        "sign-in": f"{installation.url}/admin/login/",
        "landing": f"{installation.url}/admin/",
        "inbox": f"{installation.url}/admin/approvals/financeinbox/",
        "case": proposed["review_url"],
    }
    with chrome.new_context() as reader:
        screen = reader.new_page()
        weights = {"cold sign-in": opened(screen, pages["sign-in"])}
        sign_in(screen, installation.url, "fiona")
        for name in ("landing", "inbox", "case"):
            opened(screen, pages[name])
            weights[f"warm {name}"] = opened(screen, pages[name])
        assert screen.get_by_text("Refund 400.00 EUR to").first.is_visible()
        session = reader.cookies()
    for name in ("landing", "inbox", "case"):
        with chrome.new_context() as stranger:
            stranger.add_cookies(session)  # type: ignore[arg-type] # as they were given
            weights[f"cold {name}"] = opened(stranger.new_page(), pages[name])

    too_much = {
        name: weight
        for name, weight in weights.items()
        if not 1000 < weight < (COLD if name.startswith("cold") else WARM)
    }
    assert not too_much, weights


def test_what_does_not_change_is_kept(installation: Installation) -> None:
    page = httpx.get(f"{installation.url}/admin/login/", trust_env=False)
    (style,) = re.findall(r'href="(/static/unfold/css/styles[^"]*)"', page.text)

    answer = httpx.get(f"{installation.url}{style}", trust_env=False)

    assert re.fullmatch(r"/static/unfold/css/styles\.[0-9a-f]{12}\.css", style)
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Encoding"] == "gzip"
    assert page.headers["Content-Encoding"] == "gzip"


def test_every_icon_of_ours_is_in_the_cut_font() -> None:
    shown = {
        icon
        for file in (ROOT / "templates").rglob("*.html")
        for icon in re.findall(r"material-symbols-outlined[^>]*>([a-z_0-9]+)<", file.read_text())
    }
    navigation = (ROOT / "config" / "navigation.py").read_text()
    named = set(re.findall(r'_(?:Group|item)\(\s*(?:"[^"]*"|\w+), "([a-z_0-9]+)"', navigation))
    kept = set(KEPT_ICONS.read_text().split())

    assert min(len(shown), len(named)) > 5
    assert shown | named | {UNFOLD["SITE_SYMBOL"]} <= kept, "run `python -m config.subset_fonts`"
