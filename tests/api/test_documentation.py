"""What the documentation says is so: calls, problem codes, states, limits and examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver

from approvals import exceptions
from approvals.api import index_view
from approvals.api.documentation import PROBLEM_CODES, STATES, example_of
from approvals.choices import State
from connectors.params import validate_params
from connectors.registry import action_types
from tests.api.make import AgentClient

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[2]
NOT_OF_AGENTS = {
    *("refused", "stale_page", "already_decided", "not_authorised", "step_up_required"),
    *("reason_required", "evidence_missing", "not_allowed"),
    *("facts_not_confirmed", "edit_not_foreseen"),
}
"""What only people are told."""


def document() -> Any:
    return Client().get("/api/v1/schema/?format=json").json()


def test_the_index_names_every_call_there_is() -> None:
    told = Client().get("/api/v1/").json()

    paths = document()["paths"]
    there = {
        f"{method.upper()} {path.removeprefix('/api/v1/')}"
        for path, calls in paths.items()
        for method in calls
    }
    assert there - {"GET "} == set(index_view.CALLS)
    assert [call["does"] for call in told["calls"]] == list(index_view.CALLS.values())
    for link in ("documentation", "schema"):
        assert get_resolver().resolve(re.sub(r"^https?://[^/]+", "", told[link]))


def test_every_example_is_accepted(client: AgentClient, sandbox: Any) -> None:
    for kind in action_types():
        if kind.example:
            assert validate_params(kind, kind.example) == [], kind.key
            assert kind.field_errors(kind.example) == {}, kind.key

    (quick,) = [kind for kind in action_types() if kind.key == "refund.issue"]
    assert client.propose(example_of(quick)).status_code == 201


def test_every_action_type_of_the_sandbox_has_an_example_on_the_page() -> None:
    body = document()["paths"]["/api/v1/actions/"]["post"]["requestBody"]

    shown = body["content"]["application/json"]["examples"]
    assert set(shown) == {kind.key for kind in action_types()}


def test_the_quick_start_stands_on_top_with_codes_states_and_limits() -> None:
    text = document()["info"]["description"]

    assert text.index("## Quick start") < text.index("## States") < text.index("## Problems")
    assert set(STATES) == set(State)
    for name in (*STATES, *PROBLEM_CODES):
        assert f"`{name}`" in text
    assert "256 KiB" in text


def test_every_code_a_service_has_is_documented() -> None:
    def kinds(of: type[Exception]) -> set[type[Exception]]:
        return {of}.union(*(kinds(one) for one in of.__subclasses__()))

    codes = {str(getattr(one, "code")) for one in kinds(exceptions.ApprovalError)}  # noqa: B009
    assert codes - NOT_OF_AGENTS <= set(PROBLEM_CODES)


def test_every_documented_code_is_produced_by_a_test() -> None:
    tests = [p.read_text() for p in (ROOT / "tests").rglob("*.py") if p != Path(__file__)]

    unproven = {c for c in PROBLEM_CODES if not any(f'"{c}"' in text for text in tests)}
    assert unproven == set()
