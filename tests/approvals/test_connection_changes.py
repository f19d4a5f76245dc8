"""What an approval is good for when its connection changes, is paused or cannot be called now."""

from __future__ import annotations

import json

import pytest

from approvals.choices import PauseScope
from approvals.domain.attempts import call
from approvals.exceptions import Paused
from approvals.models import ActionRequest, Execution
from approvals.services import pauses
from approvals.services.connections import Terms
from approvals.services.execute import execute
from audit.actors import Actor
from audit.models import AuditEvent
from connectors.circuit import FAILURES, count_failure, keep_probe
from connectors.connections import forget_connections, route_of
from connectors.sandbox.server import Sandbox
from tests.approvals.executing import attempts, claimed, taken_over
from tests.approvals.make import Cast, approve, fresh, make_request, refund
from tests.connections import (
    INVOICE,
    PAYING,
    SECRET,
    VARIABLE,
    agreed,
    an_approved_refund,
    at,
    connect,
    terms,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)


def why_back(request: ActionRequest) -> str:
    events = AuditEvent.objects.filter(subject_id=str(request.pk), code="request.invalidated")
    return str(json.loads(events.latest("seq").data)["reason"])


# --- What an approval is good for ----------------------------------------------------------------


def moved(cast: Cast, second: Sandbox) -> Terms:
    return terms(cast, values=at(second), action_types=("refund.issue",))


def test_binding_it_otherwise_after_the_approval_sends_it_back_and_says_why(
    cast: Cast, sandbox: Sandbox, second: Sandbox
) -> None:
    request = an_approved_refund(cast)
    agreed(cast, moved(cast, second))

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert "through the connection payments and would go through payments-eu" in why_back(request)
    assert (sandbox.effects("payments"), second.effects("payments")) == ([], [])
    approve(request, cast.mona)
    execute(request.pk)
    assert len(second.effects("payments")) == 1
    assert sandbox.effects("payments") == []


def test_another_address_of_the_same_connection_sends_it_back_too(
    cast: Cast, sandbox: Sandbox, second: Sandbox
) -> None:
    connect(terms(cast, values=at(sandbox), action_types=("refund.issue",)))
    request = an_approved_refund(cast)
    agreed(cast, moved(cast, second))

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert "payments-eu leads elsewhere" in why_back(request)
    assert (sandbox.effects("payments"), second.effects("payments")) == ([], [])


def test_a_rotated_secret_in_the_same_place_sends_nothing_back(
    cast: Cast, second: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "sk_test_before")
    connect(moved(cast, second))
    before = route_of("refund.issue", "payments")

    monkeypatch.setenv(VARIABLE, SECRET)

    after = route_of("refund.issue", "payments")
    assert before is not None
    assert after is not None
    assert after.config["api_key"] == SECRET
    assert before.reference == after.reference


def test_a_connection_that_changes_between_claim_and_call_gets_nothing(
    cast: Cast, sandbox: Sandbox, second: Sandbox
) -> None:
    request = an_approved_refund(cast)
    claim = claimed(request)
    connect(moved(cast, second))

    outcome = call(claim)

    assert "not the one it was approved for" in str(outcome)
    assert (sandbox.effects("payments"), second.effects("payments")) == ([], [])


def test_what_was_done_is_looked_for_where_it_was_done(
    cast: Cast, sandbox: Sandbox, second: Sandbox
) -> None:
    """The villain here is a worker that dies; a look into the other account would pay twice."""
    request = an_approved_refund(cast)
    call(claimed(request))
    connect(moved(cast, second))

    taken_over(request)

    assert fresh(request).state in {"verified", "audited"}
    assert (len(sandbox.effects("payments")), second.effects("payments")) == (1, [])


def test_a_paused_connection_stops_what_goes_through_it_and_nothing_else(
    cast: Cast, sandbox: Sandbox, second: Sandbox
) -> None:
    connect(terms(cast, values=at(second), action_types=PAYING))
    pauses.pause(
        PauseScope.CONNECTION, "payments-eu", actor=Actor.human(cast.mona), reason="odd answers"
    )

    with pytest.raises(Paused, match="Connection payments-eu is paused"):
        make_request(cast.agent, INVOICE, action_type="vendor.pay")
    refunded = an_approved_refund(cast)
    execute(refunded.pk)

    assert fresh(refunded).state in {"verified", "audited"}


# --- A circuit that is open, a budget that is spent ----------------------------------------------


def test_an_open_circuit_loses_no_action_and_spends_no_attempt(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = an_approved_refund(cast)
    for _ in range(FAILURES):
        count_failure("payments")

    execute(request.pk)

    assert fresh(request).state == "approved"
    assert not Execution.objects.exists()
    keep_probe("payments", "")
    execute(request.pk)
    assert fresh(request).state in {"verified", "audited"}


def test_an_execution_under_way_waits_for_the_circuit_to_close(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = an_approved_refund(cast)
    call(claimed(request))
    for _ in range(FAILURES):
        count_failure("payments")

    for _ in range(7):
        taken_over(request)

    assert fresh(request).state == "executing"
    assert attempts(request) == ["running"]
    keep_probe("payments", "")
    taken_over(request)
    assert fresh(request).state in {"verified", "audited"}
    assert len(sandbox.effects("payments")) == 1


def test_a_spent_budget_waits_for_the_next_minute(cast: Cast, sandbox: Sandbox) -> None:
    own = terms(cast, values=at(sandbox), action_types=("refund.issue",), calls_per_minute=1)
    request_before = an_approved_refund(cast)
    connect(own)

    waiting = make_request(cast.agent, refund("ch_1004", "610.00"))
    execute(request_before.pk)
    forget_connections()

    assert fresh(waiting).state == "pending_approval"
    assert fresh(request_before).state == "approved"
    assert sandbox.effects("payments") == []
