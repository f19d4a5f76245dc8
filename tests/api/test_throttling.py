"""No more than the rate passes, however many call at once; wrong keys are slowed by address."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django.fixtures import Settings

from approvals.api.authentication import AgentThrottle, Caller
from approvals.models import Agent, AgentKey
from audit.lib import throttling
from tests.api.make import AgentClient
from tests.redis_away import cache_nobody_serves

THREADS, CALLS, RATE = 16, 50, 600


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def _call() -> Any:
    return SimpleNamespace(auth=Caller(Agent(pk=1), AgentKey()))


def test_sixteen_threads_get_no_more_than_the_rate_through() -> None:
    def call_often(_: int) -> int:
        return sum(AgentThrottle().allow_request(_call(), None) for _ in range(CALLS))

    with ThreadPoolExecutor(THREADS) as pool:
        passed = sum(pool.map(call_often, range(THREADS)))

    assert THREADS * CALLS > RATE
    assert passed == RATE


def test_the_refused_are_told_how_long_to_wait(client: AgentClient) -> None:
    cache.set("throttle:agent:unrelated", 1)
    agent = AgentKey.objects.get().agent_id
    assert client.get("actions/").status_code == 200
    cache.incr(f"throttle:agent:{agent}", RATE)

    answer = client.get("actions/")

    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 61


def test_a_count_that_ended_between_two_steps_begins_again_and_ends_again() -> None:
    assert throttling.count("a", seconds=60) == 1
    cache.delete("a")

    assert throttling.count("a", seconds=60) == 1
    assert throttling.count("a", seconds=60) == 2


def test_without_a_cache_nothing_is_counted_and_everybody_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttling, "cache", cache_nobody_serves())

    assert throttling.count("a", seconds=60) == 0
    assert AgentThrottle().allow_request(_call(), None)


@pytest.mark.django_db
def test_wrong_keys_are_refused_and_then_slowed_by_address(client: AgentClient) -> None:
    def present(key: str, address: str) -> Any:
        return Client(REMOTE_ADDR=address).get(
            "/api/v1/actions/", headers={"Authorization": f"Bearer {key}"}
        )

    answers = [present(f"csk_wrong{n}_secret", "192.0.2.1") for n in range(31)]

    assert {answer.status_code for answer in answers[:30]} == {401}
    assert answers[30].status_code == 429
    assert answers[30].json()["code"] == "throttled"
    assert int(answers[30]["Retry-After"]) > 0
    assert present("csk_wrong_secret", "192.0.2.2").status_code == 401
    assert present("csk_\xe9_secret", "192.0.2.1").status_code == 429


@pytest.mark.django_db
def test_a_right_key_passes_where_wrong_ones_are_slowed(client: AgentClient) -> None:
    wrong = AgentClient("csk_wrong_secret")
    answers = [wrong.get("actions/").status_code for _ in range(31)]

    assert answers[-1] == 429
    assert client.get("actions/").status_code == 200


@pytest.mark.parametrize(
    ("hops", "forwarded", "counted"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", "192.0.2.1"),
        (1, "not an address", "192.0.2.1"),
        (1, "", "192.0.2.1"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
def test_only_what_our_own_proxies_wrote_is_believed(
    settings: Settings, hops: int, forwarded: str, counted: str
) -> None:
    from django.test import RequestFactory

    from audit.lib.throttling import client_address, throttled_as

    settings.PROXY_HOPS = hops
    request = RequestFactory().get(
        "/", REMOTE_ADDR="192.0.2.1", headers={"X-Forwarded-For": forwarded}
    )

    assert throttled_as(client_address(request)) == counted
