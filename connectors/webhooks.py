"""Sending a webhook to a host of WEBHOOK_HOSTS, where its name leads now."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from django.conf import settings

from connectors import outbound
from connectors.outbound import Destinations

SECONDS = 15.0
"""How long one webhook may take in total, once its name is resolved."""

_LONGEST_PAUSE = 24 * 3600


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said; `retry_after` in seconds, 0 where it does not ask for any."""

    status: int
    retry_after: int


def check_address(url: str) -> None:
    """Refuse what no webhook may be sent to. Raises AddressRefused."""
    outbound.check_address(url, _destinations())


def send(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """POST the body there once. No transaction is open. Raises AddressRefused, NotSent."""
    answer = outbound.call(
        "POST", url, _destinations(), seconds=SECONDS, headers=headers, content=body
    )
    return Answer(answer.status_code, _retry_after(answer))


def _destinations() -> Destinations:
    return Destinations("WEBHOOK_HOSTS", settings.WEBHOOK_HOSTS, settings.WEBHOOK_NETWORKS)


def _retry_after(answer: httpx.Response) -> int:
    text = answer.headers.get("Retry-After", "")
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0
    return min(seconds, _LONGEST_PAUSE)
