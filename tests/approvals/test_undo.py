"""Undoing a done effect: another request, approved by itself, that leads the first to its end."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from approvals.exceptions import NotAuthorised, NotReversible, Paused, WrongState
from approvals.models import ActionRequest, Compensation
from approvals.services import agents
from approvals.services.agent_replies import withdraw
from approvals.services.deadlines import expire
from approvals.services.execute import execute
from approvals.services.undo import propose_undo
from connectors.sandbox.server import Sandbox
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    approve_with_edits,
    fresh,
    look_at,
    make_access,
    make_crm,
    make_older,
    make_request,
    publish,
    reject,
)
from tests.approvals.story import DECIDED, DONE, INTAKE, ROUTED, assert_story, codes
from tests.connectors.make import change_row


def done(cast: Cast) -> ActionRequest:
    """A record change from "qualified" to "won", carried out."""
    request = make_crm(cast)
    approve(request, cast.otto)
    execute(request.pk)
    assert fresh(request).state == "audited"
    return request


def undo_of(request: ActionRequest) -> ActionRequest:
    return propose_undo(request.pk).request


def stage(sandbox: Sandbox) -> str:
    path = sandbox.records_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as records:
        (found,) = records.execute("SELECT stage FROM accounts WHERE id = 'acct_2001'").fetchone()
    return str(found)


ORIGINAL = [*ROUTED, *DECIDED, *DONE]


def test_an_undo_is_approved_by_itself_and_restores_what_was(cast: Cast, sandbox: Sandbox) -> None:
    before = stage(sandbox)
    original = done(cast)
    assert stage(sandbox) == "won"

    undo = undo_of(original)
    execute(undo.pk)
    assert_story(undo, "pending_approval", ROUTED)
    assert stage(sandbox) == "won"
    approve(undo, cast.oona)
    execute(undo.pk)

    assert stage(sandbox) == before
    assert_story(undo, "audited", [*ROUTED, *DECIDED, *DONE])
    assert_story(
        original, "compensated", [*ORIGINAL, "compensation.proposed", "request.compensated"]
    )
    assert undo.compensates == original
    assert len(sandbox.effects("records")) == 2


def test_there_is_one_undo_while_one_is_open_or_done(cast: Cast, sandbox: Sandbox) -> None:
    original = done(cast)
    undo = undo_of(original)

    again = propose_undo(original.pk, reason="worded otherwise")
    assert (again.request, again.replayed) == (undo, True)
    approve(undo, cast.oona)
    execute(undo.pk)
    after = propose_undo(original.pk)

    assert (after.request, after.replayed) == (undo, True)
    assert Compensation.objects.count() == 1
    assert codes(original).count("compensation.proposed") == 1


def rejected(undo: ActionRequest, cast: Cast, sandbox: Sandbox) -> str:
    reject(undo, cast.oona)
    return "rejected"


def withdrawn(undo: ActionRequest, cast: Cast, sandbox: Sandbox) -> str:
    withdraw(undo.pk, agent=cast.agent)
    return "withdrawn"


def expired(undo: ActionRequest, cast: Cast, sandbox: Sandbox) -> str:
    make_older(undo, timedelta(hours=8))
    assert expire(undo.pk)
    return "expired"


def denied_at_execution(undo: ActionRequest, cast: Cast, sandbox: Sandbox) -> str:
    approve(undo, cast.oona)
    publish(cast, NO_RECORD_CHANGES)
    execute(undo.pk)
    publish(cast)
    return "denied"


def denied_after_an_edit(undo: ActionRequest, cast: Cast, sandbox: Sandbox) -> str:
    publish(cast, NO_RECORD_CHANGES)
    approve_with_edits(
        undo.pk,
        decider=cast.oona,
        reviewed=look_at(undo, cast.oona),
        params={"record": "acct_2001", "fields": {"stage": "lost"}},
        reason_code="corrected",
    )
    publish(cast)
    return "denied"


NO_RECORD_CHANGES = (
    "effect: require_approval\n    requirements:\n      - {group: operations}",
    "effect: deny",
)


@pytest.mark.parametrize(
    "end", [rejected, withdrawn, expired, denied_at_execution, denied_after_an_edit]
)
def test_an_undo_that_came_to_nothing_frees_the_place_for_another(
    cast: Cast, sandbox: Sandbox, end: object
) -> None:
    original = done(cast)
    undo = undo_of(original)

    state = end(undo, cast, sandbox)  # type: ignore[operator]

    assert fresh(undo).state == state
    assert_story(original, "audited", [*ORIGINAL, "compensation.proposed", "compensation.ended"])
    second = undo_of(original)
    assert second != undo
    assert fresh(second).state == "pending_approval"


def test_an_undo_policy_denies_at_once_frees_the_place_too(cast: Cast) -> None:
    original = done(cast)
    publish(cast, NO_RECORD_CHANGES)

    undo = undo_of(original)

    assert_story(undo, "denied", [*INTAKE, "request.denied"])
    assert codes(original)[-2:] == ["compensation.proposed", "compensation.ended"]
    assert not Compensation.objects.filter(is_active=True).exists()


def test_what_cannot_be_taken_back_is_not_promised(cast: Cast) -> None:
    irreversible = make_request(cast.agent)
    execute(irreversible.pk)
    known = codes(irreversible)

    with pytest.raises(NotReversible):
        propose_undo(irreversible.pk)

    assert_story(irreversible, "audited", known)
    assert ActionRequest.objects.count() == 1


def test_what_was_not_done_is_not_undone(cast: Cast) -> None:
    pending, ended = make_crm(cast), make_crm(cast, stage="lost")
    reject(ended, cast.otto)

    for request in (pending, ended):
        known = codes(request)
        with pytest.raises(WrongState):
            propose_undo(request.pk)
        assert codes(request) == known


def test_who_opens_the_undo_does_not_decide_it(cast: Cast) -> None:
    original = done(cast)
    with pytest.raises(NotAuthorised):
        propose_undo(original.pk, person=cast.fred)
    with pytest.raises(NotAuthorised):
        propose_undo(original.pk, person=cast.owner)

    undo = propose_undo(original.pk, person=cast.otto, reason="wrong account").request

    with pytest.raises(NotAuthorised) as refused:
        approve(undo, cast.otto)
    approve(undo, cast.oona)
    assert refused.value.code == "four_eyes"
    assert fresh(undo).state == "approved"


def test_a_paused_agents_deed_is_undone_by_a_person_and_not_by_the_agent(
    cast: Cast, sandbox: Sandbox
) -> None:
    before = stage(sandbox)
    original = done(cast)
    agents.pause_agent(cast.agent.pk, actor=INSTALLER, reason="rogue")

    with pytest.raises(Paused):
        propose_undo(original.pk)
    undo = propose_undo(original.pk, person=cast.otto).request
    approve(undo, cast.oona)
    execute(undo.pk)

    assert stage(sandbox) == before
    assert fresh(original).state == "compensated"


def test_an_undo_of_what_somebody_changed_since_goes_back_to_people(
    cast: Cast, sandbox: Sandbox
) -> None:
    original = done(cast)
    undo = undo_of(original)
    approve(undo, cast.oona)
    change_row(sandbox, "UPDATE accounts SET stage = 'lost' WHERE id = 'acct_2001'")

    execute(undo.pk)

    assert stage(sandbox) == "lost"
    assert_story(
        undo, "pending_approval", [*ROUTED, *DECIDED, "grant.revoked", "request.invalidated"]
    )
    assert fresh(original).state == "audited"


def test_giving_access_back_takes_two_groups_again(cast: Cast, sandbox: Sandbox) -> None:
    original = make_access(cast)
    approve(original, cast.sara, cast.otto)
    execute(original.pk)

    undo = undo_of(original)
    approve(undo, cast.otto)

    assert undo.action_type == "access.revoke"
    assert fresh(undo).state == "pending_approval"
    approve(undo, cast.sara)
    execute(undo.pk)
    assert fresh(original).state == "compensated"
