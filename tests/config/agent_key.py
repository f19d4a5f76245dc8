"""`python -m tests.config.agent_key`: makes an agent where the settings point, prints its key."""

from __future__ import annotations

import os
import sys

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    from tests.approvals.make import make_agent, make_key, make_person

    sys.stdout.write(make_key(make_agent(make_person("olga", "agent owner"))) + "\n")


if __name__ == "__main__":
    main()
