"""Signing in: guessing is slow, and tells nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client

from config.sign_in import MOST_FAILURES
from tests.approvals.make import PASSWORD, make_house, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def _sign_in(username: str, password: str) -> tuple[int, str]:
    answer = Client().post("/admin/login/", {"username": username, "password": password})
    return answer.status_code, answer.content.decode()


def test_the_right_password_lets_in() -> None:
    make_house()
    make_person("mona", "manager")

    assert _sign_in("mona", PASSWORD)[0] == 302


@pytest.mark.parametrize("name", ["mona", "nobody"])
def test_after_ten_wrong_ones_even_the_right_one_waits(name: str) -> None:
    make_house()
    make_person("mona", "manager")

    for _ in range(MOST_FAILURES):
        assert "Too many" not in _sign_in(name, "wrong")[1]
    status, page = _sign_in(name.upper(), PASSWORD)

    assert status == 200
    assert "Too many wrong passwords" in page


def test_a_right_one_in_between_starts_the_count_again() -> None:
    make_house()
    make_person("mona", "manager")

    for _ in range(MOST_FAILURES - 1):
        _sign_in("mona", "wrong")
    assert _sign_in("mona", PASSWORD)[0] == 302
    _sign_in("mona", "wrong")

    assert _sign_in("mona", PASSWORD)[0] == 302
