"""What is told when something is refused or fails: plain pages, and problem details (RFC 9457).

Problem details have one shape everywhere, with a stable `code` for machines. The answers for what
no view could answer touch neither the database nor the session: it may be what just failed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from rest_framework import exceptions as drf
from rest_framework.views import set_rollback

from approvals.api.field_problems import field_problems
from approvals.exceptions import (
    AccessRequestRefused,
    ApprovalError,
    FieldProblem,
    InvalidProposal,
    IssuerUnavailable,
    Paused,
    StillRunning,
)
from audit.lib import db
from audit.services import TrailUnwritable

_MEDIA_TYPE = "application/problem+json"


def problem_response(
    *,
    status: int,
    code: str,
    detail: str,
    title: str = "",
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> HttpResponse:
    """One problem document; `more` are members of its own kind of problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **(more or {}),
    }
    if errors:
        body["errors"] = [{"field": e.field, "message": e.message} for e in errors]
    return HttpResponse(
        json.dumps(body), status=status, content_type=_MEDIA_TYPE, headers=dict(headers or {})
    )


logger = structlog.get_logger("countersign.errors")

_RETRY_AFTER_SECONDS = "5"
_API_PATHS = ("/api/", "/mcp/", "/.well-known/", "/access/")


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
    return isinstance(error, (OperationalError, InterfaceError)) or _refuses_writes(error)


def _refuses_writes(error: Exception) -> bool:
    return isinstance(error, TrailUnwritable) or db.refuses_writes(error)


def unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
    """503 with Retry-After: no answer, or nothing can be kept; trying again is safe."""
    if _refuses_writes(error):
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


_CODES: tuple[tuple[type[drf.APIException], str], ...] = (
    (drf.ParseError, "malformed_json"),
    (drf.ValidationError, "invalid_request"),
    (drf.NotAuthenticated, "not_authenticated"),
    (drf.AuthenticationFailed, "not_authenticated"),
    (drf.PermissionDenied, "not_allowed"),
    (drf.NotFound, "not_found"),
    (drf.MethodNotAllowed, "method_not_allowed"),
    (drf.NotAcceptable, "not_acceptable"),
    (drf.UnsupportedMediaType, "unsupported_media_type"),
    (drf.Throttled, "throttled"),
)


def problem_handler(exception: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Django REST framework's exception handler; None lets an unknown error be a logged 500."""
    if isinstance(exception, ApprovalError):
        set_rollback()
        problems = exception.problems if isinstance(exception, InvalidProposal) else ()
        headers = {}
        if isinstance(exception, (StillRunning, IssuerUnavailable)):
            headers["Retry-After"] = str(exception.retry_after)
        return problem_response(
            status=exception.status,
            code=exception.code,
            detail=exception.message,
            errors=problems,
            headers=headers,
            more=_more(exception),
        )
    if isinstance(exception, Http404):
        exception = drf.NotFound()
    elif isinstance(exception, PermissionDenied):
        exception = drf.PermissionDenied()
    if not isinstance(exception, drf.APIException):
        return None
    set_rollback()
    return _from_framework(exception)


def _more(error: ApprovalError) -> dict[str, str]:
    if isinstance(error, AccessRequestRefused):
        return {"type": f"urn:openid:authzen:access-request:error:{error.code}"}
    if isinstance(error, Paused) and error.resumed_by:
        return {"resumed_by": error.resumed_by}
    return {}


def _from_framework(exception: drf.APIException) -> HttpResponse:
    headers: dict[str, str] = {}
    challenge = getattr(exception, "auth_header", "")
    if challenge:
        headers["WWW-Authenticate"] = challenge
    wait = getattr(exception, "wait", None)
    if wait:
        headers["Retry-After"] = str(int(-(-wait // 1)))
    code = next((code for kind, code in _CODES if isinstance(exception, kind)), None)
    if isinstance(exception, drf.ValidationError):
        return problem_response(
            status=exception.status_code,
            code=code or "invalid_request",
            detail="Some fields must be corrected.",
            errors=tuple(field_problems(exception.detail)),
            headers=headers,
        )
    return problem_response(
        status=exception.status_code,
        code=_own_code(exception) or code or exception.default_code,
        detail=str(exception.detail),
        headers=headers,
    )


def _own_code(exception: drf.APIException) -> str:
    """The code a view gave on purpose, rather than the framework's default for the class."""
    given = exception.get_codes()
    return given if isinstance(given, str) and given != exception.default_code else ""
