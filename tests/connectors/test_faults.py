"""Every way an answer can be lost, and what each proves about the effect."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from connectors.base import Action, ConnectorError, OutcomeUnknown
from connectors.registry import action_type, connector_for
from connectors.sandbox.server import Sandbox
from tests.connectors.make import CONFIG, EMAIL, OVER_HTTP, REFUND, Example, effects_of, plan_fault

over_http = pytest.mark.parametrize("example", OVER_HTTP, ids=lambda example: example.key)
_WRITES = {"directory": "PATCH", "changes": "PUT"}
_TIMEOUT = 0.5  # seconds


@pytest.fixture(autouse=True)
def impatient(sandbox: Sandbox, settings: Settings) -> None:
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=_TIMEOUT)


def break_the_write(sandbox: Sandbox, example: Example, mode: str, seconds: float = 20.0) -> None:
    plan_fault(
        sandbox,
        example.system,
        mode=mode,
        seconds=seconds,
        method=_WRITES.get(example.system, "POST"),
    )


@over_http
@pytest.mark.parametrize(
    "mode", ["apply_then_hang", "apply_then_500", "apply_then_reset", "half_body", "trickle"]
)
def test_a_lost_answer_is_unknown_then_found_and_never_done_twice(
    sandbox: Sandbox, example: Example, mode: str
) -> None:
    action = example.prepared()
    break_the_write(sandbox, example, mode)

    with pytest.raises(OutcomeUnknown):
        example.connector.execute(action, idempotency_key="key-1")

    assert len(effects_of(sandbox, example)) == 1
    found = example.connector.look_up(action, idempotency_key="key-1")
    assert found is not None
    again = example.connector.execute(action, idempotency_key="key-1")
    assert again.reference == found.reference
    assert again.pre_image == found.pre_image
    assert len(effects_of(sandbox, example)) == 1
    assert example.connector.verify(action, again).matches


@over_http
@pytest.mark.parametrize("mode", ["error_500", "reset", "busy", "apply_then_hang", "trickle"])
def test_whatever_comes_of_it_one_write_is_on_the_wire(
    sandbox: Sandbox, example: Example, mode: str
) -> None:
    action = example.prepared()
    before = sandbox.writes(example.system)
    break_the_write(sandbox, example, mode)

    with pytest.raises((OutcomeUnknown, ConnectorError)):
        example.connector.execute(action, idempotency_key="key-1")

    assert sandbox.writes(example.system) == before + 1


@over_http
@pytest.mark.parametrize("mode", ["error_500", "reset"])
def test_a_failure_before_the_effect_is_unknown_too_and_found_to_be_nothing(
    sandbox: Sandbox, example: Example, mode: str
) -> None:
    action = example.prepared()
    break_the_write(sandbox, example, mode)

    with pytest.raises(OutcomeUnknown):
        example.connector.execute(action, idempotency_key="key-1")

    assert effects_of(sandbox, example) == []
    assert example.connector.look_up(action, idempotency_key="key-1") is None


@over_http
def test_a_slow_answer_within_the_time_is_an_answer(sandbox: Sandbox, example: Example) -> None:
    action = example.prepared()
    break_the_write(sandbox, example, "slow", seconds=0.2)

    receipt = example.connector.execute(action, idempotency_key="key-1")

    assert example.connector.verify(action, receipt).matches


@pytest.mark.parametrize("example", [REFUND, CONFIG], ids=lambda example: example.key)
def test_an_effect_that_comes_after_we_gave_up_is_found_later(
    sandbox: Sandbox, example: Example
) -> None:
    action = example.prepared()
    break_the_write(sandbox, example, "slow", seconds=_TIMEOUT + 0.3)

    with pytest.raises(OutcomeUnknown):
        example.connector.execute(action, idempotency_key="key-1")

    assert effects_of(sandbox, example) == []
    deadline = time.monotonic() + 5
    while not effects_of(sandbox, example) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert example.connector.look_up(action, idempotency_key="key-1") is not None


@over_http
@pytest.mark.parametrize(("mode", "permanent"), [("refuse", True), ("busy", False)])
def test_a_definite_refusal_says_whether_it_may_go_away(
    sandbox: Sandbox, example: Example, mode: str, permanent: bool
) -> None:
    action = example.prepared()
    break_the_write(sandbox, example, mode)

    with pytest.raises(ConnectorError) as refusal:
        example.connector.execute(action, idempotency_key="key-1")

    assert refusal.value.permanent is permanent
    assert effects_of(sandbox, example) == []


@pytest.mark.parametrize("example", [REFUND, CONFIG], ids=lambda example: example.key)
@pytest.mark.parametrize("mode", ["error_500", "reset", "half_body", "slow", "trickle", "busy"])
def test_a_broken_read_is_an_error_that_may_go_away(
    sandbox: Sandbox, example: Example, mode: str
) -> None:
    action = example.prepared()
    plan_fault(sandbox, example.system, mode=mode, seconds=20, method="GET", times=2)

    with pytest.raises(ConnectorError) as unread:
        example.connector.preview(action)

    assert not unread.value.permanent


@over_http
def test_a_wrong_credential_is_a_permanent_refusal_that_does_not_show_it(
    sandbox: Sandbox, settings: Settings, example: Example
) -> None:
    action = example.prepared()
    secret = "wrong-credential-1234567890"
    settings.CONNECTORS = {
        **settings.CONNECTORS,
        example.system: {
            **settings.CONNECTORS[example.system],
            "api_key": secret,
            "token": secret,
        },
    }

    with pytest.raises(ConnectorError) as refusal:
        connector_for(action_type(example.key)).execute(action, idempotency_key="key-1")

    assert refusal.value.permanent
    assert secret not in str(refusal.value)


@over_http
def test_a_key_used_for_something_else_is_unknown_because_an_effect_exists(
    sandbox: Sandbox, example: Example
) -> None:
    action = example.prepared()
    example.connector.execute(action, idempotency_key="key-1")
    other = {
        "refund.issue": {"amount": "1.00"},
        "vendor.pay": {"amount": "1.00"},
        "vendor.bank_account": {"holder": "Somebody Else"},
        "vendor.reverse": {"amount": "1.00"},
        "access.grant": {"until": "2027-01-01"},
        "access.revoke": {"user": "jonas.weber"},
        "config.change": {"value": "1"},
        "shipment.reroute": {"depot": "BER-1"},
        "shipment.report": {"note": "by mail"},
        "robot.run": {"zone": "B"},
    }[example.key]

    with pytest.raises(OutcomeUnknown):
        example.connector.execute(
            Action(action.type, {**action.params, **other}), idempotency_key="key-1"
        )

    assert len(effects_of(sandbox, example)) == 1


@pytest.mark.parametrize("mode", ["apply_then_hang", "apply_then_reset"])
def test_mail_whose_acceptance_was_lost_is_unknown_and_found_in_the_archive(
    sandbox: Sandbox, mode: str
) -> None:
    action = EMAIL.prepared()
    plan_fault(sandbox, "email", mode=mode, path="/smtp")

    with pytest.raises(OutcomeUnknown):
        EMAIL.connector.execute(action, idempotency_key="key-1")

    found = EMAIL.connector.look_up(action, idempotency_key="key-1")
    assert found is not None
    assert EMAIL.connector.verify(action, found).matches


def test_mail_dropped_before_it_was_kept_is_unknown_and_found_to_be_nothing(
    sandbox: Sandbox,
) -> None:
    action = EMAIL.prepared()
    plan_fault(sandbox, "email", mode="reset", path="/smtp")

    with pytest.raises(OutcomeUnknown):
        EMAIL.connector.execute(action, idempotency_key="key-1")

    assert EMAIL.connector.look_up(action, idempotency_key="key-1") is None


@pytest.mark.parametrize(("mode", "permanent"), [("refuse", True), ("busy", False)])
def test_mail_the_server_refused_was_not_sent(sandbox: Sandbox, mode: str, permanent: bool) -> None:
    plan_fault(sandbox, "email", mode=mode, path="/smtp")

    with pytest.raises(ConnectorError) as refusal:
        EMAIL.connector.execute(EMAIL.prepared(), idempotency_key="key-1")

    assert refusal.value.permanent is permanent
    assert effects_of(sandbox, EMAIL) == []


def test_a_mail_sent_twice_is_noticed_by_verification(sandbox: Sandbox) -> None:
    action = EMAIL.prepared()
    receipt = EMAIL.connector.execute(action, idempotency_key="key-1")

    EMAIL.connector.execute(action, idempotency_key="key-1")

    assert not EMAIL.connector.verify(action, receipt).matches


def test_a_missing_customer_database_does_not_hide_the_mail_preview(
    sandbox: Sandbox, settings: Settings
) -> None:
    settings.CONNECTORS = {
        **settings.CONNECTORS,
        "records": {"url": "sqlite:////nonexistent-directory/records.sqlite3"},
    }

    preview = connector_for(action_type("email.send")).preview(EMAIL.prepared())

    assert preview.after["to"] == "customer1002@mail.example"
    assert preview.evidence == ()
    assert preview.facts == {"customer.known": False}
