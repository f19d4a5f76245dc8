"""Django's `migrate`, connected as the tables' owner where there is one (DATABASE_OWNER_URL)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import ProgrammingError, connections
from psycopg.errors import InsufficientPrivilege

from config.database_roles import as_owner


class Command(migrate.Command):
    """Says what to do when the application's role, which may change no table, is to migrate."""

    def execute(self, *args: Any, **options: Any) -> None:
        """Checks of the database included: the application's role may not exist yet."""
        connection, owner = connections[options["database"]], settings.DATABASE_OWNER
        try:
            with as_owner(connection, owner) if owner else nullcontext():
                super().execute(*args, **options)
        except ProgrammingError as error:
            if not isinstance(error.__cause__, InsufficientPrivilege):
                raise
            raise CommandError(
                "Migrations wait, and this role may not change tables. Set DATABASE_OWNER_URL to "
                "the owner's address and run manage.py migrate, then manage.py harden_database "
                "--execute."
            ) from error
