"""On the review page: leaving a request to others, and writing to the people on it."""

from __future__ import annotations

import pytest

from approvals.models import ActionRequest
from approvals.selectors.inbox import TO_DECIDE
from approvals.selectors.inbox_counts import FOR_VIEWER, counts_of_tabs
from audit.lib import db_clock
from tests.admin.make import House, action_url, browser, inbox, page, state_of, text_of
from tests.admin.review import send
from tests.approvals.make import make_person, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def test_who_abstains_goes_on_and_colleagues_see_why(house: House, request_: ActionRequest) -> None:
    other = make_request(house.agent, refund("ch_1038", "90.00"))
    felix = make_person("felix", "finance")
    client = browser(house.fred)

    answer = send(client, request_, "abstain", reason="I know <b>her</b>.")

    assert answer["Location"] == f"{page(other)}?after={request_.pk}"
    assert state_of(request_) == "pending_approval"
    theirs, own = text_of(browser(felix).get(page(request_))), text_of(client.get(page(request_)))
    assert "abstained: <q>I know &lt;b&gt;her&lt;/b&gt;.</q>" in theirs
    assert "You abstained from this, so others decide it." in own
    assert action_url(request_, "approve") not in own
    assert action_url(request_, "abstain") not in own
    listed = text_of(client.get(inbox()))
    assert "You abstained" in listed
    tabs = counts_of_tabs("finance", viewer=house.fred, at=db_clock.now())
    assert (tabs[TO_DECIDE.key], tabs[FOR_VIEWER]) == (2, 1)


def test_without_a_reason_nothing_is_recorded_and_the_form_stays_open(
    house: House, request_: ActionRequest
) -> None:
    answer = send(browser(house.fred), request_, "abstain", reason=" ")

    assert answer.status_code == 422
    assert "Write why you leave it to others" in text_of(answer)
    assert not request_.decisions.exists()


def test_a_note_is_read_by_colleagues_where_they_decide(
    house: House, request_: ActionRequest
) -> None:
    client = browser(house.fred)

    answer = send(client, request_, "note", text="Is the <i>photo</i> hers?")

    assert answer["Location"] == page(request_)
    text = text_of(client.get(page(request_)))
    said = text[text.index('id="thread"') :]
    said = said[: said.index("</section>")]
    assert "fred, to colleagues" in said
    assert "Is the &lt;i&gt;photo&lt;/i&gt; hers?" in said
    assert state_of(request_) == "pending_approval"


def test_whoever_came_by_break_glass_alone_writes_no_notes(
    house: House, request_: ActionRequest
) -> None:
    bea = make_person("bea", "break-glass")

    text = text_of(browser(bea).get(page(request_)))

    assert action_url(request_, "note") not in text
