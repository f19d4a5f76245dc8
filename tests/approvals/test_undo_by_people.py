"""An undo a person opened is people's: the agent whose action it undoes cannot get in its way."""

from __future__ import annotations

import pytest

from approvals.exceptions import InvalidProposal, NotAllowedForAgent, WrongState
from approvals.models import ActionRequest
from approvals.services import agents
from approvals.services.agent_replies import answer, withdraw
from approvals.services.execute import execute
from approvals.services.propose import propose
from approvals.services.undo import propose_undo
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    ask,
    crm,
    fresh,
    make_crm,
    make_proposal,
    make_request,
)
from tests.approvals.story import snapshot


@pytest.fixture
def original(cast: Cast) -> ActionRequest:
    """A record change, carried out and closed."""
    request = make_crm(cast)
    approve(request, cast.otto)
    execute(request.pk)
    return fresh(request)


def undo_by(cast: Cast, original: ActionRequest) -> ActionRequest:
    return propose_undo(original.pk, person=cast.oona, reason="Wrong account.").request


@pytest.mark.parametrize("paused", [False, True])
def test_the_agent_withdraws_and_answers_nothing_a_person_opened(
    cast: Cast, original: ActionRequest, paused: bool
) -> None:
    if paused:
        agents.pause_agent(cast.agent.pk, actor=INSTALLER, reason="rogue")
    undo = undo_by(cast, original)
    before = snapshot(undo)

    with pytest.raises(NotAllowedForAgent) as withdrawing:
        withdraw(undo.pk, agent=cast.agent, reason="nah")
    with pytest.raises(NotAllowedForAgent) as answering:
        answer(undo.pk, agent=cast.agent, body="All is well.")

    assert (withdrawing.value.code, answering.value.code) == ("opened_by_person",) * 2
    assert snapshot(undo) == before


def test_the_agent_replaces_nothing_a_person_opened(cast: Cast, original: ActionRequest) -> None:
    undo = undo_by(cast, original)
    before = snapshot(undo)

    with pytest.raises(InvalidProposal) as refused:
        make_request(cast.agent, crm(stage="lost"), action_type="crm.update", supersedes=undo.pk)

    assert [problem.field for problem in refused.value.problems] == ["supersedes"]
    assert snapshot(undo) == before
    assert ActionRequest.objects.count() == 2


def test_no_idempotency_key_of_the_agent_s_stands_in_the_way(
    cast: Cast, original: ActionRequest
) -> None:
    for key in (f"undo:{original.pk}:1", f"undo:{original.pk}:2"):
        propose(make_proposal(), agent=cast.agent, idempotency_key=key)

    undo = undo_by(cast, original)

    assert undo.compensates == original
    assert undo.requested_by == cast.oona
    assert " " in undo.idempotency_key


def test_the_agent_still_takes_back_an_undo_of_its_own(cast: Cast, original: ActionRequest) -> None:
    undo = propose_undo(original.pk).request

    withdraw(undo.pk, agent=cast.agent)

    assert fresh(undo).state == "withdrawn"
    assert undo_by(cast, original).pk != undo.pk


def test_nobody_is_asked_who_could_not_answer(cast: Cast, original: ActionRequest) -> None:
    undo = undo_by(cast, original)
    before = snapshot(undo)

    with pytest.raises(WrongState) as refused:
        ask(undo, cast.otto)

    assert refused.value.code == "opened_by_person"
    assert "oona" in str(refused.value)
    assert snapshot(undo) == before
