"""Systems whose actions agents carry out themselves: what their file says and never does."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from audit.lib.yaml_source import YamlError
from connectors.base import Action, ConnectorError, Receipt
from connectors.catalogue import CarriedOutBy, Proof
from connectors.declared.agents_own import is_for_agents, parse_for_agents
from connectors.declared.files import EVERYBODYS, PRODUCT
from connectors.registry import UnknownActionType, action_type, connector_for, is_offered

TEXT = (PRODUCT / "workstation.yaml").read_text()
COMMAND = Action("command.run", {"command": "ls", "directory": "/srv", "host": "build-7"})


@pytest.fixture
def named(settings: Settings) -> None:
    settings.SYSTEMS = ("workstation",)


@pytest.mark.usefixtures("named")
def test_the_shipped_one_is_the_agents_to_carry_out_and_needs_no_connection() -> None:
    kind = action_type("command.run")

    assert (kind.execution, kind.by_agent) == (CarriedOutBy.AGENT, True)
    assert (kind.lease, kind.at_most_once.proof) == (timedelta(minutes=10), Proof.NONE)
    assert action_type("service.deploy").lease == timedelta(minutes=30)
    assert is_offered(kind)
    assert kind.effect(COMMAND.params) == 'On build-7, in "/srv", the agent runs "ls".'


def test_it_is_off_unless_it_is_named() -> None:
    assert "workstation" not in EVERYBODYS
    with pytest.raises(UnknownActionType):
        action_type("command.run")


@pytest.mark.django_db
@pytest.mark.usefixtures("named")
def test_nothing_but_a_look_is_possible_from_here() -> None:
    connector = connector_for(action_type("command.run"))
    receipt = Receipt("r", "s")

    preview = connector.preview(COMMAND)

    assert (preview.before, preview.after) == ({}, {"runs": "ls", "in": "/srv", "on": "build-7"})
    assert (preview.unavailable, preview.target_version, preview.connection) == ("", "", "")
    for call in (
        lambda: connector.execute(COMMAND, idempotency_key="k"),
        lambda: connector.look_up(COMMAND, idempotency_key="k"),
        lambda: connector.verify(COMMAND, receipt),
        lambda: connector.compensate(COMMAND, receipt),
    ):
        with pytest.raises(ConnectorError) as refusal:
            call()
        assert refusal.value.permanent


def test_files_with_a_wire_are_not_of_this_kind() -> None:
    assert is_for_agents(TEXT)
    assert not is_for_agents((PRODUCT / "changes.yaml").read_text())


@pytest.mark.parametrize(
    ("instead_of", "write", "says"),
    [
        ("execution: agent", "execution: person", "'execution' is 'agent', 'mcp', or left out"),
        ("system: workstation", "system: laptop", "the file workstation.yaml describes"),
        ("reversibility: irreversible", "reversibility: reversible", "nothing here takes back"),
        ("lease_minutes: 10", "lease_minutes: 0", "lease_minutes"),
        ("lease_minutes: 10", "lease_minutes: 9999", "lease_minutes"),
        ("lease_minutes: 10", "at_most_once: {proof: keyed, window: 1h}", "at_most_once"),
        ("checked_on: 2026-11-22", "checked_on: yesterday", "must be a day"),
        ("protected: [host, directory]", "protected: [hots]", "there is no param 'hots'"),
        ("directory: /srv/shop, host", "directory: 7, host", "directory"),
        ("command.run:", "run:", "is no action type"),
    ],
)
def test_a_mistake_is_told_with_its_place(instead_of: str, write: str, says: str) -> None:
    with pytest.raises(YamlError) as found:
        parse_for_agents(TEXT.replace(instead_of, write, 1), "workstation")

    assert says in str(found.value)
    assert all(problem.line for problem in found.value.problems)


def test_check_system_reads_it_and_says_what_it_cannot_prove(tmp_path: Path) -> None:
    path = tmp_path / "workstation.yaml"
    path.write_text(TEXT)
    out = StringIO()

    call_command("check_system", str(path), "--live", stdout=out)

    assert "carried out by the agent, which reports within 10 minutes" in out.getvalue()
    assert "Proved: nothing." in out.getvalue()
