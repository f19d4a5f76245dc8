"""A database of an earlier version is migrated and goes on: nothing stops, nothing is judged anew.

`tests.upgrades.make` keeps them. The process that goes on is a real one, with the keys the
database was made with, before the outside systems of the sandbox.
"""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from connectors.sandbox.server import Sandbox
from tests.database import APPLICATION, OWNER, as_application
from tests.upgrades.make import KEPT, KEYS, ROOT, own_database

pytestmark = pytest.mark.slow

NAMES = sorted(path.stem for path in KEPT.glob("*.json"))
_SECONDS_LATER = 60


@pytest.fixture(params=NAMES)
def gone_on(
    request: pytest.FixtureRequest, tmp_path: Path, sandbox: Sandbox, database_roles: None
) -> Iterator[dict[str, Any]]:
    """What the present code made of the kept database, on the stack this run is about."""
    stack = "postgres" if settings.IS_POSTGRES else "sqlite"
    kept = json.loads((KEPT / f"{request.param}.json").read_text())[stack]
    text = gzip.decompress((KEPT / f"{request.param}.{stack}.sql.gz").read_bytes()).decode()
    if not settings.IS_POSTGRES:
        file = tmp_path / "kept.sqlite3"
        with closing(sqlite3.connect(file)) as database:
            database.executescript(text)
        yield _go_on(kept, {"DATABASE_URL": f"sqlite:///{file}"}, tmp_path, sandbox)
        return
    server, _, _ = os.environ["TEST_DATABASE_URL"].rpartition("/")
    with own_database(server) as url:
        with psycopg.connect(url, autocommit=True) as database:
            database.execute(text)
        roles = {
            "DATABASE_OWNER_URL": url,
            "DATABASE_URL": as_application(url),
            "ROLES": f"{OWNER} {APPLICATION}",
        }
        yield _go_on(kept, roles, tmp_path, sandbox)


def _go_on(
    kept: dict[str, str], database: dict[str, str], folder: Path, sandbox: Sandbox
) -> dict[str, Any]:
    at = datetime.fromisoformat(kept["at"])
    ago = int((datetime.now(UTC) - at).total_seconds()) - _SECONDS_LATER
    connectors = sandbox.connectors
    (folder / "var" / "static").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.upgrades.go_on", str(ago)],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            **KEYS,
            "KEPT": json.dumps(kept),
            "DEBUG": "0",
            "DEMO": "1",
            "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
            **database,
            "COUNTERSIGN_VAR": str(folder / "var"),
            "PAYMENTS_URL": connectors["payments"]["base_url"],
            "PAYMENTS_API_KEY": connectors["payments"]["api_key"],
            "RECORDS_URL": connectors["records"]["url"],
            "EMAIL_URL": "memory://",
            "LOG_LEVEL": "WARNING",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_business_goes_on_after_an_upgrade(gone_on: dict[str, Any], sandbox: Sandbox) -> None:
    found = gone_on

    assert found["verified_before"], found["said"]
    assert found["verified_after"], found["said"]
    assert found["ready"]["status"] == "ready", found["ready"]

    # what was in flight is carried out as approved, what waited still waits
    assert {found[name]["state"] for name in ("allowed", "approved")} <= {"verified", "audited"}, (
        found
    )
    assert found["pending"]["state"] == "pending_approval"
    assert found["pending"]["risk_tier"] == 3
    charged = {(one["target"], one["amount"]) for one in sandbox.effects("payments")}
    assert charged == {("charge ch_1002", 2000), ("charge ch_1001", 30000)}

    # what is proposed now is judged by the rules, not sent to the highest tier
    assert (found["small"]["verdict"], found["small"]["risk_tier"]) == ("allow", 3)
    assert (found["larger"]["verdict"], found["larger"]["risk_tier"]) == ("require_approval", 3)
    assert [one["group"] for one in found["larger"]["requirements"]] == ["finance"]

    published = [one for one in found["versions"] if one["status"] == "published"]
    assert [one["readable"] for one in published] == [True]


def test_kept_databases_cover_both_engines() -> None:
    assert NAMES
    for name in NAMES:
        assert json.loads((KEPT / f"{name}.json").read_text()).keys() == {"sqlite", "postgres"}
