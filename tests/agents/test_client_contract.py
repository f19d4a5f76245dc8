"""The client held against the OpenAPI document: what it sends, reads and leaves out."""

from __future__ import annotations

import ast
import re
from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit

import pytest
from countersign import Action, Countersign, Details
from django.test import Client

from tests.agents.conftest import CLIENT
from tests.agents.server import an_action, answering, ok

pytestmark = pytest.mark.once

SOURCE = CLIENT / "countersign" / "client.py"
MOST_LINES = 300
BY_CALL = {
    "/api/v1/", "/api/v1/action-types/", "/api/v1/actions/check/", "/api/v1/plans/",
    "/api/v1/plans/{plan_id}/", "/api/v1/plans/{plan_id}/withdraw/",
    "/api/v1/actions/{request_id}/complaints/",
}  # fmt: skip
"""Reached by `Countersign.call`, which takes any path."""


@pytest.fixture(scope="module")
def schema() -> Any:
    return Client().get("/api/v1/schema/?format=json").json()


def paths_called() -> set[str]:
    """Every address the client's methods call, with its parameter as the document names it."""
    page = {"results": [], "cursor": "c", "more": False, "grant": {}}
    with answering(ok({**an_action(), **page})) as told:
        cs = Countersign(told.url, "csk_test")
        cs.propose("refund.issue", {}, intent="x")
        cs.get("ID")
        cs.changes()
        cs.answer("ID", "Yes.")
        cs.withdraw("ID")
        cs.undo("ID")
        cs.redeem("ID", "run-1")
        cs.report("ID", 1, "done", receipt="build-4711")
    return {urlsplit(asked.path).path.replace("ID", "{request_id}") for asked in told.asked}


def test_it_calls_what_there_is_and_misses_nothing(schema: Any) -> None:
    there = {path for path in schema["paths"] if not path.endswith("/schema/")}

    assert paths_called() <= there
    assert there - paths_called() - BY_CALL == set()


def test_a_proposal_may_say_all_there_is_to_say(schema: Any) -> None:
    takes = set(schema["components"]["schemas"]["ProposalRequest"]["properties"])

    assert set(get_type_hints(Details)) | {"action_type", "params", "intent"} == takes


@pytest.mark.parametrize("name", sorted(get_type_hints(Action)))
def test_the_fields_it_names_are_told_and_of_that_type(schema: Any, name: str) -> None:
    told = schema["components"]["schemas"]["Action"]
    kind = get_type_hints(Action)[name]

    assert name in told["properties"]
    assert name in told["required"]
    assert _may_be_null(told["properties"][name]) == (type(None) in get_args(kind))


def _may_be_null(told: Any) -> bool:
    kinds = told.get("type", ())
    either = told.get("oneOf", told.get("anyOf", ()))
    return "null" in kinds or any(one.get("type") == "null" for one in either)


def test_it_knows_every_outcome(schema: Any) -> None:
    told = schema["components"]["schemas"]["Action"]["properties"]["outcome"]
    name = (told.get("$ref") or told["allOf"][0]["$ref"]).rsplit("/", 1)[-1]
    outcomes = set(schema["components"]["schemas"][name]["enum"])

    assert outcomes == {"open", "done", "needs_agent", "refused", "unclear"}


def test_every_installation_serves_it_without_a_key() -> None:
    answer = Client().get("/api/v1/client/")

    assert answer.status_code == 200
    assert answer.content == SOURCE.read_bytes()
    assert answer["Content-Type"].startswith("text/x-python")
    assert Client().post("/api/v1/client/").status_code == 405


def test_it_is_short_and_needs_httpx_alone() -> None:
    source = SOURCE.read_text()
    tree = ast.parse(source)
    imported = {
        (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert lines_of_code(source, tree) < MOST_LINES
    assert imported & {"django", "approvals", "config", "audit", "connectors", "policies"} == set()
    assert imported - STANDARD == {"httpx", "anyio"}  # httpx brings anyio
    assert 'dependencies = ["httpx' in (CLIENT / "pyproject.toml").read_text()


STANDARD = {
    "__future__", "base64", "collections", "contextlib", "contextvars", "functools", "hashlib",
    "hmac", "inspect", "json", "os", "random", "ssl", "time", "typing", "uuid",
}  # fmt: skip


def lines_of_code(source: str, tree: ast.Module) -> int:
    """Without blank lines, comments and docstrings."""
    told = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node)
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    return sum(
        bool(text.strip()) and number not in told and not re.match(r"\s*#", text)
        for number, text in enumerate(source.splitlines(), start=1)
    )
