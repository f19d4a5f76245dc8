"""What every operation promises, asked of the real system it is carried out on."""

from __future__ import annotations

import pytest

from connectors.base import ConnectorError, OutcomeUnknown, Preview, Receipt
from connectors.params import validate_params
from connectors.registry import action_type, connector_for
from tests.peers.cases import CASES
from tests.peers.peer import Case, Peer
from tests.peers.proxy import LOSSES

pytestmark = pytest.mark.django_db

KEY = "5ba7" * 16
OTHER_KEY = "c0de" * 16


def _named(case: Case) -> str:
    return f"{case.key} on {case.peer}"


every = pytest.mark.parametrize("case", CASES, ids=_named)
guarded = pytest.mark.parametrize("case", [case for case in CASES if case.move], ids=_named)
over_a_wire = pytest.mark.parametrize(
    "case", [case for case in CASES if case.peer != "erp_on_sqlite"], ids=_named
)


@pytest.fixture
def peer(case: Case, request: pytest.FixtureRequest) -> Peer:
    found: Peer = request.getfixturevalue(case.peer)
    case.prepare(found)
    return found


def execute(case: Case, peer: Peer, preview: Preview, key: str = KEY) -> Receipt:
    return case.connector.execute(case.action(peer), idempotency_key=key, guard=preview.guard)


@every
def test_a_preview_names_who_is_meant_and_shows_before_and_after(case: Case, peer: Peer) -> None:
    action, kind = case.action(peer), action_type(case.key)

    preview = case.connector.preview(action)

    assert validate_params(kind, action.params) == []
    assert preview.before != preview.after
    assert "problem" not in preview.after
    said = str([(one.title, one.content) for one in preview.evidence])
    assert [name for name in case.names if name not in said] == []
    assert kind.undo.endswith(".")
    assert not case.is_done(peer)


@every
def test_it_is_done_once_and_read_back(case: Case, peer: Peer) -> None:
    preview = case.connector.preview(case.action(peer))

    receipt = execute(case, peer, preview)

    assert case.is_done(peer)
    assert receipt.reference
    assert dict(receipt.pre_image) == dict(preview.before)
    assert case.connector.verify(case.action(peer), receipt).differences == ()


@every
def test_a_repeat_has_no_second_effect(case: Case, peer: Peer) -> None:
    preview = case.connector.preview(case.action(peer))
    first = execute(case, peer, preview)

    may_repeat = action_type(case.key).at_most_once.may_repeat
    if case.move and not may_repeat:  # what was approved is no longer there
        with pytest.raises(ConnectorError) as refused:
            execute(case, peer, preview)
        assert refused.value.code == "conflict"
    else:
        again = execute(case, peer, preview)
        assert again == first if may_repeat else again.reference == first.reference
    assert case.is_done(peer)
    undo = case.connector.compensate(case.action(peer), first)
    assert undo.type == case.undone_by


@guarded
def test_a_target_that_moved_after_the_approval_refuses_the_write(case: Case, peer: Peer) -> None:
    preview = case.connector.preview(case.action(peer))
    assert case.move is not None
    case.move(peer)

    with pytest.raises(ConnectorError) as refused:
        execute(case, peer, preview)

    assert (refused.value.permanent, refused.value.code) == (True, "conflict")
    assert not case.is_done(peer)


@over_a_wire
@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_answer_is_unknown_after_one_write_and_reading_again_tells(
    case: Case, peer: Peer, loss: str
) -> None:
    action, kind = case.action(peer), action_type(case.key)
    with peer.losing(case, loss) as proxy:
        preview = case.connector.preview(action)
        with pytest.raises(OutcomeUnknown):
            execute(case, peer, preview)
        assert proxy.answered.wait(10)

    assert proxy.writes == 1
    assert case.is_done(peer)
    observed = case.connector.verify(action, Receipt("", "", {}))
    assert observed.differences == ()
    found = case.connector.look_up(action, idempotency_key=KEY)
    assert (found is not None) == kind.at_most_once.can_look_up
    if kind.at_most_once.may_repeat:
        assert execute(case, peer, preview).pre_image == preview.before


@every
def test_a_wrong_credential_is_refused_and_never_shown(case: Case, peer: Peer) -> None:
    preview = case.connector.preview(case.action(peer))
    peer.wrong_credential()

    with pytest.raises(ConnectorError) as unread:
        case.connector.preview(case.action(peer))
    with pytest.raises(ConnectorError) as refused:
        execute(case, peer, preview)

    # who a database does not let in, it may let in later: passwords are changed there first
    assert refused.value.permanent or action_type(case.key).system == "erp"
    assert peer.secret not in f"{unread.value} {refused.value} {refused.value.__cause__}"
    peer.configure()
    assert not case.is_done(peer)


@every
def test_it_is_undone_by_the_action_that_is_its_opposite(case: Case, peer: Peer) -> None:
    action = case.action(peer)
    before = case.connector.preview(action)
    receipt = execute(case, peer, before)

    undo = case.connector.compensate(action, receipt)

    assert undo.type == case.undone_by == action_type(case.key).undo_type
    assert validate_params(action_type(undo.type), undo.params) == []
    connector = connector_for(action_type(undo.type))
    guard = connector.preview(undo).guard
    undone = connector.execute(undo, idempotency_key=OTHER_KEY, guard=guard)
    assert connector.verify(undo, undone).matches
    assert not case.is_done(peer)
    assert case.connector.preview(action).before == before.before


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.peer.startswith("erp")], ids=_named
)
def test_what_is_so_already_is_not_taken_back(case: Case, peer: Peer) -> None:
    """The effect was there before: an undo would take away what somebody else gave."""
    action = case.action(peer)
    execute(case, peer, case.connector.preview(action))

    def again_and_undo() -> None:
        receipt = execute(case, peer, case.connector.preview(action), OTHER_KEY)
        case.connector.compensate(action, receipt)

    with pytest.raises(ConnectorError) as refused:
        again_and_undo()

    assert refused.value.code in {"irreversible", "already_so"}
    assert case.is_done(peer)
