"""`manage.py harden_database`: an owner role and an application role with exactly its rights."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction
from django.db.utils import Error

from audit.lib.db import is_postgres
from config.database_roles import APPLICATION, OWNER, as_owner, hardening


class Command(BaseCommand):
    requires_system_checks: list[str] = []  # they connect as the role that may not exist yet
    help = (
        "Print the SQL that takes the tables from the application's role: an owner that migrates, "
        "an application role with exactly the rights it needs. --execute runs it, connected with "
        "DATABASE_OWNER_URL (a superuser's the first time), else with DATABASE_URL."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--owner", default=OWNER, help=f"default: {OWNER}")
        parser.add_argument("--application", default=APPLICATION, help=f"default: {APPLICATION}")
        parser.add_argument("--execute", action="store_true", help="run it, in one transaction")

    def handle(
        self, *args: Any, owner: str, application: str, execute: bool, **options: Any
    ) -> None:
        if not is_postgres():
            raise CommandError(
                "SQLite has no roles: whoever may write the file may do anything. Use PostgreSQL."
            )
        if owner == application:
            raise CommandError("Owner and application are two roles: give two names.")
        elsewhere = settings.DATABASE_OWNER
        try:
            with as_owner(connection, elsewhere) if elsewhere else nullcontext():
                self._harden(owner, application, execute)
        except Error as error:
            raise CommandError(
                f"Not done: {error}. Set DATABASE_OWNER_URL to a superuser's address the first "
                "time, and to the owner's from then on."
            ) from error

    def _harden(self, owner: str, application: str, execute: bool) -> None:
        with transaction.atomic():
            for statement in hardening(connection, owner=owner, application=application):
                if execute:
                    with connection.cursor() as cursor:
                        cursor.execute(statement)
                else:
                    self.stdout.write(f"{statement};")
        if execute:
            self.stdout.write(
                f"Done. Give both roles a password (ALTER ROLE ... PASSWORD ...), then set "
                f"DATABASE_URL to {application} and DATABASE_OWNER_URL to {owner}."
            )
