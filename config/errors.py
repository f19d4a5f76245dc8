"""What people and agents are told when no view could answer: plain pages and problem+json.

Nothing here touches the database or the session: it may be what just failed.
"""

from __future__ import annotations

import sys

import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from audit.unwritable import refuses_writes
from config.problems import problem_response

logger = structlog.get_logger("countersign.errors")

_RETRY_AFTER_SECONDS = "5"
_API_PATHS = ("/api/", "/mcp/")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: the request itself is malformed."""
    return _answer(
        request, 400, "malformed_request", "This request cannot be read", "Check what was sent."
    )


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: signed in, and not allowed here."""
    return _answer(
        request,
        403,
        "not_allowed",
        "This page is not for you",
        "Your account has no access here. An ops admin can say which role has.",
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: no such page, or not yours to see."""
    return _answer(
        request,
        404,
        "not_found",
        "Nothing here",
        "There is no such page or record, or it belongs to another team.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """500; 503 when it was the database, wherever in the request it failed."""
    error = sys.exc_info()[1]
    if isinstance(error, Exception) and is_outage(error):
        return unavailable(request, error)
    return _answer(
        request,
        500,
        "internal_error",
        "Something went wrong on our side",
        "Nothing was half done: a change either happened whole or not at all. "
        "It has been logged under this request's id.",
    )


def is_outage(error: Exception) -> bool:
    """Whether it was the database: no answer, or one that refuses to keep anything."""
    return isinstance(error, (OperationalError, InterfaceError)) or refuses_writes(error)


def unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
    """503 with Retry-After: no answer, or nothing can be kept; trying again is safe."""
    if refuses_writes(error):
        logger.critical("nothing can be recorded", error=type(error).__name__, reason=str(error))
        title = "Nothing can be recorded now"
        detail = (
            "What cannot be recorded is not done: nothing was changed. Try again later; "
            "whoever runs this installation must look at its database."
        )
    else:
        logger.error("database unavailable", error=type(error).__name__, reason=str(error))
        title = "The database does not answer"
        detail = "Nothing was changed. Try again in a few seconds."
    response = _answer(request, 503, "unavailable", title, detail)
    response["Retry-After"] = _RETRY_AFTER_SECONDS
    return response


def _answer(request: HttpRequest, status: int, code: str, title: str, detail: str) -> HttpResponse:
    if request.path.startswith(_API_PATHS):
        return problem_response(status=status, code=code, detail=detail, title=title)
    page = render_to_string("error.html", {"status": status, "title": title, "detail": detail})
    return HttpResponse(page, status=status)
