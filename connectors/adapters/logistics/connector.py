"""Shipments and warehouse robots."""

from __future__ import annotations

from connectors.adapters.http.connector import HttpConnector
from connectors.adapters.logistics.client import SYSTEM


class LogisticsConnector(HttpConnector):
    """The logistics system as `client.SYSTEM` describes it."""

    def __init__(self, base_url: str, token: str) -> None:
        super().__init__(SYSTEM, base_url, token)
