"""Settles the environment before Django's settings are read, and says what cannot run here.

The settings module is named here and not in pyproject.toml: pytest-django would then read it
before this file could set the environment it depends on.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from django.conf import settings

from tests import programs

pytest_plugins = ["tests.database", "tests.systems"]

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")


def _settle_environment() -> None:
    """Only what is set here reaches the settings; a developer's own environment does not."""
    if settings.configured:
        raise pytest.UsageError("Unset DJANGO_SETTINGS_MODULE: tests choose their own settings.")
    root = os.environ.get("COUNTERSIGN_TEST_ROOT")
    if root is None:
        root = tempfile.mkdtemp(prefix="countersign-tests-")
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
        "DEMO": "1",  # plain http on loopback, static files straight from the packages
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
