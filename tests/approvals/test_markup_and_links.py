"""Markup, misleading links and sums among the params bring people in; nothing runs by itself."""

from __future__ import annotations

import pytest

from approvals.inspection import misleading_links
from tests.approvals.make import Cast, make_request, refund
from tests.approvals.story import ALLOWED, ROUTED, assert_story

IMAGE = "Lamp broke ![photo](https://evil.example/p?q=1)"


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ({"params": refund(reason=IMAGE)}, "markup"),
        ({"params": refund(reason="Broken <img src=x onerror=alert(1)>")}, "markup"),
        ({"intent": "Broken. <script>fetch('//evil.example')</script>"}, "markup"),
        ({"intent": "See [https://shop.example/1](https://evil.example/1)."}, "link"),
        ({"params": refund(reason="[photo](javascript:alert(1))")}, "link"),
        ({"params": refund(reason="Refund 10.00 EUR")}, "contradiction"),
        ({"params": refund(reason="Refund 10.00 EUR"), "intent": "180.00 EUR"}, "contradiction"),
    ],
)
def test_a_small_clean_refund_goes_to_people(
    cast: Cast, words: dict[str, object], flag: str
) -> None:
    request = make_request(cast.agent, **words)  # type: ignore[arg-type]

    assert_story(request, "pending_approval", ROUTED)
    decision = request.policy_decisions.latest("id")
    assert f'"{flag}"' in decision.facts


@pytest.mark.parametrize(
    "reason",
    [
        "Broken on arrival, see https://shop.example/orders/1",
        "180.00 EUR for the lamp",
        "Order of 240.00 EUR, of which 180.00 EUR for the lamp",
    ],
)
def test_ordinary_reasons_run_by_themselves(cast: Cast, reason: str) -> None:
    request = make_request(cast.agent, refund(reason=reason))

    assert_story(request, "approved", ALLOWED)


@pytest.mark.parametrize(
    ("text", "shows", "leads_to"),
    [
        ("[https://shop.example/1](https://evil.example/1)", "shop.example", "evil.example"),
        ("[shop.example](<https://evil.example/a b>)", "shop.example", "evil.example"),
        ("[shop.example](https:\\\\evil.example)", "shop.example", "evil.example"),
        ("https://shop.example@evil.example/", "shop.example", "evil.example"),
        ("[www.shop.example](https://shop.example.evil.example)", "shop.example",
         "shop.example.evil.example"),
    ],
)  # fmt: skip
def test_a_misleading_link_is_named_by_both_its_hosts(text: str, shows: str, leads_to: str) -> None:
    (link,) = misleading_links(text)

    assert (link.shows, link.leads_to) == (shows, leads_to)
