"""Access rights over SCIM."""

from __future__ import annotations

from connectors.adapters.directory.client import SYSTEM
from connectors.adapters.http.connector import HttpConnector


class DirectoryConnector(HttpConnector):
    """The directory system as `client.SYSTEM` describes it."""

    def __init__(self, base_url: str, token: str) -> None:
        super().__init__(SYSTEM, base_url, token)
