"""Do the configured systems answer at all? One bounded look at each, changing nothing."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
from django.conf import settings

from connectors import http
from connectors.adapters.email.client import SmtpClient
from connectors.adapters.records.client import RecordsClient
from connectors.base import ConnectorError
from connectors.configuration import is_configured


def silent_systems() -> list[str]:
    """The configured systems that do not answer now, by name. Takes one connector timeout."""
    systems = [name for name in sorted(settings.CONNECTORS) if is_configured(name)]
    if not systems:
        return []
    with ThreadPoolExecutor(len(systems), thread_name_prefix="reach") as pool:
        return [
            name for name, ok in zip(systems, pool.map(_answers, systems), strict=True) if not ok
        ]


def _answers(system: str) -> bool:
    values = settings.CONNECTORS[system]
    try:
        _LOOKS.get(system, _look_at_http)(values)
    except (ConnectorError, httpx.HTTPError, OSError, smtplib.SMTPException):
        return False
    return True


def _look_at_http(values: Mapping[str, str]) -> None:
    """Any answer below 500 is one: whether we may read is found out by reading."""
    with http.open_client() as client:
        response = client.get(values["base_url"])
    if response.status_code >= 500:
        raise httpx.HTTPError(f"answered {response.status_code}")


def _look_at_mail(values: Mapping[str, str]) -> None:
    SmtpClient(values["url"], values["sender"]).greet()
    _look_at_http({"base_url": values["archive_url"]})


def _look_at_records(values: Mapping[str, str]) -> None:
    RecordsClient(values["url"]).ping()


_LOOKS: Mapping[str, Callable[[Mapping[str, str]], None]] = {
    "email": _look_at_mail,
    "records": _look_at_records,
}
