"""Commands of dependencies that would change protected rows without an event: refused by name.

They are replaced in Django's own list of commands, for the shell and for `call_command`. A test
knows every command there is and fails when a dependency brings a new one.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from django.core.management import get_commands
from django.core.management.base import BaseCommand, CommandParser

INSTEAD: Mapping[str, str] = {
    "changepassword": (
        "Nobody sets somebody else's password. Two ops admins agree on the People page that the "
        "person is mailed a link with which they choose one."
    ),
    "clean_duplicate_history": (
        "History is never deleted, not even rows that look alike: each says who saved and when."
    ),
    "clean_old_history": (
        "History is never deleted. When the disk fills up, enlarge it; a copy of the database can "
        "be archived whole."
    ),
    "createsuperuser": (
        "A superuser has no role and decides nothing. The first ops admins come from manage.py "
        "first_people, everybody else from the People page."
    ),
    "flush": (
        "Records and the trail are never emptied. To start afresh, create a new database and set "
        "DATABASE_URL to it."
    ),
    "loaddata": (
        "Rows are written by services, with their events. To move an installation, restore a "
        "backup of its whole database."
    ),
    "populate_history": "History is written by the service that changes a row, at no other time.",
    "remove_stale_contenttypes": (
        "Roles and their permissions are kept by manage.py sync_roles, on record."
    ),
}
"""What to do instead of each."""


def refuse() -> None:
    """Put the refusals in place of the commands; called once the apps are ready."""
    commands: dict[str, Any] = get_commands()  # Django takes a command itself as well as its app
    commands.update({name: RefusedCommand(name) for name in INSTEAD})


class RefusedCommand(BaseCommand):
    """Says what to do instead, whatever arguments it is given."""

    help = "Refused by Countersign."
    requires_system_checks = []

    def __init__(self, name: str) -> None:
        super().__init__()
        self._refusal = f"Countersign refuses {name}. {INSTEAD[name]}"

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Raise CommandError; from the shell: one sentence and exit code 2."""
        parser = super().create_parser(
            prog_name, subcommand, **{**kwargs, "usage": argparse.SUPPRESS}
        )
        return parser.error(self._refusal)

    def rpartition(self, separator: str) -> tuple[str, str, str]:
        """Where `manage.py help` lists it: Django asks every entry for the last part of a name."""
        return "", separator, "refused"

    def print_help(self, prog_name: str, subcommand: str) -> None:
        """The same sentence, for whoever asks first."""
        self.stdout.write(self._refusal)
