"""What every connector promises, asked of every action type, over the real protocols."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectors.base import Action, ConnectorError
from connectors.catalogue import Proof, Reversibility
from connectors.params import validate_params
from connectors.registry import action_type, action_types, connector_for
from connectors.sandbox.server import Sandbox
from tests.connectors.make import EXAMPLES, Example, change_row, effects_of


def _each(examples: Iterable[Example]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", list(examples), ids=lambda example: example.key)


every = _each(EXAMPLES)
# A mail sent twice is two mails; it bears our mark and is looked up instead.
repeatable = _each(
    example for example in EXAMPLES if action_type(example.key).at_most_once.may_repeat
)
changing = _each(
    example
    for example in EXAMPLES
    if example.key not in {"email.send", "draft.reply", "robot.run"}  # they only add
)


def test_every_action_type_has_an_example_here() -> None:
    assert {example.key for example in EXAMPLES} == {item.key for item in action_types()}


@every
def test_the_example_is_valid_and_has_a_target_and_a_sentence(
    sandbox: Sandbox, example: Example
) -> None:
    action, kind = example.prepared(), action_type(example.key)

    assert validate_params(kind, action.params) == []
    assert kind.target(action.params)
    assert kind.effect(action.params).endswith(".")
    assert "\n" not in kind.effect(action.params)
    assert kind.undo.endswith(".")


@every
def test_a_preview_shows_the_target_before_and_after(sandbox: Sandbox, example: Example) -> None:
    action = example.prepared()

    preview = example.connector.preview(action)

    assert preview.after
    assert "problem" not in preview.after
    assert preview.before != preview.after
    assert len(preview.target_version) == 64
    assert preview.target_version == example.connector.preview(action).target_version
    assert preview.unavailable == ""


@every
def test_previewing_changes_nothing(sandbox: Sandbox, example: Example) -> None:
    action = example.prepared()
    before = effects_of(sandbox, example)

    example.connector.preview(action)

    assert effects_of(sandbox, example) == before


@every
def test_an_executed_action_has_one_effect_and_is_read_back(
    sandbox: Sandbox, example: Example
) -> None:
    action = example.prepared()

    receipt = example.connector.execute(action, idempotency_key="key-1")

    assert receipt.reference
    assert receipt.summary
    assert len(effects_of(sandbox, example)) == 1
    read_back = example.connector.verify(action, receipt)
    assert read_back.differences == ()
    assert read_back.matches
    assert read_back.observed


def test_everything_but_mail_may_be_repeated_with_its_key() -> None:
    kept = {item.key: item.at_most_once for item in action_types()}

    assert [key for key, promise in kept.items() if not promise.may_repeat] == ["email.send"]
    assert kept["email.send"].proof is Proof.MARKED


@repeatable
def test_the_same_key_again_has_no_second_effect(sandbox: Sandbox, example: Example) -> None:
    action = example.prepared()
    first = example.connector.execute(action, idempotency_key="key-1")

    again = example.connector.execute(action, idempotency_key="key-1")

    assert again == first
    assert len(effects_of(sandbox, example)) == 1


@repeatable
def test_eight_callers_with_one_key_have_one_effect(sandbox: Sandbox, example: Example) -> None:
    action = example.prepared()

    def execute(_: int) -> str:
        return example.connector.execute(action, idempotency_key="key-1").reference

    with ThreadPoolExecutor(8) as pool:
        references = set(pool.map(execute, range(8)))

    assert len(references) == 1
    assert len(effects_of(sandbox, example)) == 1


@every
def test_a_key_can_be_looked_up_after_and_not_before(sandbox: Sandbox, example: Example) -> None:
    action = example.prepared()
    assert action_type(example.key).at_most_once.can_look_up
    assert example.connector.look_up(action, idempotency_key="key-1") is None

    receipt = example.connector.execute(action, idempotency_key="key-1")

    found = example.connector.look_up(action, idempotency_key="key-1")
    assert found is not None
    assert found.reference == receipt.reference
    assert found.pre_image == receipt.pre_image
    assert example.connector.look_up(action, idempotency_key="key-2") is None


@every
def test_verification_notices_a_target_changed_behind_our_back(
    sandbox: Sandbox, example: Example
) -> None:
    action = example.prepared()
    receipt = example.connector.execute(action, idempotency_key="key-1")

    example.tamper(sandbox, receipt)

    read_back = example.connector.verify(action, receipt)
    assert not read_back.matches
    assert read_back.differences


@every
def test_an_effect_is_undone_or_its_undo_honestly_refused(
    sandbox: Sandbox, example: Example
) -> None:
    action, kind = example.prepared(), action_type(example.key)
    assert kind.undo_type == example.undone_by
    before = example.connector.preview(action).before
    receipt = example.connector.execute(action, idempotency_key="key-1")

    if not example.undone_by:
        assert kind.reversibility is Reversibility.IRREVERSIBLE
        with pytest.raises(ConnectorError) as refusal:
            example.connector.compensate(action, receipt)
        assert refusal.value.permanent
        return

    undo = example.connector.compensate(action, receipt)
    assert undo.type == example.undone_by
    assert validate_params(action_type(undo.type), undo.params) == []
    connector = connector_for(action_type(undo.type))
    undone = connector.execute(undo, idempotency_key="key-2")
    assert connector.verify(undo, undone).matches
    if example.key not in {"vendor.pay", "draft.reply"}:  # their target keeps the history
        assert example.connector.preview(action).before == before


@changing
def test_the_target_version_changes_with_what_the_action_depends_on(
    sandbox: Sandbox, example: Example
) -> None:
    action = example.prepared()
    earlier = example.connector.preview(action).target_version

    example.connector.execute(action, idempotency_key="somebody-else")

    assert example.connector.preview(action).target_version != earlier


def test_the_pre_image_is_what_the_write_replaced_not_what_was_previewed(sandbox: Sandbox) -> None:
    action = Action("crm.update", {"record": "acct_2001", "fields": {"stage": "won"}})
    connector = connector_for(action_type("crm.update"))
    connector.preview(action)
    change_row(sandbox, "UPDATE accounts SET stage = 'negotiation' WHERE id = 'acct_2001'")

    receipt = connector.execute(action, idempotency_key="key-1")

    assert receipt.pre_image == {"stage": "negotiation"}
