"""Commands of dependencies that would change protected rows without an event: refused by name.

Django runs the command of the first installed app that has one of that name, and `config` is the
first: a module here of the same name stands in front of theirs, from the shell and from
`call_command`. A test knows every command there is and fails when a dependency brings a new one.
"""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class RefusedCommand(BaseCommand):
    """Says what to do instead, whatever arguments it is given."""

    instead: str
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Raise CommandError; from the shell: one sentence and exit code 2."""
        parser = super().create_parser(
            prog_name, subcommand, **{**kwargs, "usage": argparse.SUPPRESS}
        )
        return parser.error(f"Countersign refuses {subcommand}. {self.instead}")

    def print_help(self, prog_name: str, subcommand: str) -> None:
        """The same sentence, for whoever asks first."""
        self.stdout.write(f"Countersign refuses {subcommand}. {self.instead}")
