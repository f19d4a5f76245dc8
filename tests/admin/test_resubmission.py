"""A request that replaces another says what the agent changed and what had been said before."""

from __future__ import annotations

import pytest

from approvals.models import ActionRequest
from approvals.services.agent_replies import answer
from approvals.services.decide import reject, request_changes
from tests.admin.make import House, browser, page, text_of
from tests.approvals.make import crm, look_at, make_person, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def make_asked_about(house: House) -> ActionRequest:
    """A refund fred asked about, answered and rejected."""
    request = make_request(house.agent, refund("ch_1034", "300.00"))
    reviewed = look_at(request, house.fred)
    request_changes(request.pk, decider=house.fred, reviewed=reviewed, question="Why 300?")
    answer(request.pk, agent=house.agent, body="The <b>lamp</b> cost that.")
    reject(
        request.pk,
        decider=house.fay,
        reviewed=look_at(request, house.fay),
        reason_code="wrong_amount",
        comment="Half of it.",
    )
    return request


def told(text: str) -> str:
    """What the page says of the request before."""
    section = text[text.index("data-replaced") :]
    return section[: section.index("</section>")]


def test_what_the_agent_changed_stands_beside_what_was_said(house: House) -> None:
    old = make_asked_about(house)
    new = make_request(house.agent, refund("ch_1034", "290.00"), supersedes=old.pk)
    client = browser(house.fred)

    section = told(text_of(client.get(page(new))))

    assert f"/review/{old.pk}" in section
    assert "fay: reject: amount is wrong" in section
    assert "<blockquote>Half of it.</blockquote>" in section
    assert "<dt>amount</dt>" in section
    assert "<del>300.00</del><ins>290.00</ins>" in section
    assert "<dt>charge</dt>" not in section
    assert section.index("Why 300?") < section.index("The &lt;b&gt;lamp&lt;/b&gt; cost that.")
    before = text_of(client.get(page(old)))
    assert f"/review/{new.pk}" in before
    assert "The agent proposed it anew." in before


def test_the_same_again_is_called_the_same(house: House) -> None:
    old = make_request(house.agent, refund("ch_1034", "300.00"))
    same = refund("ch_1034", "300.00")
    new = make_request(house.agent, same, supersedes=old.pk, intent="Please, please.")

    section = told(text_of(browser(house.fred).get(page(new))))

    assert "It changed nothing of what is done." in section
    assert "withdrawn" in section


def test_nobody_reads_of_what_they_may_not_see(house: House) -> None:
    olive = make_person("olive", "operations")
    old = make_asked_about(house)
    new = make_request(house.agent, crm("acct_2003"), action_type="crm.update", supersedes=old.pk)

    text = text_of(browser(olive).get(page(new, "operations")))

    assert "data-replaced" not in text
    assert "Half of it." not in text


def test_what_replaces_nothing_says_nothing(house: House, request_: ActionRequest) -> None:
    assert "data-replaced" not in text_of(browser(house.fred).get(page(request_)))
