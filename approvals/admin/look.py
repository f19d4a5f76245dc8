"""Where the pages' own style and script are, for the theme's settings."""

from __future__ import annotations

from django.http import HttpRequest
from django.templatetags.static import static


def stylesheet(request: HttpRequest) -> str:
    return static("approvals/countersign.css")


def favicon(request: HttpRequest) -> str:
    return static("approvals/favicon.svg")


def script(request: HttpRequest) -> str:
    return static("approvals/clock.js")
