"""`manage.py load_demo`: the demo's people, agents and keys; writes var/demo.json."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from approvals.demo.load import demo_file, load_demo, walkthrough


class Command(BaseCommand):
    help = "Create the demo world and write var/demo.json. Only with DEMO=1."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("The demo world has well-known passwords: set DEMO=1 to load it.")
        connectors = settings.CONNECTORS
        sandbox = {
            "payments": connectors["payments"]["base_url"],
            "email": connectors["email"]["archive_url"],
            "smtp": connectors["email"]["url"],
            "records": connectors["records"]["url"],
            "directory": connectors["directory"]["base_url"],
            "changes": connectors["changes"]["base_url"],
            "logistics": connectors["logistics"]["base_url"],
        }
        summary = load_demo(demo_file(), base_url=settings.BASE_URL, sandbox=sandbox)
        self.stdout.write(walkthrough(summary))
