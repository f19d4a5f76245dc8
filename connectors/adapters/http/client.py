"""JSON over HTTP with a bearer token; every path is built here, from quoted values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

import httpx

from audit.canonical import JsonObject, canonical
from connectors import http
from connectors.base import ConnectorError

_PLACE = re.compile(r"\{([a-z_]+)\}", re.ASCII)


class HttpSystemClient:
    """Reads and writes of one system. One call, one deadline."""

    def __init__(self, system: str, base_url: str, token: str) -> None:
        self._system = system
        self._base_url = base_url.rstrip("/")
        self._token = token

    def read(self, template: str, values: JsonObject) -> JsonObject:
        """GET a record. Raises ConnectorError."""
        url = self._base_url + fill(template, values)
        with http.reading(self._system), self._open() as client:
            response = client.get(url)
            if response.status_code != 200:
                http.refuse_read(self._system, response.status_code, *self._problem(response))
            return http.json_object(response)

    def write(
        self, method: str, template: str, values: JsonObject, body: JsonObject, key: str
    ) -> JsonObject:
        """Make one change, once per key. Raises ConnectorError or OutcomeUnknown."""
        url = self._base_url + fill(template, values)
        with http.writing(self._system), self._open() as client:
            response = client.request(
                method,
                url,
                content=canonical(body).encode(),
                headers={"Content-Type": "application/json", "Idempotency-Key": key},
            )
            if not response.is_success:
                http.refuse_write(self._system, response.status_code, *self._problem(response))
            return http.json_object(response)

    def _open(self) -> httpx.Client:
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return http.open_client(headers=headers)

    def _problem(self, response: httpx.Response) -> tuple[str, str]:
        """What the system says is wrong, and its code: RFC 9457, or SCIM's error (RFC 7644)."""
        try:
            body = http.json_object(response)
        except http.UnreadableAnswer:
            body = {}
        code = body.get("code") or body.get("scimType") or ""
        detail = str(body.get("detail") or response.reason_phrase)
        return http.redact(detail, self._token), str(code)


def fill(template: str, values: Mapping[str, object]) -> str:
    """The path with each `{name}` replaced by its quoted value.

    Raises ConnectorError(permanent=True) for a value that is no plain path segment: "", "." and
    ".." survive quoting and would move to another path.
    """

    def segment(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if not isinstance(value, str) or value in {"", ".", ".."} or "\x00" in value:
            raise ConnectorError(
                f"{match[1]} cannot be part of an address.", permanent=True, code="bad_path"
            )
        return quote(value, safe="")

    return _PLACE.sub(segment, template)
