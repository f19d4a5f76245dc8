"""At most once, by what each operation's target does: one write on the wire, whatever happens."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from connectors.base import Action, Connector, ConnectorError, OutcomeUnknown
from connectors.catalogue import Proof
from connectors.registry import action_type, connector_for
from tests.helpdesk.double import TEXT, Helpdesk

pytestmark = pytest.mark.django_db

ACTIONS: dict[Proof, Action] = {
    Proof.KEYED: Action("ticket.note", {"ticket": "T-1", "text": "Called back."}),
    Proof.NAMED: Action("ticket.open", {"name": "refund-4711", "subject": "Lamp"}),
    Proof.GUARDED: Action("ticket.close", {"ticket": "T-1", "answer": "Sent a new lamp."}),
    Proof.MARKED: Action("ticket.comment", {"ticket": "T-1", "text": "We sent a new lamp."}),
    Proof.SETTLED: Action("ticket.tag", {"ticket": "T-1", "tag": "vip"}),
    Proof.NONE: Action("ticket.announce", {"text": "Lamps are delayed."}),
}
by_proof = pytest.mark.parametrize("proof", list(Proof))
LOST = ["apply_then_hang", "apply_then_500", "apply_then_reset", "half_body", "trickle"]


@pytest.fixture(autouse=True)
def _impatient(settings: Settings) -> None:
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=1)


def connector(action: Action) -> Connector:
    return connector_for(action_type(action.type))


def execute(action: Action, key: str = "k" * 64, guard: str = "") -> Any:
    guard = guard or connector(action).preview(action).guard
    return connector(action).execute(action, idempotency_key=key, guard=guard)


@by_proof
def test_the_operation_states_its_proof(ticketing: Helpdesk, proof: Proof) -> None:
    assert action_type(ACTIONS[proof].type).at_most_once.proof is proof


@by_proof
def test_a_write_has_one_effect_and_is_read_back(ticketing: Helpdesk, proof: Proof) -> None:
    action = ACTIONS[proof]

    receipt = execute(action)

    assert len(ticketing.applied) == ticketing.writes == 1
    assert connector(action).verify(action, receipt).differences == ()


@by_proof
@pytest.mark.parametrize("mode", LOST)
def test_a_lost_answer_is_unknown_after_one_write_on_the_wire(
    ticketing: Helpdesk, proof: Proof, mode: str
) -> None:
    ticketing.plan(mode)

    with pytest.raises(OutcomeUnknown):
        execute(ACTIONS[proof])

    assert len(ticketing.applied) == ticketing.writes == 1


@by_proof
@pytest.mark.parametrize("mode", ["error_500", "reset"])
def test_a_failure_before_the_effect_is_one_write_on_the_wire(
    ticketing: Helpdesk, proof: Proof, mode: str
) -> None:
    ticketing.plan(mode)

    with pytest.raises(OutcomeUnknown):
        execute(ACTIONS[proof])

    assert (len(ticketing.applied), ticketing.writes) == (0, 1)


@by_proof
def test_a_busy_target_is_left_alone_as_long_as_it_asks(ticketing: Helpdesk, proof: Proof) -> None:
    ticketing.plan("busy")

    with pytest.raises(ConnectorError) as busy:
        execute(ACTIONS[proof])

    assert not busy.value.permanent
    assert (len(ticketing.applied), ticketing.writes) == (0, 1)


@by_proof
def test_what_may_be_repeated_has_one_effect_and_the_rest_would_have_two(
    ticketing: Helpdesk, proof: Proof
) -> None:
    """The naive executor, which repeats whatever was lost."""
    action = ACTIONS[proof]
    guard = connector(action).preview(action).guard
    ticketing.plan("apply_then_reset")
    with pytest.raises(OutcomeUnknown):
        execute(action, guard=guard)
    ticketing.faults.clear()

    try:
        execute(action, guard=guard)
        is_refused = False
    except ConnectorError as refused:
        is_refused = refused.code == "conflict"

    doubled = {Proof.MARKED, Proof.NONE}
    assert len(ticketing.applied) == (2 if proof in doubled else 1)
    assert is_refused == (proof in {Proof.NAMED, Proof.GUARDED})
    promise = action_type(action.type).at_most_once
    assert promise.may_repeat == (proof in {Proof.KEYED, Proof.NAMED, Proof.GUARDED})


@by_proof
def test_what_can_be_looked_up_is_found_after_a_lost_answer_and_not_before(
    ticketing: Helpdesk, proof: Proof
) -> None:
    action = ACTIONS[proof]
    can_look_up = action_type(action.type).at_most_once.can_look_up
    assert connector(action).look_up(action, idempotency_key="k" * 64) is None
    ticketing.plan("apply_then_reset")
    with pytest.raises(OutcomeUnknown):
        execute(action)

    found = connector(action).look_up(action, idempotency_key="k" * 64)

    assert (found is not None) == can_look_up
    assert can_look_up == (proof in {Proof.NAMED, Proof.GUARDED, Proof.MARKED})


def test_a_guarded_write_is_refused_once_the_target_has_moved(ticketing: Helpdesk) -> None:
    action = ACTIONS[Proof.GUARDED]
    guard = connector(action).preview(action).guard
    ticketing.change_ticket("T-1", subject="Two lamps arrived broken")

    with pytest.raises(ConnectorError) as refused:
        execute(action, guard=guard)

    assert (refused.value.code, refused.value.permanent) == ("conflict", True)
    assert ticketing.applied == []


def test_a_guarded_write_is_never_sent_without_its_guard(ticketing: Helpdesk) -> None:
    action = ACTIONS[Proof.GUARDED]

    with pytest.raises(ConnectorError) as refused:
        connector(action).execute(action, idempotency_key="k", guard="")

    assert refused.value.code == "no_guard"
    assert ticketing.writes == 0


def test_what_is_so_already_is_done_without_an_effect(ticketing: Helpdesk) -> None:
    action = ACTIONS[Proof.SETTLED]
    execute(action)

    receipt = execute(action)

    assert len(ticketing.applied) == 1
    assert "so already" in receipt.summary
    assert connector(action).verify(action, receipt).matches


def test_a_target_says_itself_what_it_would_refuse(ticketing: Helpdesk) -> None:
    preview = connector(ACTIONS[Proof.GUARDED]).preview(
        Action("ticket.close", {"ticket": "T-3", "answer": "x"})
    )

    assert preview.after == {
        "problem": "Ticket T-3 is archived, and archived tickets never change."
    }


def test_a_credential_is_never_shown_to_a_host_the_file_does_not_name(
    ticketing: Helpdesk, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "systems").mkdir()
    text = TEXT.replace("probe:", 'hosts: ["*.helpdesk.example"]\nprobe:', 1)
    (tmp_path / "systems" / "helpdesk.yaml").write_text(text)
    settings.SYSTEMS_PATH = (str(tmp_path / "systems"),)

    with pytest.raises(ConnectorError, match="may not be at this address"):
        connector(ACTIONS[Proof.NONE]).preview(ACTIONS[Proof.NONE])
