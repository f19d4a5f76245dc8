"""Signing in: guessing is slow, tells nothing, and locks nobody else out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import cache
from django.test import Client

from policies import throttle
from policies.throttle import LONGEST_WAIT, MOST_FAILURES, begin_try
from tests.approvals.make import PASSWORD, make_house, make_person

pytestmark = pytest.mark.django_db

HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine is so slow that a wait is over before the test has looked."""
    monkeypatch.setattr(throttle, "FIRST_WAIT", 600)
    monkeypatch.setattr(throttle, "ADDRESS_WAIT", 600)


@pytest.fixture(autouse=True)
def _mona() -> None:
    make_house()
    make_person("mona", "manager")


def _sign_in(
    username: str, password: str, address: str = HERE, *, follow: bool = False
) -> tuple[int, str]:
    browser = Client(REMOTE_ADDR=address)
    form = {"username": username, "password": password}
    answer = browser.post("/admin/login/", form, follow=follow)
    return answer.status_code, answer.content.decode()


def _guess(times: int, username: str = "mona", address: str = HERE) -> str:
    page = ""
    for _ in range(times):
        page = _sign_in(username, "wrong", address)[1]
    return page


def _time_passes(username: str = "mona", address: str = HERE) -> None:
    """The wait that was said is over."""
    cache.delete(throttle._wait(username, address))


def test_the_right_password_lets_in() -> None:
    assert _sign_in("mona", PASSWORD)[0] == 302


@pytest.mark.usefixtures("long_waits")
@pytest.mark.parametrize("name", ["mona", "nobody"])
def test_after_some_wrong_ones_this_address_waits_whether_the_name_is_known_or_not(
    name: str,
) -> None:
    assert "Too many" not in _guess(MOST_FAILURES + 1, name)

    status, page = _sign_in(name.upper(), PASSWORD)

    assert status == 200
    assert "Too many wrong passwords from here. Wait" in page
    assert "minutes and try again" in page


@pytest.mark.usefixtures("long_waits")
def test_thirty_wrong_ones_from_elsewhere_lock_nobody_out() -> None:
    _guess(30, address=ELSEWHERE)

    assert _sign_in("mona", PASSWORD, ELSEWHERE)[0] == 200
    assert _sign_in("mona", PASSWORD, HERE)[0] == 302


def test_the_wait_grows_and_has_an_end() -> None:
    assert [throttle.wait_before(tries) for tries in range(1, 11)] == [0] * 6 + [5, 10, 20, 40]
    assert throttle.wait_before(10_000) == LONGEST_WAIT


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1, "1 second and"), (40, "40 seconds and"), (91, "2 minutes and"), (900, "15 minutes and")],
)
def test_the_page_says_how_long(seconds: int, said: str) -> None:
    assert f"Wait {said} try again." in throttle.sentence(seconds)


def test_clicking_while_one_waits_does_not_make_it_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttle, "FIRST_WAIT", 100)
    for _ in range(MOST_FAILURES + 21):
        begin_try("mona", HERE)

    _time_passes()

    assert begin_try("mona", HERE) == 0
    assert 0 < begin_try("mona", HERE) <= 200 < LONGEST_WAIT


@pytest.mark.usefixtures("long_waits")
def test_many_tries_at_once_are_no_way_around_the_wait() -> None:
    with ThreadPoolExecutor(16) as pool:
        waits = list(pool.map(lambda _: begin_try("mona", HERE), range(64)))

    assert waits.count(0) == MOST_FAILURES + 1


def test_a_right_one_in_between_starts_the_count_again() -> None:
    _guess(MOST_FAILURES - 1)
    assert _sign_in("mona", PASSWORD)[0] == 302
    _guess(MOST_FAILURES - 1)

    assert _sign_in("mona", PASSWORD)[0] == 302


@pytest.mark.usefixtures("long_waits")
def test_an_address_that_guesses_many_names_is_slowed_to_one_try_a_second() -> None:
    for number in range(throttle.MOST_FROM_ONE_ADDRESS):
        throttle.begin_try(f"name{number}", ELSEWHERE)
        throttle.keep_failure(f"name{number}", ELSEWHERE)

    assert [begin_try(f"other{n}", ELSEWHERE) for n in range(3)] == [0, 600, 600]
    assert begin_try("mona", HERE) == 0


def test_the_owner_of_the_name_is_told_once() -> None:
    _guess(3, address=ELSEWHERE)

    _, page = _sign_in("mona", PASSWORD, HERE, follow=True)
    _, again = _sign_in("mona", PASSWORD, HERE, follow=True)

    assert "3 failed attempts to sign in as you since" in page
    assert ELSEWHERE in page
    assert "failed attempt" not in again


def test_a_stranger_is_told_nothing_about_anybody() -> None:
    assert "failed attempt" not in _guess(3)
