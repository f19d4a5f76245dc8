"""Drafts the action types of another MCP server's tools, for people to read and publish."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.lib import db_clock
from connectors.adapters.mcp.drafts import draft_from
from connectors.base import ConnectorError
from connectors.connections import why_refused
from connectors.declared.reading import PARAM_NAME


class Command(BaseCommand):
    """Reads `tools/list` and writes a file; calls no tool, and offers nobody anything."""

    help = "Draft a system's file from the tools of an MCP server."
    requires_system_checks = ()  # the file it replaces may be what they refuse

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what the system is to be called here, such as crm")
        parser.add_argument("url", help="the server's endpoint, such as https://crm.example/mcp")
        parser.add_argument("--to", default=".", help="the folder the draft is written to")

    def handle(self, *args: Any, name: str, url: str, to: str, **options: Any) -> None:
        if not PARAM_NAME.match(name) or len(name) > 30:
            raise CommandError("A system's name is a lower-case word of at most 30 letters.")
        token = os.environ.get(f"{name.upper()}_TOKEN", "").strip()
        if problem := why_refused(name, "base_url", url, has_credential=bool(token)):
            raise CommandError(f"{url}: {problem}")
        path = Path(to) / f"{name}.yaml"
        self._demand_place(path)
        try:
            drafted = draft_from(name, url, token, today=timezone.localdate(db_clock.now()))
        except ConnectorError as error:
            raise CommandError(str(error)) from error
        for reason in drafted.refused:
            self.stderr.write(f"Not drafted: {reason}")
        if not drafted.keys:
            raise CommandError(f"{name} has no tool that could become an action type.")
        path.write_text(drafted.text, encoding="utf-8")
        for key in drafted.keys:
            self.stdout.write(f"  {key}")
        self.stdout.write(
            f"{path}: {len(drafted.keys)} drafts. Read it, delete `draft`, check it with "
            f"`manage.py check_system {path}` and put it into a folder of SYSTEMS_PATH; then set "
            f"{name.upper()}_URL{f' and {name.upper()}_TOKEN' if token else ''}."
        )

    def _demand_place(self, path: Path) -> None:
        if path.resolve().parent in {Path(folder).resolve() for folder in settings.SYSTEMS_PATH}:
            raise CommandError(
                f"{path.parent} is a folder of SYSTEMS_PATH: keep drafts elsewhere until somebody "
                "has read them."
            )
        if path.exists():
            raise CommandError(f"{path} is there already; compare with it: --to another folder.")
        if not path.parent.is_dir():
            raise CommandError(f"{path.parent} is no folder.")
