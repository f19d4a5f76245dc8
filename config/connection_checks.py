"""What is set for the outside systems and cannot work: refused at start, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.checks import CheckMessage, Error

from connectors.configuration import unusable_values

_OTHER_NAMES = {
    ("email", "url"): "SMTP_URL",
    ("email", "sender"): "SMTP_SENDER",
    ("email", "archive_url"): "MAIL_ARCHIVE_URL",
}


def unusable_connections() -> Iterator[CheckMessage]:
    """One error per value. It is not repeated: addresses may hold passwords."""
    for found in unusable_values(settings.CONNECTORS):
        variable = variable_of(found.system, found.name)
        yield Error(
            f"{variable} {found.reason}.",
            hint=f"Correct it, or leave out everything of the system {found.system}: then it is "
            "off and offers no action types.",
            id="countersign.E016",
        )


def variable_of(system: str, name: str) -> str:
    """The environment variable that holds this value of `settings.CONNECTORS`."""
    usual = f"{system.upper()}_{'URL' if name in {'url', 'base_url'} else name.upper()}"
    return _OTHER_NAMES.get((system, name), usual)
