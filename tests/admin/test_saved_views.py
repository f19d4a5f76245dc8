"""A person names what their inbox shows; the name leads there again, and is theirs alone."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from approvals.exceptions import ApprovalError
from approvals.models import ActionRequest, SavedView
from approvals.selectors.saved_views import query_of
from approvals.services.saved_views import MOST, save_view
from tests.admin.make import House, browser, inbox, page, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

SAVE = "admin:inbox_save_view"
FORGET = "admin:inbox_forget_view"


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cache.clear()


def save(client: Client, name: str, query: str, team: str = "finance") -> HttpResponse:
    answer: HttpResponse = client.post(  # type: ignore[assignment]
        reverse(SAVE, args=[team]), {"name": name, "query": query}, follow=True
    )
    return answer


def test_a_view_is_saved_opened_and_forgotten(house: House, request_: ActionRequest) -> None:
    client = browser(house.fred)
    opened = text_of(client.get(f"{inbox()}?show=mine&tier=3"))
    assert 'name="query" value="show=mine&amp;tier=3"' in opened

    saved = text_of(save(client, "My <b>third</b>", "show=mine&tier=3&p=2"))

    assert "My &lt;b&gt;third&lt;/b&gt;" in saved
    assert 'href="?show=mine&amp;tier=3" aria-current="page"' in saved
    assert "Save this view" not in saved
    elsewhere = text_of(client.get(inbox()))
    assert 'href="?show=mine&amp;tier=3">My &lt;b&gt;third' in elsewhere
    (view,) = SavedView.objects.all()
    forgotten = client.post(reverse(FORGET, args=["finance", view.pk]), follow=True)
    assert "is forgotten." in text_of(forgotten)
    assert not SavedView.objects.exists()


def test_only_what_an_inbox_can_be_asked_is_saved() -> None:
    villain = {"show": "nothing", "tier": "9", "action_type": "x' OR 1=1", "agent_team": "moon"}

    assert query_of(villain) == ""
    assert query_of({"o": "-1", "p": "3", "next": "//evil.example", "show": "to-decide"}) == ""
    assert query_of({"q": "a" * 201}) == ""
    assert query_of({"q": " 10 & 37 ", "tier": "3"}) == "tier=3&q=10+%26+37"
    assert query_of({"action_type": "refund.issue", "show": "done"}) == (
        "show=done&action_type=refund.issue"
    )


def test_what_cannot_be_saved_says_why(house: House, request_: ActionRequest) -> None:
    client = browser(house.fred)

    assert "Give the view a name" in text_of(save(client, " ", "tier=3"))
    assert "Give the view a name" in text_of(save(client, "a" * 41, "tier=3"))
    assert "Choose a filter first." in text_of(save(client, "All", "show=to-decide"))
    assert not SavedView.objects.exists()


def test_the_same_name_shows_something_else_from_then_on(house: House) -> None:
    for tier in ("3", "2"):
        save_view(house.fred, "finance", name="Big", asked={"tier": tier})

    assert [view.query for view in SavedView.objects.all()] == ["tier=2"]


def test_there_is_an_end_to_them(house: House) -> None:
    for number in range(MOST):
        save_view(house.fred, "finance", name=f"View {number}", asked={"tier": "3"})

    with pytest.raises(ApprovalError, match="Forget one first"):
        save_view(house.fred, "finance", name="One more", asked={"tier": "3"})

    save_view(house.fred, "finance", name="View 0", asked={"tier": "2"})
    save_view(house.fay, "finance", name="One more", asked={"tier": "3"})


def test_views_are_their_owner_s_alone(house: House, request_: ActionRequest) -> None:
    mine = save_view(house.fred, "finance", name="Fred's", asked={"tier": "3"})
    fay = browser(house.fay)

    assert "Fred&#x27;s" not in text_of(fay.get(inbox()))
    assert fay.post(reverse(FORGET, args=["finance", mine.pk])).status_code == 404
    assert fay.post(reverse(FORGET, args=["finance", quote("1e9")])).status_code == 404
    assert browser(house.sam).post(reverse(SAVE, args=["finance"])).status_code == 403
    assert fay.get(reverse(SAVE, args=["finance"])).status_code == 405
    assert SavedView.objects.filter(pk=mine.pk).exists()
    assert page(request_)
