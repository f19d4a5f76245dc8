"""One clock: nothing asks the host for the time but the module of the database's clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("config", "approvals", "policies", "connectors", "audit")

ALLOWED = {
    "audit/lib/db_clock.py": "the clock itself; on SQLite the database is this machine",
    "audit/lib/throttling.py": "counters in the cache, which has no clock: how long to wait, shown",
    "policies/throttle.py": "counters in the cache, which has no clock: how long to wait, shown",
    "approvals/client/countersign/client.py": "at the agent's; the age of a webhook it was sent",
    "approvals/demo/world.py": "the scripted agent is an outside program and has its own clock",
    "connectors/sandbox/mail.py": "the sandbox is an outside system and has its own clock",
    "connectors/sandbox/payments.py": "the sandbox is an outside system and has its own clock",
    "connectors/sandbox/store.py": "the sandbox is an outside system and has its own clock",
    "connectors/adapters/email/client.py": "the Date header of a mail: for its reader",
    "connectors/adapters/email/connector.py": "a note in a receipt: compared with nothing",
    "connectors/adapters/records/client.py": "a note in the outside system: compared with nothing",
}
"""Where a host's clock is asked, and why nothing that is compared or ordered comes of it."""

_HOSTS = {"datetime", "timezone", "date", "time", "dt"}
_NOW = {"now", "utcnow", "today", "time", "time_ns"}
_NOW_UNLESS_TOLD = {"localdate", "localtime"}
"""Django's: with a time given they only move it to the company's time zone."""
_STAMPS = {"auto_now", "auto_now_add"}


def asks_the_host(source: str) -> Iterator[int]:
    """The lines on which that code asks the host for the time."""
    tree = ast.parse(source)
    told = {id(call.func) for call in ast.walk(tree) if isinstance(call, ast.Call) and call.args}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in _NOW | _NOW_UNLESS_TOLD:
            is_told = node.attr in _NOW_UNLESS_TOLD and id(node) in told
            if _name(node.value) in _HOSTS and not is_told:
                yield node.lineno
        elif isinstance(node, ast.keyword) and node.arg in _STAMPS:
            yield node.value.lineno
        elif isinstance(node, ast.ImportFrom) and node.module in {"django.utils.timezone", "time"}:
            if {alias.name for alias in node.names} & _NOW:
                yield node.lineno
        elif isinstance(node, ast.Name) and node.id in _NOW_UNLESS_TOLD and id(node) not in told:
            yield node.lineno


def _name(node: ast.expr) -> str:
    """The last name: `timezone` of `django.utils.timezone`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _found() -> dict[str, list[int]]:
    paths = (path for app in APPS for path in sorted((ROOT / app).rglob("*.py")))
    asking = {
        str(path.relative_to(ROOT)): list(asks_the_host(path.read_text()))
        for path in paths
        if "migrations" not in path.parts  # applied ones stay as they are
    }
    return {path: lines for path, lines in asking.items() if lines}


def test_only_the_database_says_what_time_it_is() -> None:
    assert {path: lines for path, lines in _found().items() if path not in ALLOWED} == {}


def test_no_exception_outlives_its_use() -> None:
    assert set(ALLOWED) - set(_found()) == set()


@pytest.mark.parametrize(
    "offender",
    [
        "from django.utils import timezone\nat = timezone.now()",
        "from django.utils import timezone\nday = timezone.localdate()",
        "from django.utils.timezone import now",
        "import django.utils.timezone\nat = django.utils.timezone.now()",
        "from django.utils.timezone import localdate\nday = localdate()",
        "from datetime import UTC, datetime\nat = datetime.now(UTC)",
        "import datetime\nat = datetime.datetime.utcnow()",
        "from datetime import date\nday = date.today()",
        "import time\nat = time.time()",
        "at = models.DateTimeField(auto_now_add=True)",
        "at = models.DateTimeField(auto_now=True)",
        "at = models.DateTimeField(default=timezone.now)",
    ],
)
def test_the_search_finds_who_asks_the_host(offender: str) -> None:
    assert list(asks_the_host(offender))


def test_timers_and_given_times_are_no_clocks() -> None:
    assert not list(asks_the_host("import time\nend = time.monotonic() + 3\nday = localdate(at)"))
