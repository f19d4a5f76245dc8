"""`python -m tests.agents.furnish NAME...`: a house where the settings point, with these agents.

Prints the key of each.
"""

from __future__ import annotations

import json
import os
import sys

import django


def main(names: list[str]) -> None:
    """Migrate, make people who decide refunds, and the agents."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    from django.core.management import call_command

    from tests.approvals.make import make_agent, make_house, make_key, make_limit, make_person

    call_command("migrate", interactive=False, verbosity=0)
    make_house()
    for name in ("fiona", "felix"):
        make_limit(make_person(name, "finance"), "500.00")
    owner = make_person("olga", "agent owner")
    keys = {name: make_key(make_agent(owner, name)) for name in names}
    sys.stdout.write(json.dumps(keys) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
