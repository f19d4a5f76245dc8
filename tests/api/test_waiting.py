"""Long polling waits, and one agent's waiting never takes the web away from the others."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import pytest
from django.conf import settings

from approvals.api.waiting import PLACES, place_for
from approvals.models import ActionRequest
from config import web_server
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def _pending(client: AgentClient) -> Any:
    found = client.propose(a_proposal(refund("ch_1001", "800.00"))).json()
    assert found["state"] == "pending_approval"
    return found


def _seconds(client: AgentClient, found: Any, wait: str) -> float:
    begun = time.monotonic()
    answer = client.get(f"actions/{found['id']}/", wait=wait)
    assert answer.status_code == 200
    assert answer.json()["state"] == found["state"]
    return time.monotonic() - begun


def test_a_poll_waits_as_long_as_it_was_asked_to(client: AgentClient) -> None:
    found = _pending(client)

    assert _seconds(client, found, "1") >= 1
    assert _seconds(client, found, "1") >= 1  # the place was given back


def test_half_the_threads_always_answer() -> None:
    assert web_server.threads == settings.WEB_THREADS
    assert 1 <= PLACES <= settings.WEB_THREADS / 2


def test_a_second_poll_of_one_agent_is_answered_at_once(client: AgentClient) -> None:
    found = _pending(client)
    agent = ActionRequest.objects.get(pk=found["id"]).agent_id

    with place_for(agent) as first:
        took = _seconds(client, found, "5")

    assert first
    assert took < 2


def test_one_agent_cannot_keep_another_from_waiting(client: AgentClient) -> None:
    found = _pending(client)

    with ExitStack() as held:
        villain = [held.enter_context(place_for(-1)) for _ in range(settings.WEB_THREADS)]
        took = _seconds(client, found, "1")

    assert villain.count(True) == 1
    assert took >= 1


def test_whoever_finds_no_place_is_answered_at_once(client: AgentClient) -> None:
    found = _pending(client)

    with ExitStack() as held:
        others = [held.enter_context(place_for(-n)) for n in range(1, PLACES + 2)]
        took = _seconds(client, found, "5")

    assert others == [True] * PLACES + [False]
    assert took < 2


def test_whoever_did_not_wait_is_told_so_and_when_to_ask_again(client: AgentClient) -> None:
    found = _pending(client)
    agent = ActionRequest.objects.get(pk=found["id"]).agent_id

    with place_for(agent):
        refused = client.get(f"actions/{found['id']}/", wait="5")
    waited = client.get(f"actions/{found['id']}/", wait="1")
    plain = client.get(f"actions/{found['id']}/")

    assert refused.status_code == 200
    assert (refused["Countersign-Waited"], refused["Retry-After"]) == ("no", "15")
    for answer in (waited, plain):
        assert "Countersign-Waited" not in answer
        assert "Retry-After" not in answer
