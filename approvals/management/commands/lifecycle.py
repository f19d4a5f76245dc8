"""`manage.py lifecycle`: the state machine as a picture; `--write` puts it into README.md."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from approvals.lifecycle import mermaid, with_picture


class Command(BaseCommand):
    help = "Draw the lifecycle as a Mermaid diagram; --write updates README.md."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true", help="put it into README.md")

    def handle(self, *args: Any, write: bool, **options: Any) -> None:
        if not write:
            self.stdout.write(mermaid())
            return
        readme = settings.BASE_DIR / "README.md"
        readme.write_text(with_picture(readme.read_text()))
        self.stdout.write(f"Wrote {readme.name}.")
