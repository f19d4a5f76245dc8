"""What services and Django REST framework refuse, as problem details."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from rest_framework import exceptions as drf
from rest_framework.views import set_rollback

from approvals.exceptions import ApprovalError, FieldProblem, InvalidProposal, StillRunning
from config.problems import problem_response

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
        if isinstance(exception, StillRunning):
            headers["Retry-After"] = str(exception.retry_after)
        return problem_response(
            status=exception.status,
            code=exception.code,
            detail=exception.message,
            errors=problems,
            headers=headers,
        )
    if isinstance(exception, Http404):
        exception = drf.NotFound()
    elif isinstance(exception, PermissionDenied):
        exception = drf.PermissionDenied()
    if not isinstance(exception, drf.APIException):
        return None
    set_rollback()
    return _from_framework(exception)


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
            errors=tuple(_field_problems(exception.detail)),
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


def _field_problems(detail: Any, path: str = "") -> list[FieldProblem]:
    if isinstance(detail, dict):
        return [
            problem
            for name, inner in detail.items()
            for problem in _field_problems(
                inner, path if name == "non_field_errors" else f"{path}.{name}".lstrip(".")
            )
        ]
    if isinstance(detail, (list, tuple)):
        return [
            problem
            for index, inner in enumerate(detail)
            for problem in _field_problems(
                inner, f"{path}.{index}" if isinstance(inner, dict) else path
            )
        ]
    return [FieldProblem(field=path, message=str(detail))]
