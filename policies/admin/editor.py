"""The editor: a whole document, what is wrong with it and where, and what it may ask.

What rules may ask and say is read from what the engine itself uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from audit.lib.admin import ObjectActionsAdmin
from audit.lib.yaml_source import Problem
from policies.admin.access import person_at
from policies.admin.findings import Changes, Group, findings_about, sorted_out
from policies.admin.parameter_form import parameter_fields, parameters_in_words, with_typed
from policies.document import Document
from policies.evaluate import FLOOR
from policies.exceptions import PolicyError
from policies.facts import CASE, Declaration, Facts, declared
from policies.matrix import OperatingModel, Pattern
from policies.models import PolicyVersion
from policies.models.replays import Direction
from policies.models.versions import VersionKind
from policies.parsing.parser import parse_document
from policies.parsing.yaml_source import DocumentError
from policies.roles import ROLES
from policies.services import drafts, versions
from policies.services.publishable import document_in_force, in_force, known_schemas
from policies.static_analysis.case import Schema
from policies.static_analysis.compare import compare
from policies.static_analysis.lint import failed_tests
from policies.static_analysis.wording import shown
from policies.verdicts import Verdict

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
class TextCheck:
    """What a text that can be a policy would change, and what speaks against it."""

    findings: tuple[Group, ...]
    failures: tuple[str, ...]
    tests: int
    changes: Changes


def edit(
    page: ObjectActionsAdmin,
    request: HttpRequest,
    version: PolicyVersion | None,
    *,
    floor: bool = False,
) -> HttpResponse:
    """Show the editor, or keep what was typed: a new draft, or another text for this one.

    A new draft starts from the policy in force, or from the floor.
    """
    if request.method != "POST":
        kind = VersionKind.FLOOR if floor else VersionKind.ORDINARY
        text = _start(version, kind)
        return _editor(page, request, version, text=text, seen=_digest(version), kind=kind)
    only_look = "_check" in request.POST
    form = (CheckForm if only_look else EditorForm)(request.POST)
    typed = str(form.data.get("document", "")).replace("\r\n", "\n")
    refused = ""
    try:
        typed = with_typed(typed, request.POST.dict())
    except PolicyError as refusal:
        refused = str(refusal)
    shown: dict[str, Any] = {
        "text": typed,
        "reason": form.data.get("reason", ""),
        "seen": form.data.get("seen", ""),
    }
    if refused or not form.is_valid():
        problems = [refused] if refused else []
        problems += [
            f"{name.capitalize()}: {' '.join(map(str, said))}" for name, said in form.errors.items()
        ]
        return _editor(page, request, version, refusals=problems, status=422, **shown)
    try:
        if only_look:
            verdict = _checked_text(typed)
            return _editor(page, request, version, verdict=verdict, **shown)
        saved = _save(request, version, form, typed)
    except DocumentError as error:
        return _editor(page, request, version, spots=_spots(error, typed), status=422, **shown)
    except PolicyError as refusal:
        return _editor(page, request, version, refusals=[str(refusal)], status=422, **shown)
    messages.success(request, f"{saved.label} is saved as a draft.")
    return HttpResponseRedirect(page.address_of(saved))


def _save(
    request: HttpRequest, version: PolicyVersion | None, form: EditorForm, text: str
) -> PolicyVersion:
    values, person = form.cleaned_data, person_at(request)
    if version is None:
        return versions.draft_version(text, author=person, reason=values["reason"])
    return drafts.edit_draft(
        version.pk, text, editor=person, reason=values["reason"], seen=values["seen"]
    )


def _editor(
    page: ObjectActionsAdmin,
    request: HttpRequest,
    version: PolicyVersion | None,
    *,
    text: str,
    seen: str,
    reason: str = "",
    spots: tuple[Spot, ...] = (),
    refusals: list[str] | None = None,
    verdict: TextCheck | None = None,
    status: int = 200,
    kind: str = VersionKind.ORDINARY,
) -> HttpResponse:
    current = in_force(version.kind if version else kind)
    return TemplateResponse(
        request,
        "admin/policies/policy_editor.html",
        {
            **page.admin_site.each_context(request),
            "opts": page.opts,
            "title": f"Edit {version.label}" if version else "New draft",
            "subtitle": "Policy",
            "version": version,
            "back": page.address_of(version) if version else page.list_address(),
            "current": current,
            "text": text,
            "parameters": parameter_fields(text),
            "seen": seen,
            "reason": reason,
            "spots": spots,
            "refusals": refusals or [],
            "verdict": verdict,
            "vocabulary": vocabulary(document_in_force(), document_in_force(floor=True)),
        },
        status=status,
    )


def _start(version: PolicyVersion | None, kind: str) -> str:
    """No text from the address: a link must not fill in a policy."""
    if version is not None:
        return version.document
    current = in_force(kind)
    return current.document if current else ""


def _digest(version: PolicyVersion | None) -> str:
    return version.digest if version else ""


def _checked_text(text: str) -> TextCheck:
    document = parse_document(text)
    before = document_in_force(floor=document.is_floor)
    return TextCheck(
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


@dataclass(frozen=True, slots=True)
class Word:
    """One thing to write, and what it means."""

    name: str
    meaning: str
    kind: str = ""
    default: str = ""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Words that belong together."""

    title: str
    about: str
    words: tuple[Word, ...]
    inserts: bool = True  # a click puts the word into the editor


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Everything, in the order a rule is written."""

    facts: tuple[Shelf, ...]
    others: tuple[Shelf, ...]


_EFFECTS = {
    Verdict.ALLOW: "It runs without a person.",
    Verdict.REQUIRE_APPROVAL: "The people named by the rule or the matrix must say yes.",
    Verdict.DENY: "It never runs.",
}
_MODELS = {
    OperatingModel.ASSISTED: "The agent prepares, a person acts.",
    OperatingModel.IN_THE_LOOP: "People approve before it happens.",
    OperatingModel.ON_THE_LOOP: "The agent acts within limits, people watch exceptions.",
    OperatingModel.CONTROLLED_AUTONOMY: "The agent acts inside strict permissions.",
}
_PATTERNS = {
    Pattern.NO_APPROVAL: "Nobody is asked; everything is logged.",
    Pattern.SAMPLED: "A share is looked at.",
    Pattern.EXCEPTION_ONLY: "It runs unless something is unusual.",
    Pattern.THRESHOLD: "Above an amount people decide.",
    Pattern.SINGLE: "One person decides.",
    Pattern.TWO_PEOPLE: "Two people decide.",
    Pattern.TWO_GROUPS: "One person of each of two groups decides.",
    Pattern.ORDERED_STAGES: "One group after the other decides.",
    Pattern.HUMAN_SUPERVISED: "A person starts it and watches.",
}


def vocabulary(document: Document | None, floor: Document | None = None) -> Vocabulary:
    """The words of this release, those the document itself defines, and the floor's rules."""
    return Vocabulary(
        facts=_facts(),
        others=(
            *(_own(document) if document else ()),
            *(_below(floor) if floor else ()),
            Shelf(
                "Effects",
                "What a rule says when all its clauses hold. The strictest of all rules wins.",
                tuple(Word(verdict.value, _EFFECTS[verdict]) for verdict in Verdict),
            ),
            Shelf(
                "Groups",
                "Who can be asked. Whoever configures or audits never decides.",
                tuple(Word(role.name, role.description) for role in ROLES if role.decides),
            ),
            Shelf(
                "Operating models",
                "How much the agent does by itself.",
                tuple(Word(model.value, _MODELS[model]) for model in OperatingModel),
            ),
            Shelf(
                "Patterns",
                "The shape of the approval, for people to recognise.",
                tuple(Word(pattern.value, _PATTERNS[pattern]) for pattern in Pattern),
            ),
            Shelf(
                "What a replay says",
                "How a draft's answer differs from the one a request got.",
                tuple(
                    Word(str(direction.label), direction.value)
                    for direction in Direction
                    if direction is not Direction.SAME
                ),
                inserts=False,
            ),
        ),
    )


def _own(document: Document) -> tuple[Shelf, ...]:
    """Parameters, categories and windows: each document brings its own."""
    shelves = (
        Shelf(
            "Parameters",
            "Numbers the document names once; clauses and tests take them from there.",
            tuple(Word(f"param.{name}", value) for name, value in parameters_in_words(document)),
        ),
        Shelf(
            "Categories",
            "Kinds of exceptions a rule may put a request in.",
            tuple(
                Word(one.name, f"{one.meaning} Answered for by {one.owner}.")
                for one in document.categories.values()
            ),
        ),
        Shelf(
            "Windows",
            "When execution may begin.",
            tuple(Word(name, shown(window)) for name, window in document.windows.items()),
        ),
    )
    return tuple(shelf for shelf in shelves if shelf.words)


def _below(floor: Document) -> Iterator[Shelf]:
    """What holds whatever a version says."""
    yield Shelf(
        "The floor",
        "Security's rules. They are evaluated with every version, and none can weaken them.",
        tuple(Word(f"{FLOOR}{rule.id}", rule.reason, shown(rule.effect)) for rule in floor.rules),
        inserts=False,
    )


def _facts() -> tuple[Shelf, ...]:
    docs = get_type_hints(Facts)
    known = declared().values()
    shelves = [
        Shelf(
            group.name.capitalize(),
            _about(docs[group.name]),
            tuple(_word(fact) for fact in known if fact.name.startswith(f"{group.name}.")),
        )
        for group in fields(Facts)
        if group.name != "case"
    ]
    return (*shelves, *_cases())


def _cases() -> Iterator[Shelf]:
    """What rules that name the action type may ask as well."""
    for action_type, parts in sorted(known_schemas().items()):
        words = (word for part in CASE if part in parts for word in _fields_of(part, parts[part]))
        yield Shelf(f"on: [{action_type}]", "For rules that name this action type.", tuple(words))


def _fields_of(path: str, schema: Schema) -> Iterator[Word]:
    """The fields of an object, those of objects in it in their place."""
    for name, inner in schema.get("properties", {}).items():
        if "properties" in inner:
            yield from _fields_of(f"{path}.{name}", inner)
            continue
        kind = _JSON_KINDS.get(str(inner.get("type")), "")
        kind += "" if name in schema.get("required", ()) else ", may be missing"
        meaning = str(inner.get("description", "As the reviewer sees it."))
        yield Word(f"{path}.{name}", meaning, kind)


_JSON_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
}


def _about(kind: type) -> str:
    """What the group's own docstring says; Python writes one for dataclasses without."""
    text = (kind.__doc__ or "").strip()
    return "" if text.startswith(f"{kind.__name__}(") else " ".join(text.split())


def _word(fact: Declaration) -> Word:
    default = '""' if fact.default == "" else shown(fact.default)
    if fact.default == ():
        default = "[]"
    elif isinstance(fact.default, bool):
        default = "true" if fact.default else "false"
    return Word(fact.name, fact.meaning, fact.type_name, default)
