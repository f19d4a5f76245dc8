"""One call for all that an agent waits for: nothing is missed, and nothing is told twice."""

from __future__ import annotations

import time
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.db import connection

from approvals.api.waiting import place_for
from approvals.models import ActionRequest
from approvals.selectors import changes
from approvals.selectors.changes import Cursor, changes_after, latest
from approvals.services.agent_replies import withdraw
from audit.lib import db_clock
from policies.models import User
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import make_agent, make_key, make_person, refund, reject
from tests.database import triggers_off

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def pending(client: AgentClient, number: int) -> str:
    found = client.propose(a_proposal(refund(f"ch_10{number}", "800.00"))).json()
    return str(found["id"])


def feed(client: AgentClient, after: str = "", **query: str) -> tuple[list[str], str, bool]:
    answer = client.get("actions/changes/", after=after, **query)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    return [one["id"] for one in body["results"]], body["cursor"], body["more"]


def aged(seconds: int, *ids: str) -> None:
    """Their last change was that long ago."""
    with triggers_off():
        for place, pk in enumerate(ids):
            at = db_clock.now() - timedelta(seconds=seconds) + timedelta(milliseconds=place)
            ActionRequest.objects.filter(pk=pk).update(updated_at=at)


def test_changes_come_in_order_once_each(client: AgentClient) -> None:
    first, second = pending(client, 11), pending(client, 12)

    told, cursor, more = feed(client)
    again, cursor, _ = feed(client, cursor)
    reject(ActionRequest.objects.get(pk=first), User.objects.get(username="mona"))
    news, cursor, _ = feed(client, cursor)
    after, _, _ = feed(client, cursor)

    assert (told, more, again) == ([first, second], False, [])
    assert (news, after) == ([first], [])


def test_a_change_that_is_seen_late_with_an_earlier_time_is_not_missed(client: AgentClient) -> None:
    first, second = pending(client, 11), pending(client, 12)
    aged(5, first, second)
    agent = ActionRequest.objects.get(pk=first).agent
    found = changes_after(agent, Cursor())
    assert found.request_ids == (ActionRequest.objects.get(pk=first).pk, *found.request_ids[1:])

    late = pending(client, 13)
    aged(10, late)  # committed after both, stamped before both
    naive = Cursor(ActionRequest.objects.get(pk=second).updated_at, found.request_ids[-1])

    assert [str(pk) for pk in changes_after(agent, found.cursor).request_ids] == [late]
    assert changes_after(agent, naive).request_ids == ()  # what a plain cursor makes of it


def test_a_settled_change_leaves_the_cursors_memory(client: AgentClient) -> None:
    ids = [pending(client, number) for number in (11, 12)]
    agent = ActionRequest.objects.get(pk=ids[0]).agent
    _, fresh, _ = feed(client)
    aged(60, *ids)

    settled = changes_after(agent, Cursor())

    assert len(Cursor.read(fresh).told) == 2
    assert settled.cursor.told == frozenset()
    assert changes_after(agent, settled.cursor).request_ids == ()


def test_pages_and_a_full_memory_lose_nothing(
    client: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [pending(client, number) for number in range(11, 19)]
    monkeypatch.setattr(changes, "A_PAGE", 2)
    monkeypatch.setattr(changes, "MOST_REMEMBERED", 3)
    aged(60, *ids[:4])

    told: list[str] = []
    cursor = ""
    for _ in range(6):
        news, cursor, _ = feed(client, cursor)
        told += news
    aged(60, *ids[4:])  # time passes: what changed counts as another change here
    rest: list[str] = []
    for _ in range(6):
        news, cursor, _ = feed(client, cursor)
        rest += news

    assert told == ids[:7]  # the eighth waits until others have settled
    assert set(rest) >= {ids[7]}


def test_latest_tells_only_what_changes_from_now_on(client: AgentClient) -> None:
    old = pending(client, 11)
    told, cursor, _ = feed(client, "latest")
    new = pending(client, 12)

    assert told == []
    assert feed(client, cursor)[0] == [new]
    assert latest(ActionRequest.objects.get(pk=old).agent)


def test_an_agent_sees_its_own_changes_only(client: AgentClient) -> None:
    pending(client, 11)
    other = AgentClient(make_key(make_agent(make_person("otto", "agent owner"), "other-bot")))

    assert feed(other)[0] == []


@pytest.mark.parametrize(
    "after", ["x", "1-2-3", "-", "1--", f"{10**30}-{'0' * 32}-", "1763-" + "g" * 32 + "-", "é--"]
)
def test_a_cursor_of_ones_own_making_is_refused(client: AgentClient, after: str) -> None:
    answer = client.get("actions/changes/", after=after)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


def test_a_wait_ends_with_the_time_or_says_that_it_got_no_place(client: AgentClient) -> None:
    found = pending(client, 11)
    _, cursor, _ = feed(client)
    agent = ActionRequest.objects.get(pk=found).agent

    begun = time.monotonic()
    waited = client.get("actions/changes/", after=cursor, wait="1")
    took = time.monotonic() - begun
    with place_for(agent.pk):
        refused = client.get("actions/changes/", after=cursor, wait="5")

    assert took >= 1
    assert "Retry-After" not in waited
    assert (refused["Countersign-Waited"], refused["Retry-After"]) == ("no", "15")


@pytest.mark.django_db(transaction=True)
def test_a_wait_ends_with_the_first_change(client: AgentClient) -> None:
    found = pending(client, 11)
    _, cursor, _ = feed(client)
    request = ActionRequest.objects.get(pk=found)

    def later() -> None:
        time.sleep(0.7)
        withdraw(request.pk, agent=request.agent)
        connection.close()

    thread = Thread(target=later)
    thread.start()
    begun = time.monotonic()
    told: Any = feed(client, cursor, wait="20")
    thread.join()

    assert told[0] == [found]
    assert time.monotonic() - begun < 10
