"""Getting past the append-only triggers: to empty a test database, and to play the tamperer.

Tests with `transaction=True` end with a flush, which deletes (SQLite) or truncates (PostgreSQL)
every table; the triggers refuse that, as they should. `tests/conftest.py` hooks this in with

    pytest_plugins = ["tests.database"]

whose one autouse fixture makes every flush run with triggers off. Ordinary tests roll back and
need nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.core.management import get_commands
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase


@contextmanager
def triggers_off(database: BaseDatabaseWrapper | Any = connection) -> Iterator[None]:
    """Run the block as somebody who can get past every trigger of the database.

    PostgreSQL: this session plays a replica, on which ordinary triggers do not fire (needs a
    superuser). SQLite: the triggers are dropped and put back word for word.
    """
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
            try:
                yield
            finally:
                cursor.execute("SET session_replication_role = DEFAULT")
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
        try:
            yield
        finally:
            for _, sql in triggers:  # a flush has put them back already
                cursor.execute(sql.replace("CREATE TRIGGER", "CREATE TRIGGER IF NOT EXISTS", 1))


@pytest.fixture(scope="session", autouse=True)
def _flush_gets_past_the_triggers() -> Iterator[None]:
    """Wrap the flush of `transaction=True` tests; nothing else of Django's changes.

    It is Django's own command again for that moment: ours refuses.
    """
    flush = TransactionTestCase._fixture_teardown

    def flush_without_triggers(case: TransactionTestCase) -> None:
        with ExitStack() as off, pytest.MonkeyPatch.context() as patch:
            patch.setitem(get_commands(), "flush", "django.core")
            for alias in case._databases_names(include_mirrors=False):
                off.enter_context(triggers_off(connections[alias]))
            flush(case)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", flush_without_triggers)
        yield
