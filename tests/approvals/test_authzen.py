"""AuthZEN: denied but requestable, requested, approved, and then true exactly once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from approvals.authzen import references
from approvals.authzen.tasks import STATUS_OF
from approvals.choices import State
from approvals.models import ActionRequest, Agent, Attempt
from approvals.services.agents import pause_agent
from tests.approvals.agents_own import COMMAND, make_coder, rules_for_commands
from tests.approvals.asking import Enforcer
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    fresh,
    make_agent,
    refund,
    reject,
)

pytestmark = pytest.mark.django_db

URN = "urn:openid:authzen:access-request:error:"


@pytest.fixture(autouse=True)
def _on(settings: Settings) -> None:
    settings.AUTHZEN = True


@pytest.fixture
def enforcer(coder: Agent) -> Enforcer:
    return Enforcer(coder)


def reason(said: Any) -> tuple[bool, str]:
    return said["decision"], said["context"]["reason"]


# --- On and off -----------------------------------------------------------------------------------


def test_nothing_is_there_unless_it_is_switched_on(enforcer: Enforcer, settings: Settings) -> None:
    settings.AUTHZEN = False

    answers = [
        Client().get("/.well-known/authzen-configuration"),
        enforcer.post("evaluation", enforcer.asked()),
        enforcer.post("requests", {}),
        enforcer.get("/access/v1/requests/00000000-0000-0000-0000-000000000000"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4


def test_metadata_says_where_everything_is(enforcer: Enforcer, settings: Settings) -> None:
    told = Client().get("/.well-known/authzen-configuration").json()

    assert told == {
        "policy_decision_point": settings.BASE_URL,
        "access_evaluation_endpoint": f"{settings.BASE_URL}/access/v1/evaluation",
        "access_request_endpoint": f"{settings.BASE_URL}/access/v1/requests",
        "capabilities": ["urn:openid:authzen:capability:access-request"],
    }


def test_only_agents_are_answered(enforcer: Enforcer) -> None:
    enforcer.headers = {"Authorization": "Bearer csk_wrong_wrong"}

    assert enforcer.post("evaluation", enforcer.asked()).status_code == 401
    assert enforcer.post("requests", {}).status_code == 401


# --- The whole way --------------------------------------------------------------------------------


def test_denied_requested_approved_and_allowed_once(cast: Cast, enforcer: Enforcer) -> None:
    first = enforcer.evaluate()
    assert reason(first) == (False, "approval_required"), first
    assert not ActionRequest.objects.exists()

    submitted = enforcer.request()
    task = submitted.json()["task"]
    assert (submitted.status_code, task["status"]) == (202, "pending")
    assert submitted["Location"] == task["status_endpoint"]
    request = ActionRequest.objects.get()
    assert enforcer.task(request)["task"]["status"] == "pending"
    assert "result" not in enforcer.task(request)

    approve(request, cast.sara, cast.otto)
    approval = enforcer.approval(request)
    yes = enforcer.use(approval)

    assert yes["decision"] is True
    assert yes["context"]["grant"]["params"] == COMMAND
    assert fresh(request).state == "executing"
    assert reason(enforcer.use(approval)) == (False, "grant_consumed")
    assert enforcer.use(approval)["context"]["next_action"] == "request"

    grant = yes["context"]["grant"]
    report = {"fence": grant["fence"], "outcome": "done", "receipt": "build-4711"}
    path = grant["report_endpoint"].partition("/api/")[2]
    told = Client().post(
        f"/api/{path}", report, content_type="application/json", headers=enforcer.headers
    )
    assert told.status_code == 200, told.content
    assert enforcer.task(request)["task"]["status"] == "approved"
    assert reason(enforcer.use(approval)) == (False, "grant_consumed")
    assert Attempt.objects.count() == 1


def test_a_request_that_was_approved_meanwhile_is_answered_with_its_approval(
    cast: Cast, enforcer: Enforcer
) -> None:
    asked = enforcer.asked()
    body = {**asked, "denial": enforcer.denial(asked)}
    first = enforcer.post("requests", body)
    request = ActionRequest.objects.get()
    approve(request, cast.sara, cast.otto)

    again = enforcer.post("requests", body)

    assert (first.status_code, again.status_code) == (202, 201)
    assert again.json()["task"]["status"] == "approved"
    assert enforcer.use(again.json()["result"]["approval"])["decision"] is True


ASKING_PEOPLE = """    effect: require_approval
    requirements: [{group: operations}]
  - id: machine
"""


def test_what_policy_denies_cannot_be_requested(cast: Cast, enforcer: Enforcer) -> None:
    rules_for_commands(cast, (ASKING_PEOPLE, "    effect: deny\n  - id: machine\n"))

    said = enforcer.evaluate()

    assert reason(said) == (False, "denied")
    assert said["context"]["rules"] == ["commands"]
    assert "access_request" not in said["context"]


# --- Never ----------------------------------------------------------------------------------------


def test_what_countersign_carries_out_is_never_allowed(cast: Cast) -> None:
    enforcer = Enforcer(cast.agent)
    asked = enforcer.asked(
        action={"name": "refund.issue"},
        resource={"type": "payments", "id": "ch_1001", "properties": refund()},
    )

    said = enforcer.evaluate(asked)

    assert reason(said) == (False, "executed_by_countersign")
    assert "access_request" not in said["context"]


NEVER: dict[str, tuple[dict[str, Any], str]] = {
    "another agent": ({"subject": {"type": "agent", "id": "villain"}}, "not_this_subject"),
    "an unknown action": ({"action": {"name": "moon.buy"}}, "unknown_action"),
    "another resource": (
        {"resource": {"type": "workstation", "id": "other", "properties": COMMAND}},
        "another_resource",
    ),
    "another system": (
        {"resource": {"type": "x", "id": '"/srv/shop" on build-7', "properties": COMMAND}},
        "another_resource",
    ),
}


@pytest.mark.parametrize(("changed", "why"), NEVER.values(), ids=NEVER)
def test_what_cannot_be_requested_says_why(
    enforcer: Enforcer, changed: dict[str, Any], why: str
) -> None:
    said = enforcer.evaluate(enforcer.asked(**changed))

    assert reason(said) == (False, why)
    assert "access_request" not in said["context"]


def test_an_agent_that_is_paused_or_may_not_is_denied(cast: Cast, enforcer: Enforcer) -> None:
    narrow = Enforcer(make_agent(cast.owner, "narrow", action_types=["crm.tag"]))
    assert reason(narrow.evaluate()) == (False, "action_not_allowed")

    pause_agent(enforcer.agent.pk, actor=INSTALLER, reason="odd")
    assert reason(enforcer.evaluate()) == (False, "paused")


def test_bad_fields_are_named_as_they_were_sent(enforcer: Enforcer) -> None:
    wrong = enforcer.asked(context={"intent": 7, "unheard_of": "ignored"})
    wrong["resource"]["properties"] = {**COMMAND, "sudo": True}

    answer = enforcer.post("evaluation", wrong)

    assert answer.status_code in {400, 422}
    fields = {error["field"] for error in answer.json()["errors"]}
    assert fields == {"context.intent", "resource.properties.sudo"}


# --- The denial a request is bound to -------------------------------------------------------------


def told(answer: Any) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["code"], body["type"]


def test_a_request_is_for_exactly_what_was_denied(cast: Cast, enforcer: Enforcer) -> None:
    denial = enforcer.denial()
    bad = (400, "invalid_denial_binding", f"{URN}invalid_denial_binding")
    other = Enforcer(make_coder(cast, "other-coder"))
    elsewhere = enforcer.asked({**COMMAND, "command": "make destroy"})

    assert told(enforcer.post("requests", {**elsewhere, "denial": denial})) == bad
    assert told(other.post("requests", {**other.asked(), "denial": denial})) == bad
    for name, value in (
        ("binding_token", "forged"),
        ("binding_token", denial["binding_token"][:-2]),
        ("expires_at", "2099-01-01T00:00:00+00:00"),
        ("evaluation_id", "another"),
    ):
        body = {**enforcer.asked(), "denial": {**denial, name: value}}
        assert told(enforcer.post("requests", body)) == bad
    approval = references.approval_id(ActionRequest().pk, 1)
    body = {**enforcer.asked(), "denial": {**denial, "binding_token": approval}}
    assert told(enforcer.post("requests", body)) == bad
    assert not ActionRequest.objects.exists()


def test_a_denial_is_followed_within_minutes(
    enforcer: Enforcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "DENIAL_LASTS", timedelta(seconds=-1))

    assert told(enforcer.request()) == (400, "expired_denial", f"{URN}expired_denial")


def test_the_same_request_again_is_the_same_task(enforcer: Enforcer) -> None:
    asked = enforcer.asked()
    body = {**asked, "denial": enforcer.denial(asked)}

    tasks = {enforcer.post("requests", body).json()["task"]["id"] for _ in range(3)}
    keyed = {"Idempotency-Key": "deploy-1"}
    first = enforcer.post("requests", body, **keyed).json()["task"]["id"]
    again = enforcer.request(asked, **keyed).json()["task"]["id"]
    other = enforcer.asked({**COMMAND, "command": "make test"})

    assert len(tasks) == 1
    assert first == again
    assert told(enforcer.request(other, **keyed)) == (
        400, "duplicate_request", f"{URN}duplicate_request",
    )  # fmt: skip


# --- Using an approval ----------------------------------------------------------------------------


def test_no_approval_is_used_for_anything_else(cast: Cast, enforcer: Enforcer) -> None:
    request = enforcer.requested()
    approve(request, cast.sara, cast.otto)
    approval = enforcer.approval(request)
    other = Enforcer(make_coder(cast, "other-coder"))
    elsewhere = enforcer.asked({**COMMAND, "command": "make destroy"})
    for_user = enforcer.asked(subject={"type": "user", "id": "mona"})

    assert reason(enforcer.use(approval, elsewhere)) == (False, "params_changed")
    assert reason(enforcer.use(approval, for_user)) == (False, "not_approved_so")
    assert reason(other.use(approval, other.asked())) == (False, "not_approved")
    assert reason(enforcer.use({"id": "forged"})) == (False, "not_approved")
    assert reason(enforcer.use({"id": str(request.pk)})) == (False, "not_approved")
    assert fresh(request).state == "approved"
    assert enforcer.use(approval)["decision"] is True


def test_a_pending_or_rejected_request_has_no_approval(cast: Cast, enforcer: Enforcer) -> None:
    request = enforcer.requested()
    made_up = {"id": references.approval_id(request.pk, 1)}
    assert reason(enforcer.use(made_up)) == (False, "not_approved")

    reject(request, cast.otto)

    assert enforcer.task(request)["task"]["status"] == "denied"
    assert "result" not in enforcer.task(request)
    assert reason(enforcer.use(made_up)) == (False, "not_approved")


def test_another_agents_task_is_not_told(cast: Cast, enforcer: Enforcer) -> None:
    request = enforcer.requested()
    other = Enforcer(make_coder(cast, "other-coder"))

    assert other.get(f"/access/v1/requests/{request.pk}").status_code == 404
    assert other.post(f"requests/{request.pk}/cancel", {}).status_code == 404
    assert fresh(request).state == "pending_approval"


def test_a_task_is_cancelled_by_its_agent(enforcer: Enforcer) -> None:
    request = enforcer.requested()

    answer = enforcer.post(f"requests/{request.pk}/cancel", {})

    assert answer.json()["task"]["status"] == "cancelled"
    assert fresh(request).state == "withdrawn"


def test_every_state_has_a_status() -> None:
    assert set(STATUS_OF) == set(State)


@trying(suppress_health_check=list(HealthCheck))
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["subject", "action", "resource", "context", "denial", "type", "id", "name",
                 "properties", "approval", "binding_token", "expires_at", "x"]
            ),
            inner,
            max_size=6,
        ),
        max_leaves=12,
    )
)  # fmt: skip
def test_whatever_is_sent_is_never_a_500(enforcer: Enforcer, body: Any) -> None:
    for path in ("evaluation", "requests"):
        whole = {**enforcer.asked(), **body} if isinstance(body, dict) else body
        for sent in (body, whole):
            assert enforcer.post(path, sent).status_code < 500
