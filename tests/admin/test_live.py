"""Pages that stay open ask for little, see what they may, and nobody waits for them."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from approvals.models import ActionRequest
from approvals.services import claims
from approvals.services.execute import execute
from tests.admin.make import House, action_url, browser, look, page, text_of
from tests.approvals.make import approve as approve_it
from tests.approvals.make import make_request, refund, ticked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cache.clear()


def state_url(request: ActionRequest, team: str = "finance") -> str:
    return reverse("admin:inbox_state", args=[team, request.pk])


def live_url(*shown: object, show: str = "to-decide") -> str:
    ids = ",".join(str(one) for one in shown)
    return f"{reverse('admin:inbox_live', args=['finance'])}?show={show}&ids={ids}"


def test_a_case_is_followed_from_pending_to_checked(house: House, request_: ActionRequest) -> None:
    client = browser(house.fred)
    pending = client.get(state_url(request_)).json()
    approve_it(request_, house.fred)
    approved = client.get(state_url(request_)).json()
    execute(request_.pk)
    done = client.get(state_url(request_)).json()

    assert (pending["state"], pending["steps"]) == ("pending_approval", [])
    assert approved["sentence"] == "Approved; waits to be carried out."
    assert [is_reached for _, is_reached in approved["steps"]] == [True, False, False, False]
    assert not approved["is_final"]
    assert done["sentence"].startswith("Done, re_")
    assert done["tone"] == "good"
    assert done["is_final"]


def test_nobody_follows_what_they_may_not_see(house: House, request_: ActionRequest) -> None:
    for villain in (house.sam, house.olga):
        assert browser(villain).get(state_url(request_)).status_code == 404
        assert browser(villain).get(live_url(request_.pk)).status_code == 403
    assert browser(house.fred).post(state_url(request_)).status_code == 405


def test_the_note_after_a_decision_leads_to_its_case(house: House, request_: ActionRequest) -> None:
    client = browser(house.fred)

    answer = client.post(
        action_url(request_, "approve"),
        {
            "seal": look(client, request_),
            "confirmed": ticked(request_),
            "reason_code": "as_proposed",
        },
        follow=True,
    )

    assert f'data-live="{state_url(request_)}"' in text_of(answer)
    assert f'href="{page(request_)}"' in text_of(answer)


def test_an_open_list_hears_what_is_new_what_went_and_who_works_on_it(house: House) -> None:
    seen, decided = (
        make_request(house.agent, refund("ch_1004", "310.00"), session="a"),
        make_request(house.agent, refund("ch_1006", "320.00"), session="b"),
    )
    approve_it(decided, house.fay)
    make_request(house.agent, refund("ch_1007", "330.00"), session="c")
    claims.claim(seen.pk, person=house.fay)

    now = browser(house.fred).get(live_url(seen.pk, decided.pk)).json()

    assert now["gone"] == [str(decided.pk)]
    assert now["new"] == 1
    assert now["claims"] == {str(seen.pk): "fay"}
    assert now["counts"]["to-decide"] == 2


@pytest.mark.parametrize("ids", ["", "x", "x,y", "0" * 5000])
def test_an_open_list_that_asks_nonsense_hears_of_no_row(house: House, ids: str) -> None:
    answer = browser(house.fred).get(live_url(ids))

    assert answer.status_code == 200
    assert answer.json()["gone"] == []


def test_following_costs_little(house: House, request_: ActionRequest) -> None:
    client = browser(house.fred)
    client.get(live_url(request_.pk))

    with CaptureQueriesContext(connection) as of_list:
        client.get(live_url(request_.pk))
    with CaptureQueriesContext(connection) as of_case:
        client.get(state_url(request_))

    assert len(of_list) <= 9, [query["sql"][:90] for query in of_list]
    assert len(of_case) <= 12, [query["sql"][:90] for query in of_case]
