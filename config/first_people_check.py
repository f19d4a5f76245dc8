"""An installation in which nobody can give roles is named by `manage.py check`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import OperationalError, connection

from policies.models import User
from policies.services.first_people import somebody_gives_roles


@register(Tags.security)
def check_somebody_gives_roles(**kwargs: Any) -> list[CheckMessage]:
    """W020 while there is no ops admin. A database that is not there yet has nobody to miss."""
    if settings.DEBUG or settings.DEMO:
        return []
    try:
        if User._meta.db_table not in connection.introspection.table_names():
            return []
        if somebody_gives_roles():
            return []
    except OperationalError:  # checks run where images are built, too; /readyz says it
        return []
    return [
        Warning(
            "Nobody can give roles: there is no ops admin.",
            hint="Create the first two: manage.py first_people NAME=mail NAME=mail.",
            id="countersign.W020",
        )
    ]
