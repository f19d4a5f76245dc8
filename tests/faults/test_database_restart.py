"""PostgreSQL goes down in the middle: no half decision, no lost effect, no second one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from pytest_django.fixtures import Settings
from pytest_django.plugin import DjangoDbBlocker

from approvals.models import ActionRequest, Decision
from approvals.services.decide import approve
from policies.models import User
from tests.approvals.make import look_at
from tests.faults.conftest import a_world, using_database
from tests.faults.make import allowed_refund, decided, furnish, large_refund
from tests.faults.processes import free_port, until
from tests.faults.world import (
    Broker,
    World,
    assert_trail_is_whole,
    attempts_of,
    keys_of,
    lease_runs_out,
    one_effect,
    state_of,
)

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow]


def programs() -> Path | None:
    """Where this machine keeps the server's own programs; they are rarely on the path."""
    if shutil.which("pg_config") is None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        return found[-1].parent if found else None
    shown = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
    folder = Path(shown.stdout.strip())
    return folder if (folder / "initdb").exists() else None


@dataclass
class Cluster:
    """A PostgreSQL server of our own. The server refuses to run as root."""

    bin: Path
    folder: Path
    port: int

    def create(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "--no-sync", "--auth", "trust", "--username", "root")
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "--wait", "--log", log, "--options", f"{options} -F")

    def crash(self) -> None:
        """As a power cut would: no checkpoint, every session gone."""
        self._run("pg_ctl", "stop", "--mode", "immediate")

    def _run(self, program: str, *options: str) -> None:
        become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        subprocess.run(
            [
                *(become if os.geteuid() == 0 else []),
                *(str(self.bin / program), "--pgdata", str(self.folder / "data"), *options),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = programs()
    if found is None:
        pytest.skip("needs PostgreSQL's initdb")
    # pytest's folders are closed to the user the server runs as
    folder = Path(tempfile.mkdtemp(prefix="faults-pg-"))
    made = Cluster(found, folder, free_port())
    try:
        made.create()
        yield made
    finally:
        with ExitStack() as last:
            last.callback(shutil.rmtree, folder, ignore_errors=True)
            made.crash()


@pytest.fixture
def fragile(
    cluster: Cluster,
    broker: Broker,
    tmp_path: Path,
    settings: Settings,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[World]:
    """A world on a database that may crash."""
    url = f"postgresql://root@127.0.0.1:{cluster.port}/postgres"
    there = {"HOST": "127.0.0.1", "PORT": str(cluster.port), "USER": "root", "PASSWORD": ""}
    with using_database("postgres", django_db_blocker, **there):
        call_command("migrate", verbosity=0)
        furnish()
        with a_world(url, broker, tmp_path, settings) as made:
            yield made


def test_a_database_that_crashes_during_the_call_loses_no_effect_and_repeats_none(
    fragile: World, cluster: Cluster
) -> None:
    worker = fragile.worker()
    flying, waiting = allowed_refund(), large_refund()
    mona = User.objects.get(username="mona")
    seen = look_at(waiting, mona)
    fragile.fault("apply_then_hang", path="/v1/refunds", seconds=1.5)
    fragile.ring(flying)
    until("the money moved", fragile.effects)

    cluster.crash()
    with pytest.raises(OperationalError):
        approve(waiting.pk, decider=mona, seen=seen, reason_code="as_proposed", comment="Fine.")
    connection.close()
    until("the worker noticed", lambda: "OperationalError" in worker.log)
    cluster.start()

    assert state_of(flying) == "executing"
    assert Decision.objects.count() == 0
    lease_runs_out(flying)
    fragile.sweep_until("audited", flying)
    one_effect(fragile, flying)
    assert attempts_of(flying) == ["lease_expired", "receipt"]

    decided(waiting, "mona")
    fragile.ring(waiting)
    until("the same worker goes on", lambda: state_of(waiting) == "audited")
    assert worker.is_running
    keys = {effect["idempotency_key"] for effect in fragile.effects()}
    assert keys == {*keys_of(flying), *keys_of(waiting)}
    assert ActionRequest.objects.count() == 2
    assert_trail_is_whole()
