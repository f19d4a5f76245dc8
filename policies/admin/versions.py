"""Policy versions: drafted by one person, published by another, read by everybody."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from audit.doors import ReasonForm, ServiceAdminWithDoors
from audit.filters import one_of
from policies.admin.access import configures, person_at
from policies.document import Document
from policies.exceptions import PolicyError
from policies.matrix import Cell
from policies.models import PolicyVersion
from policies.models.versions import VersionStatus
from policies.parser import parse_document
from policies.selftest import failed_tests
from policies.services import versions
from policies.services.evaluation import document_of
from policies.yaml_source import DocumentError, Problem


class DraftForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """A whole document, and why it is needed."""

    document = forms.CharField(
        strip=False,
        widget=UnfoldAdminTextareaWidget(
            {"rows": 40, "spellcheck": "false", "style": "font-family: ui-monospace, monospace"}
        ),
        help_text="YAML. It starts as the version in force; somebody else publishes the draft.",
    )
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text="What changes and why, for the person who publishes it and for the trail.",
    )

    class Meta:
        model = PolicyVersion
        fields = ("reason", "document")

    def clean_document(self) -> str:
        """Every problem at once, each with its line, its column and the line itself."""
        # Browsers send CRLF; the digest is over what the author wrote.
        text = str(self.cleaned_data["document"]).replace("\r\n", "\n")
        try:
            parse_document(text)
        except DocumentError as error:
            lines = text.splitlines()
            raise ValidationError([_shown(problem, lines) for problem in error.problems]) from error
        return text


def _shown(problem: Problem, lines: list[str]) -> str:
    place = f"Line {problem.line}, column {problem.column}"
    if problem.path:
        place += f" ({problem.path})"
    source = lines[problem.line - 1].strip() if problem.line <= len(lines) else ""
    quoted = f" Here: {source[:120]}" if source else ""
    return f"{place}: {problem.message}{quoted}"


@dataclass(frozen=True, slots=True)
class VersionPage:
    """What the page of one version shows beside its columns."""

    document: Document | None
    unreadable: str
    failures: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    tiers: tuple[tuple[Cell, str, str], ...]
    compared_with: str
    why_not_publish: str


@admin.register(PolicyVersion)
class PolicyVersionAdmin(ServiceAdminWithDoors):
    form = DraftForm
    refusals = (PolicyError,)
    doors = (("publish", ReasonForm),)
    list_display = (
        "label", "status_badge", "author_or_system", "publisher", "created_at", "published_at",
        "shown_reason",
    )  # fmt: skip
    list_select_related = ("author", "publisher")
    list_filter = (one_of("status", "status", lambda: list(VersionStatus.choices)),)
    list_filter_submit = True
    search_fields = ("label",)
    search_help_text = "A whole label, such as 2026-11-20.1."
    fields = ("reason", "document")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PolicyVersion]:
        rows: QuerySet[PolicyVersion] = super().get_queryset(request)
        return rows.select_related("author", "publisher")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[PolicyVersion], search_term: str
    ) -> tuple[QuerySet[PolicyVersion], bool]:
        term = search_term.strip()
        return (queryset.filter(label=term) if term else queryset), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and configures(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A draft is changed by drafting another; publishing is its own door."""
        return super().has_change_permission(request, obj) and configures(request)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Nothing from the address: a link must not fill in a policy."""
        current = PolicyVersion.objects.filter(status=VersionStatus.PUBLISHED).first()
        return {"document": current.document if current else ""}

    def call_service(
        self, request: HttpRequest, obj: Any, form: Any, *, change: bool
    ) -> PolicyVersion:
        values = form.cleaned_data
        return versions.draft_version(
            values["document"], author=person_at(request), reason=values["reason"]
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Read, not changed: whatever is posted here is not looked at."""
        version = self.get_object(request, object_id)
        if request.method not in {"GET", "HEAD"} or not self.has_view_permission(request, version):
            raise PermissionDenied
        return TemplateResponse(
            request,
            "admin/policies/version.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": version,
                "title": version.label,
                "subtitle": "Policy version",
                "page": self._page(request, version),
                "publish_address": f"{self.address_of(version).removesuffix('change/')}publish/",
            },
        )

    def publish(self, request: HttpRequest, version: PolicyVersion, form: forms.Form) -> str:
        versions.publish_version(
            version.pk, publisher=person_at(request), reason=form.cleaned_data["reason"]
        )
        return f"{version.label} is in force."

    def _page(self, request: HttpRequest, version: PolicyVersion) -> VersionPage:
        parsed = document_of(version)
        document = None if isinstance(parsed, str) else parsed
        failures = failed_tests(document) if document else ()
        before = _version_before(version)
        return VersionPage(
            document=document,
            unreadable=parsed if isinstance(parsed, str) else "",
            failures=failures,
            changes=_difference(before, version) if before else (),
            tiers=tuple(
                (cell, _span(cell.clocks.decide_by), _span(cell.clocks.execute_by))
                for cell in (document.matrix.tiers if document else ())
            ),
            compared_with=before.label if before else "",
            why_not_publish=self._why_not(request, version, failures),
        )

    def _why_not(
        self, request: HttpRequest, version: PolicyVersion, failures: tuple[str, ...]
    ) -> str:
        """Why this reader cannot publish it; empty when they can. The service asks again."""
        if version.status != VersionStatus.DRAFT:
            return f"It is {version.get_status_display()}."
        if not self.has_change_permission(request, version):
            return "An ops admin publishes it."
        if version.author is not None and version.author.person == person_at(request).person:
            return "You drafted this version; somebody else publishes it."
        return "Its own tests fail, so it cannot be published." if failures else ""

    @display(  # type: ignore[untyped-decorator]
        description="status", label={"draft": "warning", "published": "success", "retired": ""}
    )
    def status_badge(self, version: PolicyVersion) -> tuple[str, str]:
        return version.status, version.get_status_display()

    @display(description="author")  # type: ignore[untyped-decorator]
    def author_or_system(self, version: PolicyVersion) -> str:
        return version.author.get_username() if version.author else "installed with Countersign"

    @display(description="reason")  # type: ignore[untyped-decorator]
    def shown_reason(self, version: PolicyVersion) -> str:
        return version.reason


def _span(length: timedelta) -> str:
    """A length of time in the largest unit that has no rest: "8 hours"."""
    seconds = int(length.total_seconds())
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds % unit == 0:
            return f"{seconds // unit} {name}{'' if seconds == unit else 's'}"
    raise AssertionError("every whole second is a number of seconds")


def _version_before(version: PolicyVersion) -> PolicyVersion | None:
    """What was, or is, in force before it: what its reader compares it with."""
    if version.status == VersionStatus.DRAFT:
        return PolicyVersion.objects.filter(status=VersionStatus.PUBLISHED).first()
    return (
        PolicyVersion.objects.filter(published_at__lt=version.published_at)
        .order_by("-published_at")
        .first()
    )


def _difference(before: PolicyVersion, after: PolicyVersion) -> tuple[tuple[str, str], ...]:
    """Lines of a unified diff as (mark, text); the mark is one of "+", "-", "@" and " "."""
    lines = difflib.unified_diff(
        before.document.splitlines(), after.document.splitlines(), lineterm="", n=2
    )
    return tuple((line[:1], line) for line in lines if not line.startswith(("---", "+++")))
