"""What an agent reads about a denial and a failure, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from approvals.choices import PauseScope
from approvals.domain.attempts import call
from approvals.models import ActionRequest
from approvals.services.execute import execute, settle
from approvals.services.pauses import pause
from audit.actors import Actor
from policies.models import User
from tests.api.make import AgentClient, a_proposal
from tests.approvals.executing import claimed
from tests.approvals.make import DEFAULT_POLICY, approve, make_person, refund
from tests.policies.make import put_in_force

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def approved(client: AgentClient) -> ActionRequest:
    """A refund that mona approved."""
    found = client.propose(a_proposal(refund("ch_1001", "800.00"))).json()
    request = ActionRequest.objects.get(pk=found["id"])
    approve(request, User.objects.get(username="mona"))
    return request


def answer(client: AgentClient, request: ActionRequest) -> dict[str, Any]:
    body: dict[str, Any] = client.get(f"actions/{request.pk}/").json()
    listed = client.get("actions/").json()["results"]
    assert body in listed  # the list says the same
    return body


def test_a_denial_at_execution_answers_with_the_policy_that_denied(client: AgentClient) -> None:
    request = approved(client)
    before = answer(client, request)
    text = DEFAULT_POLICY[: DEFAULT_POLICY.index("\ntests:\n")] + "\n"
    put_in_force(
        text.replace("refund_never: 2000000", "refund_never: 20000"),
        author=make_person("rita", "ops admin"),
        publisher=make_person("ralf", "ops admin"),
    )

    execute(request.pk)

    after = answer(client, request)
    assert (after["state"], after["verdict"]) == ("denied", "deny")
    assert after["policy"]["version"] > before["policy"]["version"]
    assert after["policy"]["verdict"] == "deny"
    denying = [rule for rule in after["policy"]["matched"] if rule["effect"] == "deny"]
    assert [rule["rule"] for rule in denying] == ["refund-ceiling"]
    assert after["execution"] is None


def test_a_failure_answers_with_what_was_paused_and_names_nobody(client: AgentClient) -> None:
    request = approved(client)
    claim = claimed(request)
    mona = User.objects.get(username="mona")
    pause(PauseScope.ALL, actor=Actor.human(mona), reason="odd numbers")

    settle(claim, call(claim))

    after = answer(client, request)
    assert after["execution"] == {
        "state": "failed",
        "receipt": None,
        "verified": None,
        "problem": "Nothing was sent. Everything is paused: odd numbers",
    }


def test_a_preflight_tells_each_rules_effect_and_the_verdict(client: AgentClient) -> None:
    body = client.post("actions/check/", a_proposal(refund("ch_1001", "800.00"))).json()

    assert body["policy"]["verdict"] == body["verdict"] == "require_approval"
    effects = {rule["rule"]: rule["effect"] for rule in body["policy"]["matched"]}
    assert effects["refund-medium"] == "require_approval"


def test_the_schema_has_the_new_fields_beside_all_the_old_ones(client: AgentClient) -> None:
    found = Client().get("/api/v1/schema/?format=json").json()["components"]["schemas"]

    assert set(found["MatchedRule"]["properties"]) == {"rule", "reason", "effect"}
    assert set(found["Policy"]["properties"]) == {"version", "verdict", "matched"}
    assert set(found["Executed"]["properties"]) == {"state", "receipt", "verified", "problem"}
