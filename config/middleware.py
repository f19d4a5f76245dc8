"""What every request passes: its id, a content policy, a guard against NUL, and outages as 503."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import structlog
from django.http import HttpRequest, HttpResponseBase, UnreadablePostError
from django.middleware.gzip import GZipMiddleware
from django.utils import timezone
from uuid6 import uuid7

from audit.lib.one_look import one_look
from config import probes, problems

GetResponse = Callable[[HttpRequest], HttpResponseBase]

logger = structlog.get_logger("countersign.request")

_SANE_ID = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,99}\Z", re.ASCII)
PROBES: dict[str, GetResponse] = {"/healthz": probes.live, "/readyz": probes.ready}
_PAGES = ("/admin/", "/review/")
_QUIET_PATHS = ("/static/", "/healthz", "/readyz", "/metrics")
_CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        # the admin theme's Alpine evaluates attributes; rules say which pages to fetch ahead
        "script-src 'self' 'unsafe-eval' 'inline-speculation-rules'",
        "style-src 'self' 'unsafe-inline'",  # and writes its colours into a style element
        "img-src 'self' data:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "object-src 'none'",
    )
)


class RequestIdMiddleware:
    """Give every request an id, on every log line and in the answer.

    A caller's own `X-Request-Id` is kept when it is short and plain: anything else would let
    callers write into our logs.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        offered = request.headers.get("X-Request-Id", "")
        request_id = offered if _SANE_ID.match(offered) else uuid7().hex
        started = time.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self._get_response(request)
            if not request.path.startswith(_QUIET_PATHS):
                logger.info(
                    "request",
                    method=request.method,
                    path=request.path,  # never the query string: it may carry personal data
                    status=response.status_code,
                    milliseconds=round((time.monotonic() - started) * 1000),
                )
        response["X-Request-Id"] = request_id
        return response


class ContentSecurityPolicyMiddleware:
    """Nothing loads from elsewhere, nobody frames us, forms stay here."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        response.setdefault("Content-Security-Policy", _CONTENT_POLICY)
        return response


class CompressedPagesMiddleware(GZipMiddleware):
    """Pages for people are compressed, each to a length of its own.

    The random bytes Django adds keep the length from telling what is secret in a page (BREACH).
    Answers to agents are small, and written in less time than compressing them takes.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> Any:
        if not response.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)


class ProbeMiddleware:
    """Answer the probes whatever Host they are sent with, and without leading them to HTTPS.

    Load balancers and containers probe by address, over plain HTTP. Nothing else is answered so.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        probe = PROBES.get(request.path_info)
        return self._get_response(request) if probe is None else probe(request)


class NulByteMiddleware:
    """Refuse NUL in path, query, cookies and form values with 400.

    PostgreSQL cannot store it and the driver raises ValueError, which would be a 500; SQLite
    would keep it. Bodies of the API are read by its own strict parser.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        cookies = (*request.COOKIES, *request.COOKIES.values())
        if "\0" in request.path_info or _has_nul(_texts(request.GET)) or _has_nul(cookies):
            return problems.bad_request(request)
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Forms are looked at here, where the CSRF check has read them anyway."""
        if request.content_type not in _FORM_TYPES:
            return None
        try:
            unusable = _has_nul(_texts(request.POST)) or _has_nul(request.FILES)
        except UnreadablePostError:  # the client went away in the middle of its form
            unusable = True
        return problems.bad_request(request) if unusable else None


_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


def _texts(values: Any) -> Iterable[str]:
    for name, texts in values.lists():
        yield name
        yield from texts


def _has_nul(texts: Iterable[str]) -> bool:
    return any("\0" in text for text in texts)


class ApiSlashMiddleware:
    """What machines call works without its last slash, too: a redirect would lose the body."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_called = request.path_info.startswith(_CALLED) or request.path_info in _WITHOUT_SLASH
        if is_called and not request.path_info.endswith("/"):
            request.path_info += "/"
            request.path += "/"
        return self._get_response(request)


_CALLED = ("/api/v1/",)
_WITHOUT_SLASH = ("/api/v1", "/mcp")


class OneLookMiddleware:
    """A page of the admin that is opened looks everything up once; what is sent always anew."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method != "GET" or not request.path.startswith(_PAGES):
            return self._get_response(request)
        with one_look():
            return self._get_response(request)


ZONE_COOKIE = "countersign_zone"
"""The browser's time zone, as it names it itself (`clock.js`)."""


class ViewerZoneMiddleware:
    """Pages tell times in the zone of whoever reads them; the company's, where none is known."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        zone = request.COOKIES.get(ZONE_COOKIE, "")
        if not request.path.startswith(_PAGES) or zone not in _zones():
            return self._get_response(request)
        with timezone.override(ZoneInfo(zone)):
            return self._get_response(request)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


class DatabaseOutageMiddleware:
    """A database that does not answer, or keeps nothing, is 503 with Retry-After, never a 500.

    What fails outside a view (saving the session, say) ends in `problems.server_error`, which
    makes the same distinction.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        return problems.unavailable(request, exception) if problems.is_outage(exception) else None
