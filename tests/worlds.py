"""What many tests of a folder begin with: made once for a module, and rolled back to after each.

A folder says what in its conftest, by a `begins_with` of its own, and takes it from `begun`:

    @pytest.fixture
    def begins_with(): return make_cast

    @pytest.fixture
    def cast(begun): return begun

Tests whose transactions are real (`transaction=True`) begin with one made for them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django.plugin import DjangoDbBlocker

Maker = Callable[[], Any]


class Worlds:
    """At most one is open: a transaction around the tests' own, never committed."""

    def __init__(self, blocker: DjangoDbBlocker) -> None:
        self._blocker = blocker
        self._around: transaction.Atomic | None = None
        self._maker: Maker | None = None
        self._made: Any = None

    def begin(self, maker: Maker | None) -> None:
        """Let the next test find what the maker makes, or an empty database."""
        if self._around is not None and maker is self._maker and not connection.needs_rollback:
            return
        self.end()
        if maker is None:
            return
        with self._blocker.unblock():
            self._around = transaction.atomic()
            self._around._from_testcase = True  # type: ignore[attr-defined]  # as TestCase's own
            self._around.__enter__()
            self._maker = maker
            self._made = maker()
            connection.check_constraints()  # what waits for the end is not checked in every test
            connection.run_on_commit.clear()

    def take(self, maker: Maker) -> Any:
        """What was made: a copy, because tests change the instances they hold."""
        return deepcopy(self._made) if self._around is not None else maker()

    def end(self) -> None:
        if self._around is None:
            return
        around, self._around, self._maker, self._made = self._around, None, None, None
        with self._blocker.unblock():
            transaction.set_rollback(True)
            around.__exit__(None, None, None)


@pytest.fixture(scope="module")
def _worlds(django_db_blocker: DjangoDbBlocker) -> Iterator[Worlds]:
    worlds = Worlds(django_db_blocker)
    yield worlds
    worlds.end()


@pytest.fixture
def begins_with() -> Maker | None:
    """A function that makes what tests find in their database when they ask for `begun`."""
    return None


@pytest.fixture
def _world_below(
    request: pytest.FixtureRequest,
    django_db_setup: None,
    _worlds: Worlds,
    begins_with: Maker | None,
) -> None:
    wanted = "begun" in request.fixturenames and not _commits(request)
    _worlds.begin(begins_with if wanted else None)


@pytest.fixture
def _django_db_helper(_world_below: None, _django_db_helper: None) -> None:
    """pytest-django's: the test's own transaction, inside the world's."""


@pytest.fixture
def begun(db: None, _worlds: Worlds, begins_with: Maker | None) -> Any:
    """What `begins_with` made."""
    assert begins_with is not None
    return _worlds.take(begins_with)


def _commits(request: pytest.FixtureRequest) -> bool:
    """Whether the test has no transaction of pytest-django's around it."""
    marker = request.node.get_closest_marker("django_db")
    return (
        marker is not None and (bool(marker.args) or bool(marker.kwargs.get("transaction")))
    ) or not {"transactional_db", "live_server"}.isdisjoint(request.fixturenames)
