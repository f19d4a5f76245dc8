"""The editor: a whole document, what is wrong with it and where, and what it may ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from policies.admin.access import person_at
from policies.admin.changes_shown import Changes, sorted_out
from policies.admin.findings import Group, findings_about
from policies.admin.vocabulary import vocabulary
from policies.checks.compare import compare
from policies.checks.selftest import failed_tests
from policies.exceptions import PolicyError
from policies.models import PolicyVersion
from policies.reading.parser import parse_document
from policies.reading.yaml_source import DocumentError, Problem
from policies.services import drafts, versions
from policies.services.checking import document_in_force
from policies.services.publishable import in_force

if TYPE_CHECKING:
    from policies.admin.versions import PolicyVersionAdmin

_WIDEST = 110
"""Characters of a line that are quoted beside its problem."""


class EditorForm(forms.Form):
    """A whole document, and why it is needed."""

    document = forms.CharField(strip=False)
    reason = forms.CharField(max_length=500)
    seen = forms.CharField(required=False, max_length=64)

    def clean_document(self) -> str:
        """Browsers send CRLF; the digest is over what the author wrote."""
        return str(self.cleaned_data["document"]).replace("\r\n", "\n")


class CheckForm(EditorForm):
    """The same to look at only: no reason is asked for what is not kept."""

    reason = forms.CharField(max_length=500, required=False)


@dataclass(frozen=True, slots=True)
class Spot:
    """One problem beside the line it is in."""

    problem: Problem
    source: str
    caret: str  # as many spaces as lead to the column, and a mark


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a text that can be a policy would change, and what speaks against it."""

    findings: tuple[Group, ...]
    failures: tuple[str, ...]
    tests: int
    changes: Changes


def edit(
    page: PolicyVersionAdmin, request: HttpRequest, version: PolicyVersion | None
) -> HttpResponse:
    """Show the editor, or keep what was typed: a new draft, or another text for this one."""
    if request.method != "POST":
        return _editor(page, request, version, text=_start(version), seen=_digest(version))
    only_look = "_check" in request.POST
    form = (CheckForm if only_look else EditorForm)(request.POST)
    typed = str(form.data.get("document", "")).replace("\r\n", "\n")
    shown: dict[str, Any] = {
        "text": typed,
        "reason": form.data.get("reason", ""),
        "seen": form.data.get("seen", ""),
    }
    if not form.is_valid():
        problems = [
            f"{name.capitalize()}: {' '.join(map(str, said))}" for name, said in form.errors.items()
        ]
        return _editor(page, request, version, refusals=problems, status=422, **shown)
    try:
        if only_look:
            verdict = _judge(typed)
            return _editor(page, request, version, verdict=verdict, **shown)
        saved = _save(request, version, form)
    except DocumentError as error:
        return _editor(page, request, version, spots=_spots(error, typed), status=422, **shown)
    except PolicyError as refusal:
        return _editor(page, request, version, refusals=[str(refusal)], status=422, **shown)
    messages.success(request, f"{saved.label} is saved as a draft.")
    return HttpResponseRedirect(page.address_of(saved))


def _save(request: HttpRequest, version: PolicyVersion | None, form: EditorForm) -> PolicyVersion:
    values, person = form.cleaned_data, person_at(request)
    if version is None:
        return versions.draft_version(values["document"], author=person, reason=values["reason"])
    return drafts.edit_draft(
        version.pk, values["document"], editor=person, reason=values["reason"], seen=values["seen"]
    )


def _editor(
    page: PolicyVersionAdmin,
    request: HttpRequest,
    version: PolicyVersion | None,
    *,
    text: str,
    seen: str,
    reason: str = "",
    spots: tuple[Spot, ...] = (),
    refusals: list[str] | None = None,
    verdict: Verdict | None = None,
    status: int = 200,
) -> HttpResponse:
    current = in_force()
    return TemplateResponse(
        request,
        "admin/policies/desk_editor.html",
        {
            **page.admin_site.each_context(request),
            "opts": page.opts,
            "title": f"Edit {version.label}" if version else "New draft",
            "subtitle": "Policy",
            "version": version,
            "back": page.address_of(version) if version else page.list_address(),
            "current": current,
            "text": text,
            "seen": seen,
            "reason": reason,
            "spots": spots,
            "refusals": refusals or [],
            "verdict": verdict,
            "vocabulary": vocabulary(document_in_force()),
        },
        status=status,
    )


def _start(version: PolicyVersion | None) -> str:
    """Nothing from the address: a link must not fill in a policy."""
    if version is not None:
        return version.document
    current = in_force()
    return current.document if current else ""


def _digest(version: PolicyVersion | None) -> str:
    return version.digest if version else ""


def _judge(text: str) -> Verdict:
    document, before = parse_document(text), document_in_force()
    return Verdict(
        findings=findings_about(document, before, text),
        failures=failed_tests(document),
        tests=len(document.tests),
        changes=sorted_out(compare(before, document) if before else ()),
    )


def _spots(error: DocumentError, text: str) -> tuple[Spot, ...]:
    lines = text.splitlines()
    return tuple(_spot(problem, lines) for problem in error.problems)


def _spot(problem: Problem, lines: list[str]) -> Spot:
    source = lines[problem.line - 1] if 0 < problem.line <= len(lines) else ""
    column = min(max(problem.column, 1), len(source) + 1)
    start = max(0, column - 1 - _WIDEST // 2) if len(source) > _WIDEST else 0
    cut = source[start : start + _WIDEST]
    lead = "…" if start else ""
    return Spot(problem, lead + cut, " " * (len(lead) + column - 1 - start) + "^")
