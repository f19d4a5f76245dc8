"""The review page says in words what is wrong with a text, beside it, and stays quick."""

from __future__ import annotations

import time

import pytest

from approvals.models import ActionRequest
from approvals.proposal import SuppliedEvidence
from tests.admin.make import House, browser, page, text_of
from tests.approvals.make import make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def test_markup_and_links_are_named_where_they_stand(house: House) -> None:
    request = make_request(
        house.agent,
        refund("ch_1037", "150.00", reason="Refund 10.00 EUR ![x](https://evil.example/p.gif)"),
        intent="See [https://shop.example/1](https://evil.example/1).",
        evidence=(
            SuppliedEvidence(kind="mail", title="Mail", excerpt="[a](java\tscript:alert(1))"),
        ),
    )

    response = browser(house.fred).get(page(request))
    text = text_of(response)

    assert "a link shows shop.example but leads to evil.example" in text
    assert "holds HTML or an image, which acts where this text is sent" in text
    assert "holds an address that runs code or hides where it leads" in text
    assert "speaks of 10.00 EUR, not 150.00 EUR" in text
    assert 'href="https://evil.example' not in response.content.decode()


def _seconds_of(request: ActionRequest, house: House) -> float:
    """Of this process, not of the clock; the quickest of three."""
    client, spent = browser(house.fred), []
    for _ in range(3):
        begun = time.process_time()
        assert client.get(page(request)).status_code == 200
        spent.append(time.process_time() - begun)
    return min(spent)


@pytest.mark.parametrize(
    "unit",
    ["\n", " ", "\u200d", "1 EUR ", "а.b "],
    ids=ascii,
)
def test_what_a_page_takes_grows_with_its_texts_and_no_faster(house: House, unit: str) -> None:
    """Four times the text costs at most four times as much, with room for noise: never sixteen."""
    empty, short, long = (
        make_request(
            house.agent,
            refund(f"ch_10{37 + n}", f"15{n}.00"),
            evidence=tuple(
                SuppliedEvidence(
                    kind="mail", title=f"Mail {m}", excerpt="x" + (unit * 20_000)[:size] + "x"
                )
                for m in range(8)
            ),
        )
        for n, size in enumerate((0, 5_000, 20_000))
    )

    base = _seconds_of(empty, house)

    assert _seconds_of(long, house) - base < 8 * max(_seconds_of(short, house) - base, 0.05)
