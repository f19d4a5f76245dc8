"""A database older than what the outside remembers is noticed, and no other is."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from approvals.choices import PauseScope
from approvals.models import Pause
from approvals.selectors.restores import freeze_in_force
from approvals.services import restores
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from audit import outside
from connectors.sandbox.server import Sandbox
from tests.approvals.make import Cast, fresh, make_request
from tests.approvals.restoring import a_life_that_is_lost, end_freeze, frozen
from tests.approvals.story import codes


def test_a_database_older_than_what_the_outside_remembers_is_frozen_once_and_on_record(
    cast: Cast, sandbox: Sandbox
) -> None:
    with a_life_that_is_lost():
        make_request(cast.agent)

    sweep()
    sweep()

    (found,) = Pause.objects.filter(scope=PauseScope.RESTORED)
    assert "restored from a backup" in found.reason
    assert codes(found) == ["pause.begun"]
    end_freeze(cast.ada)
    sweep()
    assert freeze_in_force() is None  # it is the same restore, and people know of it


def test_a_worker_that_starts_notices_before_it_takes_a_message(
    cast: Cast, sandbox: Sandbox
) -> None:
    with a_life_that_is_lost():
        make_request(cast.agent)

    assert restores.notice() is not None
    assert restores.notice() is None


@pytest.mark.parametrize("stored", ["", "{", "[]", '{"x": 1}', '{"x": {"id": "a"}}', None])
def test_an_empty_or_unreadable_memory_freezes_nothing(
    cast: Cast, settings: Settings, stored: str | None
) -> None:
    if stored is not None:
        file = Path(settings.NEWEST_EVENT_FILE)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(stored)

    assert restores.notice() is None
    assert restores.notice() is None
    assert freeze_in_force() is None


def test_the_memory_of_another_database_freezes_nothing(cast: Cast, settings: Settings) -> None:
    file = Path(settings.NEWEST_EVENT_FILE)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"another first event": {"id": 4711, "mac": "of another database"}}')

    assert restores.notice() is None
    assert "another first event" in file.read_text()


def test_an_ordinary_day_freezes_nothing(cast: Cast, sandbox: Sandbox) -> None:
    for _ in range(3):
        execute(make_request(cast.agent).pk)
        sweep()

    assert not Pause.objects.exists()


def test_a_slower_worker_does_not_make_the_memory_forget(cast: Cast, sandbox: Sandbox) -> None:
    with a_life_that_is_lost():
        make_request(cast.agent)

    outside.remember_newest()  # by a worker that looked for the lost event before the restore

    assert outside.lost_event() is not None


def test_the_operator_s_word_is_enough(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent)

    call_command("restored", "--reason", "Last night's dump, the disk was gone.")
    sweep()

    assert frozen().reason.startswith("Last night's dump")
    assert fresh(request).state == "approved"
    assert sandbox.effects("all") == []
