"""`manage.py sync_roles`: makes groups and permissions match the code."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.actors import Actor
from policies.exceptions import PolicyError
from policies.services.roles import sync_roles


class Command(BaseCommand):
    help = "Make groups and permissions match policies/roles.py."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            changes = sync_roles(actor=Actor.system("sync_roles"))
        except PolicyError as error:
            raise CommandError(error.message) from error
        for change in changes:
            self.stdout.write(change)
        self.stdout.write(f"{len(changes)} changes." if changes else "Roles are up to date.")
