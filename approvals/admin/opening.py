"""Opening an address never decides anything: pages fetched ahead of time, and forms' addresses."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def is_ahead_of_time(request: HttpRequest) -> bool:
    """Whether a browser prefetches the page; nobody looks at it yet, and perhaps nobody will."""
    return request.headers.get("Sec-Purpose", "").startswith("prefetch")


def not_by_opening(request: HttpRequest, review_url: str) -> HttpResponse:
    """A page that says so, with the way to the forms."""
    page = {
        "status": 405,
        "title": "Nothing is decided by opening an address",
        "detail": "Decisions are sent from the forms on the request's page.",
        "link": review_url,
        "link_text": "Open the request",
    }
    response = render(request, "error.html", page, status=405)
    response["Allow"] = "POST"
    return response
