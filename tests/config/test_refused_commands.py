"""Commands of dependencies that change protected rows are refused, with what to do instead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import (
    CommandError,
    ManagementUtility,
    call_command,
    get_commands,
)

from audit.models import AuditEvent
from config.refused_commands import RefusedCommand
from policies.models import User
from tests.audit.make import make_chain
from tests.policies.make import make_user

ROOT = Path(__file__).resolve().parents[2]
OURS = {"config", "approvals", "policies", "connectors", "audit"}

# They read, print, write files of a developer's checkout, or change what is no record.
HARMLESS = {
    "check", "clearsessions", "collectstatic", "compilemessages", "createcachetable", "dbshell",
    "diffsettings", "dumpdata", "findstatic", "generateschema", "inspectdb", "makemessages",
    "makemigrations", "optimizemigration", "runserver", "sendtestemail", "shell",
    "showmigrations", "spectacular", "sqlflush", "sqlmigrate", "sqlsequencereset",
    "squashmigrations", "startapp", "startproject", "test", "testserver",
}  # fmt: skip
REFUSED: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "changepassword": (("alice",), {}),
    "clean_duplicate_history": ((), {"auto": True}),
    "clean_old_history": ((), {"auto": True, "days": 0}),
    "createsuperuser": ((), {"username": "villain", "email": "", "interactive": False}),
    "flush": ((), {"interactive": False}),
    "loaddata": (("rows.json",), {}),
    "populate_history": ((), {"auto": True}),
    "remove_stale_contenttypes": ((), {"interactive": False}),
}


def test_every_command_of_a_dependency_is_known_to_be_harmless_or_refused() -> None:
    commands = get_commands()
    refused = {name for name, app in commands.items() if isinstance(app, RefusedCommand)}
    theirs = {name for name in commands if name not in refused and commands[name] not in OURS}

    assert refused == set(REFUSED)
    assert theirs == HARMLESS, "decide: HARMLESS, or refuse it as config/refused_commands.py says"


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_it_is_refused_and_changes_nothing(name: str) -> None:
    user = make_user("alice")
    make_chain("roles")
    before = list(User.objects.values()), User.history.count(), AuditEvent.objects.count()
    positional, options = REFUSED[name]

    with pytest.raises(CommandError, match=rf"Countersign refuses {name}\. .+\.$"):
        call_command(name, *positional, **options)

    assert (list(User.objects.values()), User.history.count(), AuditEvent.objects.count()) == before
    assert user.history.count() > 0


def test_help_lists_them_apart() -> None:
    text = ManagementUtility(["manage.py", "help"]).main_help_text()

    listed = text.partition("[refused]")[2].partition("[")[0].split()
    assert sorted(line for line in listed if line in REFUSED) == sorted(REFUSED)


@pytest.mark.slow
def test_from_the_shell_it_is_one_sentence_and_an_exit_code(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "manage.py", "clean_old_history", "--auto", "--days", "0"],
        cwd=ROOT,
        env={"DEBUG": "1", "COUNTERSIGN_VAR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.returncode == 2
    assert "Countersign refuses clean_old_history. History is never deleted." in process.stderr
    assert "Traceback" not in process.stderr
