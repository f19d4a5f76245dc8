"""What must never be written, looked for in the code: each search finds a planted offender."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.template import Context, Template
from django.urls import get_resolver

from approvals.api.serializers import (
    AlternativeSerializer,
    AnswerSerializer,
    EvidenceSerializer,
    ModelSerializer,
    ProposalSerializer,
    ReasonSerializer,
    StrictSerializer,
)
from approvals.api.views import AgentView
from approvals.models import ActionRequest, Execution
from tests.architecture.source import APPS, ROOT, last_name, sources

MODEL = ROOT / "approvals" / "models" / "request.py"
STEPS = ("approvals/services/", "approvals/domain/")


# --- Transitions: empty, deaf to templates, fired in one place -----------------------------------


def transition_bodies(source: str) -> Iterator[tuple[str, bool]]:
    """Each transition by name, and whether there is nothing in it but its docstring."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(one, ast.Call) and last_name(one.func) == "transition"
            for one in node.decorator_list
        ):
            (first, *rest) = node.body
            yield node.name, isinstance(first, ast.Expr) and not rest


TRANSITIONS = {name for name, _ in transition_bodies(MODEL.read_text())}


def fired(path: str, source: str) -> Iterator[int]:
    """Lines that reach for a transition of a record outside the steps, or call one themselves.

    `decide.approve(...)` is a service: a name that was imported is no record.
    """
    tree = ast.parse(source)
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in TRANSITIONS:
            base = node.value
            is_service = isinstance(base, ast.Name) and base.id in imported | {"self", "connector"}
            is_service |= isinstance(base, ast.Call) and last_name(base.func) == "connector_for"
            if not is_service and (id(node) in called or not path.startswith(STEPS)):
                yield node.lineno


def test_transitions_do_nothing_but_move() -> None:
    bodies = dict(transition_bodies(MODEL.read_text()))

    assert set(bodies) == {
        name for name in dir(ActionRequest) if hasattr(getattr(ActionRequest, name), "_django_fsm")
    }
    assert [name for name, is_empty in bodies.items() if not is_empty] == []


def test_a_transition_that_does_something_is_found() -> None:
    planted = '@transition(state, source="a")\ndef go(self):\n    """Go."""\n    self.x = 1'

    assert dict(transition_bodies(planted)) == {"go": False}


def test_transitions_are_fired_by_steps_and_only_through_move() -> None:
    found = {
        f"{path}:{line}"
        for path, source in sources()
        if path.startswith("approvals/") and not path.startswith("approvals/client/")  # at agents'
        for line in fired(path, source)
    }

    assert found == set()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("approvals/admin/review_page.py", "request.approve()"),
        ("approvals/api/views.py", "move(found, found.withdraw, code, actor=actor)"),
        ("approvals/services/decide.py", "sitting.request.approve()"),
    ],
)
def test_who_fires_one_elsewhere_is_found(path: str, line: str) -> None:
    assert list(fired(path, line))


def test_no_template_moves_a_request() -> None:
    """`{{ r.classify }}` would call it: Django asks `alters_data` first."""
    request = ActionRequest()

    for name in sorted(TRANSITIONS):
        shown = Template(f"{{{{ r.{name} }}}}").render(Context({"r": request}))
        assert (shown, request.state) == ("", "requested"), name


def test_no_template_calls_what_sets_columns() -> None:
    """Methods of models that assign to the record, all of them."""
    assert Execution.keep_receipt.alters_data  # type: ignore[attr-defined]
    silent = {
        f"{path}:{name}"
        for path, source in sources()
        if "/models" in path
        for name in setters(source)
    }

    assert silent == set()


def setters(source: str) -> Iterator[str]:
    """Methods that assign to `self` and do not say that they alter data; Django's own do."""
    for owner in ast.walk(ast.parse(source)):
        if not isinstance(owner, ast.ClassDef):
            continue
        marked = {
            target.value.id
            for node in owner.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Attribute)
            and target.attr == "alters_data"
            and isinstance(target.value, ast.Name)
        }
        for method in owner.body:
            if not isinstance(method, ast.FunctionDef) or method.name in marked | {"save"}:
                continue
            if any(
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and last_name(node.value) == "self"
                for node in ast.walk(method)
            ):
                yield method.name


def test_a_method_that_sets_a_column_is_found() -> None:
    assert list(setters("class R:\n    def go(self):\n        self.state = 1")) == ["go"]


# --- Messages to workers -------------------------------------------------------------------------

_SENDERS = {"enqueue_on_commit", "enqueue_sweep_job", "job", "send_task", "allow_again", "SweepJob"}
_TASK_NAME = re.compile(r"(?:approvals|policies|audit|connectors|config)\.[a-z_]+")


def dispatched(source: str) -> Iterator[str]:
    """Names of tasks that code sends, orders from beat, or keeps in a constant to send."""
    for node in ast.walk(ast.parse(source)):
        given: list[ast.expr] = []
        if isinstance(node, ast.Call) and last_name(node.func) in _SENDERS:
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
        elif isinstance(node, ast.Dict):
            given = [
                value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and key.value == "task"
            ]
        elif isinstance(node, ast.Assign) and last_name(node.targets[0]) == "TASK":
            given = [node.value]
        for value in given:
            if isinstance(value, ast.Constant) and _TASK_NAME.fullmatch(str(value.value)):
                yield str(value.value)


def test_every_task_that_is_sent_is_registered() -> None:
    current_app.loader.import_default_modules()
    names = {name for _, source in sources() for name in dispatched(source)}

    assert len(names) > 5
    assert names - set(current_app.tasks) == set()


def test_a_misspelt_task_is_found() -> None:
    assert list(dispatched('enqueue_on_commit("approvals.exceute", 1)')) == ["approvals.exceute"]
    assert list(dispatched('SweepJob("x", a, b, task="approvals.recoverr")')) == [
        "approvals.recoverr"
    ]


# --- Pages ---------------------------------------------------------------------------------------

_UNESCAPED = re.compile(r"mark_safe|\bSafeString\(|\|\s*safe\b|\|\s*safeseq\b|autoescape\s+off")


def test_nothing_is_shown_unescaped() -> None:
    pages = [(str(p.relative_to(ROOT)), p.read_text()) for p in ROOT.glob("*/**/*.html")]
    pages = [page for page in pages if page[0].split("/")[0] in (*APPS, "templates")]

    assert pages
    assert [path for path, text in [*sources(), *pages] if _UNESCAPED.search(text)] == []


@pytest.mark.parametrize("planted", ["mark_safe(text)", "{{ text|safe }}", "{% autoescape off %}"])
def test_unescaped_text_is_found(planted: str) -> None:
    assert _UNESCAPED.search(planted)


# --- The trail -----------------------------------------------------------------------------------

_RECORDERS = {"record", "record_all", "Entry", "move", "take"}


def prose(source: str) -> Iterator[int]:
    """Lines that put a sentence of ours, or a joined list, into an event's data."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and last_name(call.func) in _RECORDERS:
            for given in [*call.args, *(keyword.value for keyword in call.keywords)]:
                if isinstance(given, ast.Dict):
                    yield from (value.lineno for value in given.values if _is_prose(value))


def _is_prose(value: ast.expr) -> bool:
    formats = {id(n.format_spec) for n in ast.walk(value) if isinstance(n, ast.FormattedValue)}
    for node in ast.walk(value):
        if isinstance(node, ast.JoinedStr) and id(node) not in formats and len(node.values) > 1:
            return True  # more than one value written out
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            return True
        if isinstance(node, ast.Call) and last_name(node.func) == "join":
            return True
        if isinstance(node, ast.Attribute) and node.attr in {"label", "message"}:
            return not _is_version(node)
    return False


def _is_version(node: ast.Attribute) -> bool:
    """A policy version's label is its name, "2026-11-20.1"."""
    return node.attr == "label" and last_name(node.value) in {
        "version", "draft", "old", "successor", "based_on", "restores", "against",
        "beside",
    }  # fmt: skip


def test_the_trail_keeps_codes_and_lists_and_no_sentences() -> None:
    assert {f"{path}:{line}" for path, source in sources() for line in prose(source)} == set()


@pytest.mark.parametrize(
    "value",
    ['f"Not shown after {tried} reads"', '", ".join(changed)', '"not justified"', "step.label"],
)
def test_prose_in_the_trail_is_found(value: str) -> None:
    assert list(prose(f'record(CODE, actor=actor, subject=request, data={{"reason": {value}}})'))


# --- The public surface --------------------------------------------------------------------------

INPUT = (
    ProposalSerializer, EvidenceSerializer, ModelSerializer, AlternativeSerializer,
    AnswerSerializer, ReasonSerializer,
)  # fmt: skip
SHOWN_TO_REVIEWERS = {
    "model", "id", "prompt_template", "prompt_version", "alternatives", "summary", "risk",
    "undo_note",
}  # fmt: skip
"""Words for people, which nothing acts on: they are on the review page."""


def ignored(serializer: type[StrictSerializer], read: set[str]) -> set[str]:
    """The fields it takes that no step and no service reads."""
    return set(serializer().fields) - read - SHOWN_TO_REVIEWERS


def _read_by_steps() -> set[str]:
    return {
        name
        for path, source in sources()
        if path.startswith((*STEPS, "approvals/inspection/"))
        for node in ast.walk(ast.parse(source))
        for name in _names_in(node)
    }


def _names_in(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.arg):
        yield node.arg


def test_no_field_is_taken_and_ignored() -> None:
    read = _read_by_steps() | {"answer"}  # the answer's text is the service's `body`

    assert {kind.__name__: found for kind in INPUT if (found := ignored(kind, read))} == {}


def test_a_field_nobody_reads_is_found() -> None:
    class Planted(ReasonSerializer):
        webhook_secret = ReasonSerializer().fields["reason"].__class__(required=False)

    assert ignored(Planted, _read_by_steps()) == {"webhook_secret"}


def views_of_agents() -> list[type[Any]]:
    api = next(p for p in get_resolver().url_patterns if str(p.pattern).startswith("api/v1"))
    found = [getattr(pattern.callback, "view_class", None) for pattern in api.url_patterns]
    return [view for view in found if view and view.__module__.startswith("approvals.")]


def test_every_call_of_agents_refuses_parameters_it_does_not_know() -> None:
    assert len(views_of_agents()) >= 6
    assert [view for view in views_of_agents() if not issubclass(view, AgentView)] == []
