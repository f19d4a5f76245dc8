"""What every operation of every vendor's file keeps, over the wire and by its proof."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from connectors.base import Action, ConnectorError, OutcomeUnknown
from connectors.catalogue import Proof, Reversibility
from connectors.declared.connector import DeclaredConnector, wire_key
from connectors.params import validate_params
from tests.hanging import hanging_system
from tests.vendors.catalogue import SUBJECTS, VENDORS, Subject
from tests.vendors.conftest import KEY, Bench

each = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


def of(*proofs: Proof) -> pytest.MarkDecorator:
    """Every operation that is kept at most once in one of these ways."""
    chosen = [one for one in SUBJECTS if one.operation.type.at_most_once.proof in proofs]
    return pytest.mark.parametrize("subject", chosen, ids=str)


LOST = ["apply_then_reset", "apply_then_500", "half_body"]
SLOW = ["apply_then_hang", "trickle"]


def test_every_vendor_has_a_double_and_every_operation_a_case() -> None:
    declared = {(v.name, one.type.key) for v in VENDORS.values() for one in v.file.operations}

    assert {(one.vendor.name, one.case.operation) for one in SUBJECTS} == declared


@each
def test_a_preview_shows_names_and_what_would_change(bench: Bench) -> None:
    preview = bench.connector.preview(bench.action)

    assert validate_params(bench.operation.type, bench.action.params) == []
    assert "problem" not in preview.after
    assert preview.before != preview.after
    assert any(bench.subject.case.shows in one.title for one in preview.evidence)
    assert bench.subject.case.shows in preview.sentence
    assert preview == bench.connector.preview(bench.action)
    assert bench.double.writes == 0
    assert bench.double.applied == []


@each
def test_one_write_has_one_effect_and_is_read_back(bench: Bench) -> None:
    receipt = bench.execute()

    assert receipt.reference
    assert (len(bench.double.applied), bench.double.writes) == (1, 1)
    read_back = bench.connector.verify(bench.action, receipt)
    assert read_back.differences == ()
    assert read_back.observed


@each
def test_a_tampered_effect_is_noticed(bench: Bench) -> None:
    receipt = bench.execute()

    bench.subject.case.tampered(bench.double, receipt)

    assert bench.connector.verify(bench.action, receipt).differences


@each
@pytest.mark.parametrize("mode", LOST)
def test_a_lost_answer_is_unknown_after_one_write(bench: Bench, mode: str) -> None:
    guard = bench.guard()
    bench.double.plan(mode)

    try:
        bench.execute(guard=guard)
        is_whole = True
    except OutcomeUnknown:
        is_whole = False

    assert (len(bench.double.applied), bench.double.writes) == (1, 1)
    assert is_whole == (mode == "half_body" and _answers_without_body(bench))


@each
@pytest.mark.parametrize("mode", SLOW)
def test_a_call_out_of_time_is_unknown_after_one_write(
    bench: Bench, settings: Settings, mode: str
) -> None:
    guard = bench.guard()
    bench.double.plan(mode)
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=1)

    try:
        bench.execute(guard=guard)
        is_whole = True
    except OutcomeUnknown:
        is_whole = False

    bench.double.come_to_rest()
    assert (len(bench.double.applied), bench.double.writes) == (1, 1)
    assert is_whole == (mode == "trickle" and _answers_without_body(bench))


@each
@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("mode", ["answer", "apply_then_answer"])
def test_an_error_of_the_target_is_one_write_whether_or_not_it_was_applied(
    bench: Bench, mode: str, status: int
) -> None:
    guard = bench.guard()
    bench.double.plan(mode, status=status, headers={"Retry-After": "7"}, body="<h1>Sorry</h1>")

    with pytest.raises((OutcomeUnknown, ConnectorError)) as failed:
        bench.execute(guard=guard)

    assert bench.double.writes == 1
    assert isinstance(failed.value, OutcomeUnknown) or failed.value.retry_after is not None


@each
def test_a_reset_before_the_effect_is_one_write(bench: Bench) -> None:
    guard = bench.guard()
    bench.double.plan("reset")

    with pytest.raises(OutcomeUnknown):
        bench.execute(guard=guard)

    assert (len(bench.double.applied), bench.double.writes) == (0, 1)


@each
def test_a_busy_target_is_left_alone_as_long_as_it_asks(bench: Bench) -> None:
    guard = bench.guard()
    bench.double.plan("answer", status=429, headers={"Retry-After": "7"}, body="{}")

    with pytest.raises(ConnectorError) as busy:
        bench.execute(guard=guard)

    assert not busy.value.permanent
    assert busy.value.retry_after == timedelta(seconds=7)
    assert (len(bench.double.applied), bench.double.writes) == (0, 1)


@each
def test_a_read_that_is_answered_busy_waits_as_long_as_it_asks(bench: Bench) -> None:
    bench.double.plan_reads("answer", status=429, headers={"Retry-After": "7"}, body="{}")

    with pytest.raises(ConnectorError) as busy:
        bench.connector.preview(bench.action)

    assert not busy.value.permanent
    assert busy.value.retry_after == timedelta(seconds=7)


@each
def test_a_redirect_is_never_followed(bench: Bench) -> None:
    guard = bench.guard()
    with hanging_system() as elsewhere:
        bench.double.plan("answer", status=307, headers={"Location": elsewhere.address})

        with pytest.raises(OutcomeUnknown):
            bench.execute(guard=guard)

        assert elsewhere.callers == []
    assert bench.double.writes == 1


@each
def test_only_hosts_of_the_card_are_shown_the_credential(bench: Bench, settings: Settings) -> None:
    card = bench.subject.vendor.file.card
    assert card.hosts
    settings.TRUSTED_RELAYS = []
    with hanging_system() as other:
        connector = DeclaredConnector(
            bench.subject.vendor.file, other.address, bench.double.credential
        )

        with pytest.raises(ConnectorError, match="may not be at this address"):
            connector.preview(bench.action)

        assert other.callers == []


@each
def test_no_error_tells_the_credential(bench: Bench) -> None:
    guard, credential = bench.guard(), bench.double.credential
    parts = {credential, credential.rpartition(":")[2]}
    parts.add(base64.b64encode(credential.encode()).decode())
    for status in (400, 403, 500):
        body = json.dumps(bench.double.error(status, "echo", f"{sorted(parts)} is no credential"))
        bench.double.plan("answer", status=status, body=body)

        with pytest.raises((ConnectorError, OutcomeUnknown)) as failed:
            bench.execute(guard=guard)

        bench.double.faults.clear()
        assert not any(part in str(failed.value) for part in parts)


@each
def test_the_key_is_as_the_vendor_takes_it(bench: Bench) -> None:
    card = bench.subject.vendor.file.card

    for key in (KEY, "f" * 64):
        assert re.fullmatch(bench.double.key_form, wire_key(card, key))
    assert wire_key(card, KEY) != wire_key(card, "f" * 64)


@each
def test_an_effect_is_undone_or_its_undo_honestly_refused(bench: Bench) -> None:
    before = bench.connector.preview(bench.action).before
    receipt = bench.execute()
    kind = bench.operation.type

    if not kind.undo_type:
        assert kind.reversibility is Reversibility.IRREVERSIBLE
        with pytest.raises(ConnectorError) as refusal:
            bench.connector.compensate(bench.action, receipt)
        assert (refusal.value.permanent, refusal.value.code) == (True, "irreversible")
        return

    undo = bench.connector.compensate(bench.action, receipt)
    by = bench.subject.vendor.operation(undo.type).type
    assert validate_params(by, undo.params) == []
    guard = bench.connector.preview(undo).guard
    undone = bench.connector.execute(undo, idempotency_key="f" * 64, guard=guard)
    assert bench.connector.verify(undo, undone).matches
    if bench.subject.case.is_undone_exactly:
        assert bench.connector.preview(bench.action).before == before


@of(Proof.KEYED)
def test_keyed_the_same_call_again_is_the_same_answer(bench: Bench) -> None:
    guard = bench.lose_the_answer()

    receipt = bench.execute(guard=guard)

    assert len(bench.double.applied) == 1
    assert bench.connector.verify(bench.action, receipt).matches
    assert bench.execute(guard=guard).reference == receipt.reference


@of(Proof.KEYED)
def test_keyed_another_body_under_that_key_has_no_effect(bench: Bench) -> None:
    bench.execute()
    other = Action(bench.action.type, {**bench.action.params, **bench.subject.case.other_params})
    assert other != bench.action

    with pytest.raises((OutcomeUnknown, ConnectorError)):
        bench.connector.execute(other, idempotency_key=KEY, guard=bench.guard())

    assert len(bench.double.applied) == 1


@of(Proof.NAMED)
def test_named_a_second_one_is_refused_and_an_edit_meanwhile_survives(bench: Bench) -> None:
    guard = bench.lose_the_answer()
    found = bench.connector.look_up(bench.action, idempotency_key=KEY)
    assert found is not None
    assert bench.subject.case.survives is not None
    still_there = bench.subject.case.survives(bench.double, found)

    with pytest.raises(ConnectorError) as refused:
        bench.execute(guard=guard)

    assert refused.value.code == "conflict"
    assert len(bench.double.applied) == 1
    assert still_there()


@of(Proof.GUARDED)
def test_guarded_a_target_that_moved_refuses_and_nothing_happens(bench: Bench) -> None:
    guard = bench.guard()
    assert guard
    assert bench.subject.case.moved is not None
    bench.subject.case.moved(bench.double, None)

    with pytest.raises(ConnectorError) as refused:
        bench.execute(guard=guard)

    assert (refused.value.code, refused.value.permanent) == ("conflict", True)
    assert bench.double.applied == []


@of(Proof.GUARDED)
def test_guarded_a_second_write_is_refused_and_has_no_effect(bench: Bench) -> None:
    guard = bench.lose_the_answer()

    with pytest.raises(ConnectorError) as refused:
        bench.execute(guard=guard)

    assert refused.value.code == "conflict"
    assert len(bench.double.applied) == 1


@of(Proof.SETTLED)
def test_settled_never_claims_that_it_may_be_repeated(bench: Bench) -> None:
    promise = bench.operation.type.at_most_once
    assert (promise.may_repeat, promise.can_look_up) == (False, False)
    receipt = bench.execute()

    bench.subject.case.tampered(bench.double, receipt)  # as if somebody had taken it back

    assert bench.connector.verify(bench.action, receipt).differences


@of(Proof.NONE)
def test_none_promises_nothing(bench: Bench) -> None:
    promise = bench.operation.type.at_most_once

    assert (promise.may_repeat, promise.can_look_up) == (False, False)
    bench.lose_the_answer()
    assert bench.connector.look_up(bench.action, idempotency_key=KEY) is None


def _that_can_be_looked_up() -> Iterator[Subject]:
    for one in SUBJECTS:
        if one.operation.type.at_most_once.can_look_up:
            yield one


@pytest.mark.parametrize("subject", [*_that_can_be_looked_up()], ids=str)
def test_what_can_be_looked_up_is_found_after_a_lost_answer_and_not_before(bench: Bench) -> None:
    assert bench.connector.look_up(bench.action, idempotency_key=KEY) is None

    bench.lose_the_answer()

    found = bench.connector.look_up(bench.action, idempotency_key=KEY)
    assert found is not None
    assert bench.connector.verify(bench.action, found).matches
    if bench.operation.type.at_most_once.proof is not Proof.NAMED:
        assert bench.connector.look_up(bench.action, idempotency_key="f" * 64) is None


@pytest.mark.parametrize("subject", [*_that_can_be_looked_up()], ids=str)
def test_what_is_found_is_what_the_answer_would_have_said(bench: Bench) -> None:
    receipt = bench.execute()

    found = bench.connector.look_up(bench.action, idempotency_key=KEY)

    assert found is not None
    assert found.reference == receipt.reference


@pytest.mark.parametrize("subject", [*_that_can_be_looked_up()], ids=str)
def test_a_look_up_that_fails_never_says_that_nothing_was_found(bench: Bench) -> None:
    bench.lose_the_answer()
    for status in (401, 403, 429, 500, 503):
        bench.double.plan_reads("answer", status=status, body="{}")

        with pytest.raises(ConnectorError):
            bench.connector.look_up(bench.action, idempotency_key=KEY)

        bench.double.faults.clear()


def _answers_without_body(bench: Bench) -> bool:
    """Whether nothing can be missing from its answer, as in a 204."""
    writes = [one for one in bench.double.heard if one.method != "GET"]
    return bool(writes) and writes[-1].answer is None
