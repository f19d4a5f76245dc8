"""README's checklists stay true: what somebody forgets in one of its places fails here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from itertools import product
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import resolve, reverse

from approvals.admin.forms import ApproveForm, RejectForm, reason_field
from approvals.admin.inboxes import InboxAdmin
from approvals.choices import REASONS, DecisionVerdict, ReasonCode
from audit.events import AuditCode
from connectors.catalogue import Proof
from connectors.declared.parse import parse
from connectors.registry import action_types
from policies import facts
from policies.roles import DECIDING_ROLES

ROOT = Path(__file__).resolve().parents[2]
APPS = ("config", "approvals", "policies", "connectors", "audit")

COMPUTE_FACTS = ("approvals/domain", "policies/document.py", "connectors/adapters/records")
"""The steps, the document's calendar, and the connector that reads the customer."""

pytestmark = pytest.mark.once


def _trees() -> Iterator[tuple[Path, ast.Module]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, ast.parse(path.read_text())


def _alternatives(text: str) -> list[str]:
    """`a/{b,c}.py` as `a/b.py` and `a/c.py`."""
    parts = re.split(r"\{([^}]*)\}", text)
    choices = [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]
    return ["".join(one) for one in product(*choices)]


def test_every_file_the_readme_names_is_there() -> None:
    folders = "|".join((*APPS, "templates", "tests"))
    named = re.findall(
        rf"`((?:{folders})/[^`\s]*\.(?:py|yaml|html|css))`", (ROOT / "README.md").read_text()
    )
    paths = [path for text in named for path in _alternatives(text) if "<" not in path]

    assert len(paths) > 30
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_file_to_copy_has_an_operation_for_each_proof() -> None:
    file = parse((ROOT / "tests/helpdesk/systems/helpdesk.yaml").read_text(), "helpdesk")

    assert {operation.type.at_most_once.proof for operation in file.operations} == set(Proof)


def test_the_readme_names_every_proof() -> None:
    listed = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert [proof.value for proof in Proof] == [name for name in listed if name in set(Proof)]


def test_every_reason_is_offered_by_a_form() -> None:
    offered = {reason for reasons in REASONS.values() for reason in reasons}

    assert offered == set(ReasonCode)


@pytest.mark.parametrize(
    ("form", "verdict"),
    [(ApproveForm, DecisionVerdict.APPROVE), (RejectForm, DecisionVerdict.REJECT)],
)
def test_the_forms_offer_those_reasons(
    form: type[ApproveForm | RejectForm], verdict: DecisionVerdict
) -> None:
    assert form.base_fields["reason_code"].choices == reason_field(verdict).choices  # type: ignore[attr-defined]


@pytest.mark.parametrize("team", [*DECIDING_ROLES, "dispatch"])
def test_every_team_has_an_inbox_at_its_own_address(team: str) -> None:
    address = reverse("admin:inbox", args=[team])

    assert address == f"/admin/approvals/{team}inbox/"
    assert resolve(address).kwargs == {"team": team}


def test_every_inbox_column_has_its_method() -> None:
    assert [name for name in InboxAdmin.list_display if name not in vars(InboxAdmin)] == []


def test_every_system_has_settings_and_every_setting_a_system() -> None:
    assert {kind.system for kind in action_types()} == set(settings.CONNECTORS)


@pytest.mark.parametrize(
    "group",
    [kind for name, kind in vars(facts).items() if name.endswith("Facts") and name != "Facts"],
    ids=lambda group: group.__name__,
)
def test_every_fact_is_computed(group: type) -> None:
    given: set[str] = set()
    for path, tree in _trees():
        if any(path.is_relative_to(ROOT / place) for place in COMPUTE_FACTS):
            for node in ast.walk(tree):
                if isinstance(node, ast.keyword) and node.arg:
                    given.add(node.arg)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    given.add(node.value)

    assert {one.name for one in fields(group)} - given == set()


def test_every_event_is_recorded_by_somebody() -> None:
    used = {
        node.attr
        for path, tree in _trees()
        if path != ROOT / "audit/events.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "AuditCode"
    }

    assert {code.name for code in AuditCode} - used == set()


def test_every_notification_is_sent_by_somebody() -> None:
    module = ast.parse((ROOT / "approvals/domain/notifications.py").read_text())
    declared = {
        node.name
        for node in module.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    sent = {
        node.attr
        for _, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "notifications"
    }
    imported = {
        alias.name
        for _, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "approvals.domain.notifications"
        for alias in node.names
    }

    assert declared - sent - imported == set()
