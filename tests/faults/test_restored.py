"""A real dump, work done after it, the dump put back: nothing happens twice, nothing is lost."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from psycopg import sql

from approvals.models import ActionRequest, Pause
from approvals.services.sweep import sweep
from tests import programs
from tests.approvals.make import PASSWORD, make_person
from tests.database import maintenance
from tests.faults.make import allowed_refund, approved_mail, decided, large_refund
from tests.faults.processes import until
from tests.faults.world import World, assert_trail_is_whole, postgres_url, state_of

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow]


class Work:
    """Requests that are approved in the backup: `done` after it was made, `left` not."""

    def __init__(self) -> None:
        make_person("ada", "ops admin")
        self.done = [
            allowed_refund("ch_1002"),
            decided(large_refund(), "mona"),
            approved_mail("customer1002@mail.example"),
        ]
        self.left = [allowed_refund("ch_1003"), approved_mail("customer1003@mail.example")]

    @property
    def all(self) -> list[ActionRequest]:
        return [*self.done, *self.left]


def dump(world: World, database: str) -> Path:
    file, url = world.folder / "backup.dump", postgres_url(database, connection.settings_dict)
    connection.close()
    subprocess.run([_program("pg_dump"), "-Fc", "-f", str(file), url], check=True)
    return file


def put_back(file: Path, database: str) -> None:
    """As an administrator does; owner and rights come back with the tables."""
    connection.close()
    with maintenance() as admin:
        name = sql.Identifier(database)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
    url = postgres_url(database, connection.settings_dict)
    subprocess.run([_program("pg_restore"), "-d", url, str(file)], check=True)


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(programs.postgres_folder()))
    if found is None:
        pytest.skip(f"needs the {name} program")
    return found


def carried_out_after_the_backup(world: World, work: Work) -> None:
    """Real workers do it; another one starts afterwards, and remembers how far the trail was."""
    worker = world.worker()
    world.enqueue(*work.done)
    until("it is done", lambda: {state_of(request) for request in work.done} == {"audited"})
    worker.kill()
    world.worker().kill()
    assert len(world.effects("all")) == 3


def keys(world: World) -> list[str]:
    """One for each effect there really was."""
    return sorted(effect["idempotency_key"] for effect in world.effects("all"))


def reconciled_on_the_page() -> None:
    """What an ops admin does: read the page, say what was compared, resume."""
    freeze = Pause.objects.get(scope="restored", lifted_at=None)
    client = Client(headers={"Host": "localhost"})
    assert client.login(username="ada", password=PASSWORD)
    page = client.get(reverse("admin:approvals_pause_change", args=[freeze.pk])).content.decode()
    assert page.count("<strong>done already</strong>") == 3
    assert "Resume execution" in page
    client.post(
        reverse("admin:approvals_pause_lift", args=[freeze.pk]),
        {"reason": "Compared with the bank's list and the mail archive."},
    )
    freeze.refresh_from_db()
    assert freeze.lifted_by == "ada"


@pytest.mark.parametrize("noticed", ["by what the outside remembers", "by the operator's word"])
def test_a_restored_backup_does_nothing_twice_and_what_was_left_once(
    world: World, database: str, noticed: str
) -> None:
    work = Work()
    backup = dump(world, database)
    carried_out_after_the_backup(world, work)
    before = keys(world)

    put_back(backup, database)
    if noticed == "by the operator's word":
        (world.folder / "var" / "newest-event.json").unlink()
        said = world.run("manage.py", "restored", name="restored")
        assert said.ends() == 0, said.log
        assert "everything after a restore" in said.log
    world.enqueue(*work.all)  # messages that waited in the broker all the while
    worker = world.worker()
    world.rests()
    still = {state_of(request) for request in work.all}
    world.enqueue_task("approvals.sweep")
    until("it was looked up", lambda: {state_of(r) for r in work.done} == {"audited"})

    assert still == {"approved"}
    assert {state_of(request) for request in work.left} == {"approved"}
    assert keys(world) == before
    reconciled_on_the_page()
    world.sweep_until("pending_approval", *work.left)
    for request in work.left:
        decided(request, "mona" if request.action_type == "refund.issue" else "sam")
    world.enqueue(*work.left, *work.done)
    until("the rest is done", lambda: {state_of(r) for r in work.all} == {"audited"})
    sweep()
    world.rests()
    assert len(world.effects("all")) == 5
    assert len(set(keys(world))) == 5
    assert worker.is_running
    assert_trail_is_whole()


def test_a_restore_nobody_notices_does_nothing_twice_either(world: World, database: str) -> None:
    work = Work()
    backup = dump(world, database)
    carried_out_after_the_backup(world, work)

    put_back(backup, database)
    (world.folder / "var" / "newest-event.json").unlink()
    world.worker()
    world.enqueue(*work.all)
    large = work.done[1]
    # its charge is not what the manager saw any more, because it is refunded
    until("it is back with people", lambda: state_of(large) == "pending_approval")
    world.enqueue(decided(large, "mona"))
    until("all is done", lambda: {state_of(r) for r in work.all} == {"audited"})

    assert len(world.effects("all")) == 5
    assert len(set(keys(world))) == 5
    assert_trail_is_whole()
