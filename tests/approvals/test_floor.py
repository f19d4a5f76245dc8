"""A request is evaluated by policy and floor together, and both are on record with it."""

from __future__ import annotations

import json

import pytest

from approvals.models import ActionRequest, PolicyDecision
from approvals.selectors.request_view import RequestView
from approvals.services.execute import execute
from audit.events import AuditCode
from audit.models import AuditEvent
from connectors.sandbox.server import Sandbox
from policies.models import PolicyVersion, User
from policies.services.evaluation import versions_in_force
from policies.services.versions import DEFAULT_FLOOR, install_default_floor
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    crm,
    fresh,
    make_person,
    make_request,
    publish,
    refund,
)
from tests.approvals.story import facts_of
from tests.policies.make import changed, put_in_force

NOTHING_LEFT = (("effect: deny", "effect: require_approval"),) * 3


@pytest.fixture
def sven(cast: Cast) -> User:
    install_default_floor(actor=INSTALLER)
    return make_person("sven", "security")


def stricter(cast: Cast, sven: User, rule: str) -> PolicyVersion:
    """A floor with one more rule, written by one person of security and published by another."""
    text = changed(DEFAULT_FLOOR.read_text(), ("rules:\n", f"rules:\n{rule}"))
    return put_in_force(text, author=sven, publisher=cast.sara)


NO_WON = """\
  - id: no-won-deals
    owner: head of security
    reason: No deal is won by an agent this week.
    on: [crm.update]
    when: ['has(params.fields.stage) && params.fields.stage == "won"']
    effect: deny
"""


def decision_of(request: ActionRequest) -> PolicyDecision:
    return request.policy_decisions.latest("id")


def test_what_security_denies_no_version_allows(cast: Cast, sven: User) -> None:
    publish(cast, *NOTHING_LEFT)
    params = {"user": "mia.keller", "group": "domain-admins", "until": "2030-12-31"}

    villain = make_request(cast.agent, params, action_type="access.grant")

    assert fresh(villain).state == "denied"
    assert "floor.domain-admins" in decision_of(villain).trace
    (said,) = [rule for rule in RequestView(villain).policies[0].matched if rule.effect == "deny"]
    assert said.reason == "Membership of domain-admins is never given through an agent."
    assert said.clauses[0].text == 'action.type == "access.grant"'


def test_both_versions_are_on_record(cast: Cast, sven: User) -> None:
    request = make_request(cast.agent, refund("ch_1003", "20.00"))

    both = versions_in_force()
    decision = decision_of(request)
    assert (decision.policy_version, decision.floor) == (both.policy, both.floor)
    event = AuditEvent.objects.get(code=AuditCode.POLICY_CHECKED, subject_id=str(request.pk))
    assert both.floor is not None
    assert json.loads(event.data)["floor"] == both.floor.label
    assert facts_of(request)["action.amount"] == 2000


def test_a_floor_published_meanwhile_counts_at_execution(
    cast: Cast, sven: User, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent, crm(stage="won"), action_type="crm.update")
    approve(request, cast.otto)
    newer = stricter(cast, sven, NO_WON)

    execute(request.pk)

    assert fresh(request).state == "denied"
    assert decision_of(request).floor == newer
    assert sandbox.effects("records") == []


def test_whoever_wrote_the_floor_may_still_decide_what_it_asked_for(cast: Cast, sven: User) -> None:
    asks = NO_WON.replace("effect: deny", "effect: require_approval\n    adds: [{group: security}]")
    stricter(cast, sven, asks)

    request = make_request(cast.agent, crm(stage="won"), action_type="crm.update")
    approve(request, cast.otto, sven)

    assert fresh(request).state == "approved"
