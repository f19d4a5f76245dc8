"""Settles the environment before Django's settings are read, and says what cannot run here.

The settings module is named here and not in pyproject.toml: pytest-django would then read it
before this file could set the environment it depends on.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from zlib import crc32

import hypothesis
import pytest
from django.conf import settings

from tests import programs
from tests.trials import IN_CI, trials

pytest_plugins = ["tests.database", "tests.systems", "tests.worlds", "tests.races.make"]

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")


def _memory() -> str | None:
    """Where files cost no disk: what tests write there, the next test writes anew."""
    place = "/dev/shm"  # noqa: S108
    there = os.path.isdir(place) and shutil.disk_usage(place).free > _ENOUGH
    return place if there and os.access(place, os.W_OK) else None


_ENOUGH = 2**30


def _settle_environment() -> None:
    """Only what is set here reaches the settings; a developer's own environment does not."""
    if settings.configured:
        raise pytest.UsageError("Unset DJANGO_SETTINGS_MODULE: tests choose their own settings.")
    root = os.environ.get("COUNTERSIGN_TEST_ROOT")
    if root is None:
        root = tempfile.mkdtemp(prefix="countersign-tests-", dir=_memory())
        os.environ["COUNTERSIGN_TEST_ROOT"] = root
        atexit.register(shutil.rmtree, root, ignore_errors=True)
    var_dir = Path(root) / WORKER
    (var_dir / "static").mkdir(parents=True, exist_ok=True)  # nobody runs collectstatic for tests
    for name in ("DATABASE_URL", "BROKER_URL", "ALLOWED_HOSTS", "BASE_URL", "DEMO_AGENT"):
        os.environ.pop(name, None)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "COUNTERSIGN_VAR": str(var_dir),
        "DEBUG": "0",
        "DEMO": "1",  # plain http on loopback
        "STATIC_FROM_PACKAGES": "1",
        "SECRET_KEY": "a key for tests that signs nothing anywhere else",
        "AUDIT_KEY": "another key for tests that seals nothing anywhere else",
        "EMAIL_URL": "memory://",
        "LOG_LEVEL": "WARNING",
    }
    database_url = os.environ.get("TEST_DATABASE_URL")
    if database_url:
        os.environ["DATABASE_URL"] = database_url
    if redis_url := os.environ.get("TEST_REDIS_URL"):
        # One numbered Redis database per worker: they share nothing, like their SQL databases.
        number = int(WORKER.removeprefix("gw")) + 1 if WORKER.startswith("gw") else 0
        os.environ["BROKER_URL"] = f"{redis_url.rstrip('/')}/{number}"
    if bool(database_url) != settings.IS_POSTGRES:  # from here on they are read
        raise pytest.UsageError("TEST_DATABASE_URL must be a postgresql:// address.")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, for tests
    # xdist's workers inherit the environment, and must come by here before anybody reads theirs
    del os.environ["DJANGO_SETTINGS_MODULE"]


_settle_environment()
hypothesis.settings.register_profile(
    "trials", hypothesis.settings(), max_examples=trials(100, least=10), deadline=None
)
hypothesis.settings.load_profile("trials")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark `once` what has asked for no database: pytest-django then refuses it one.

    It runs the same on both stacks. Settings do not, and programs started are on their own.
    What is about rows alone is marked as the one's or the other's share.
    """
    for item in items:
        asks = not _DATABASES.isdisjoint(getattr(item, "fixturenames", ()))
        marked = any(item.get_closest_marker(name) for name in _OF_A_STACK)
        if not asks and not marked and item.path.parent.name != "config":
            item.add_marker("once")
        elif _is_about_rows_alone(item):
            item.add_marker(_SHARES[crc32(item.nodeid.encode()) % len(_SHARES)])


def _is_about_rows_alone(item: pytest.Item) -> bool:
    """Whether it asks the ORM, in a transaction of its own, in a file that knows no database.

    Nothing is about locks, threads, processes or SQL there: with few trials `make test` runs such
    a test on one of the two stacks, so that each stack has its half of every file. CI runs all.
    """
    source = _source_of(item.path)
    return (
        item.path.parent.name not in _ABOUT_DATABASES
        and not any(item.get_closest_marker(name) for name in ("postgres", "redis", "slow"))
        and not _commits(item)
        and not any(word in source for word in _OF_A_DATABASE)
    )


def _commits(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    commits = marker is not None and (marker.args or marker.kwargs.get("transaction"))
    return bool(commits) or not _REAL.isdisjoint(getattr(item, "fixturenames", ()))


@cache
def _source_of(path: Path) -> str:
    return path.read_text()


_SHARES = ("share_of_sqlite", "share_of_services")
_ABOUT_DATABASES = frozenset({"audit", "config", "faults", "races", "upgrades"})
_OF_A_DATABASE = (
    *(".vendor", "is_postgres", "IS_POSTGRES", "cursor(", "triggers_off", "as_superuser"),
    *("Thread", "django.core.cache"),
)
_REAL = frozenset({"transactional_db", "live_server"})
_OF_A_STACK = ("django_db", "postgres", "redis", "slow")
_DATABASES = frozenset({"db", "transactional_db", "live_server", "django_db_setup", "migrated"})


def _missing(item: pytest.Item) -> str:
    """Why this test cannot run here; empty when it can."""
    if item.get_closest_marker("redis") and programs.redis_server() is None:
        return "needs the redis-server program"
    if item.get_closest_marker("browser") and programs.chromium() is None:
        return "needs Chromium"
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run; in CI that is a failure."""
    if item.get_closest_marker("postgres") and not settings.IS_POSTGRES:
        pytest.skip("needs PostgreSQL: `make test` runs it there, or set TEST_DATABASE_URL")
    if reason := _missing(item):
        if IN_CI:
            pytest.fail(f"CI must run everything, and this {reason}.", pytrace=False)
        pytest.skip(reason)
