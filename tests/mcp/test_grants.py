"""Tools for what an agent carries out itself: take the grant, do it once, report."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from approvals.choices import State
from approvals.models import Agent, Execution
from tests.approvals.agents_own import COMMAND, approved_command, lease_over, make_command
from tests.approvals.conftest import coder
from tests.approvals.make import Cast, approve, fresh, make_cast, make_crm, make_key, reject, supply
from tests.mcp.make import Mcp

__all__ = ["coder"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

REDEEM, REPORT = "countersign_redeem", "countersign_report"


@pytest.fixture
def cast(sandbox: Any) -> Cast:
    return make_cast()


@pytest.fixture
def mcp(coder: Agent) -> Mcp:
    return Mcp(make_key(coder))


def text(told: Any) -> str:
    return str(told["content"][0]["text"])


def redeem(mcp: Mcp, request: Any, redeemer: Any = "run-1", **more: Any) -> Any:
    return mcp.call(REDEEM, {"id": str(request.pk), "redeemer": redeemer, **more})


def report(mcp: Mcp, request: Any, **said: Any) -> Any:
    body = {"id": str(request.pk), "fence": 1, "outcome": "done", "receipt": "build-4711", **said}
    return mcp.call(REPORT, body)


def test_only_agents_with_something_of_their_own_to_do_are_offered_grants(
    cast: Cast, mcp: Mcp
) -> None:
    def names(client: Mcp) -> list[str]:
        return [tool["name"] for tool in client.ask("tools/list")["tools"]]

    assert names(mcp)[-2:] == [REDEEM, REPORT]
    assert REDEEM not in names(Mcp(make_key(cast.agent)))
    (command,) = [t for t in mcp.ask("tools/list")["tools"] if t["name"] == "command_run"]
    assert f"take the grant with {REDEEM}" in command["description"]


@pytest.mark.parametrize("version", ["2025-11-25", "2025-03-26"])
def test_an_agent_proposes_redeems_does_it_and_reports(
    cast: Cast, coder: Agent, mcp: Mcp, version: str
) -> None:
    pending = mcp.call("command_run", {**COMMAND, "intent": "The shop needs it."})
    request = approved_command(cast, coder, directory="/srv/other")
    approved = mcp.call("countersign_status", {"id": str(request.pk)})

    taken = redeem(mcp, request)
    again = redeem(mcp, request)
    legacy = mcp.legacy(
        "tools/call", version, name=REDEEM, arguments={"id": str(request.pk), "redeemer": "run-1"}
    )
    done = report(mcp, request)

    assert pending["structuredContent"]["outcome"] == "open"
    assert approved["structuredContent"]["outcome"] == "needs_agent"
    assert f"Take the grant with {REDEEM}, and report with {REPORT}." in text(approved)
    grant = taken["structuredContent"]["grant"]
    assert grant["params"] == {**COMMAND, "directory": "/srv/other"}
    assert "do exactly its params" in text(taken)
    assert again["structuredContent"] == taken["structuredContent"]
    assert legacy.json()["result"]["structuredContent"] == taken["structuredContent"]
    assert (done["structuredContent"]["outcome"], done["isError"]) == ("done", False)
    assert (fresh(request).state, Execution.objects.count()) == (State.EXECUTED, 1)


def test_what_is_answered_holds_to_what_was_announced(cast: Cast, coder: Agent, mcp: Mcp) -> None:
    tools = {tool["name"]: tool for tool in mcp.ask("tools/list")["tools"]}
    request = approved_command(cast, coder)

    for name, told in ((REDEEM, redeem(mcp, request)), (REPORT, report(mcp, request))):
        schema = tools[name]["outputSchema"]
        assert jsonschema_rs.is_valid(schema, told["structuredContent"])
        assert not jsonschema_rs.is_valid(schema, {})


def test_a_grant_is_taken_once_and_by_nobody_else(cast: Cast, coder: Agent, mcp: Mcp) -> None:
    request = approved_command(cast, coder)
    redeem(mcp, request)

    other = redeem(mcp, request, "run-2")
    stranger = redeem(Mcp(make_key(cast.agent)), request)

    assert (other["isError"], "(grant_consumed)" in text(other)) == (True, True)
    assert (stranger["isError"], "(not_found)" in text(stranger)) == (True, True)
    assert "structuredContent" not in other


def test_what_may_not_be_done_is_refused_with_its_code(cast: Cast, coder: Agent, mcp: Mcp) -> None:
    waiting = make_command(coder)
    rejected = make_command(coder, host="build-8")
    reject(rejected, cast.sara)
    ours = make_crm(cast)

    assert "(not_approved)" in text(redeem(mcp, waiting))
    assert "(not_approved)" in text(redeem(mcp, rejected))
    assert "(executed_by_countersign)" in text(redeem(Mcp(make_key(cast.agent)), ours))
    assert "(not_redeemed)" in text(report(mcp, waiting))
    assert not Execution.objects.exists()


def test_a_report_that_does_not_count_is_kept_and_changes_nothing(
    cast: Cast, coder: Agent, mcp: Mcp
) -> None:
    request = approved_command(cast, coder)
    redeem(mcp, request)

    wrong = report(mcp, request, fence=2)
    lease_over(request)
    late = report(mcp, request)

    assert "(wrong_fence)" in text(wrong)
    assert "(late_report)" in text(late)
    assert fresh(request).state == State.EXECUTING
    assert Execution.objects.get().attempts.get().late_result != ""


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"outcome": "perhaps"}, "outcome"),
        ({"receipt": ""}, "receipt"),
        ({"receipt": "two words"}, "receipt"),
        ({"fence": -1}, "fence"),
        ({"fence": "one"}, "fence"),
        ({"result_digest": "sha256:no"}, "result_digest"),
        ({"more": 1}, "more"),
        ({"id": "request"}, "id"),
    ],
)
def test_what_is_wrong_with_a_report_is_told_by_its_field(
    cast: Cast, coder: Agent, mcp: Mcp, said: dict[str, Any], field: str
) -> None:
    request = approved_command(cast, coder)
    redeem(mcp, request)

    told = report(mcp, request, **said)

    assert told["isError"]
    assert f"- {field}:" in text(told)
    assert fresh(request).state == State.EXECUTING


@pytest.mark.parametrize("redeemer", ["", "two words", "x" * 101, None, 7.5, ["a"]])
def test_a_redeemer_is_a_nonce(cast: Cast, coder: Agent, mcp: Mcp, redeemer: Any) -> None:
    request = approved_command(cast, coder)

    told = redeem(mcp, request, redeemer)

    assert "- redeemer:" in text(told)
    assert fresh(request).state == State.APPROVED


def test_a_task_ends_where_it_is_the_agents_turn(cast: Cast, coder: Agent) -> None:
    mcp = Mcp(make_key(coder), tasks=True)
    task = mcp.call("command_run", {**COMMAND, "intent": "The shop needs it."})
    request = coder.requests.get()
    follow = {"taskId": task["taskId"]}
    assert mcp.ask("tasks/get", **follow)["status"] == "working"
    supply(request, cast.oona, "risk_analysis")
    approve(fresh(request), cast.sara, cast.otto)

    told = mcp.ask("tasks/get", **follow)

    assert told["status"] == "completed"
    assert f"Take the grant with {REDEEM}" in text(told["result"])
