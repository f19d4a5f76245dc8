"""Calling tools: proposed once, answered soon, followed up, and never decided by a tool."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import jsonschema_rs
import pytest

from approvals.choices import PauseScope
from approvals.models import ActionRequest
from approvals.services import repeats
from approvals.services.execute import execute
from approvals.services.pauses import pause
from audit.actors import Actor
from audit.lib import db_clock
from policies.models import User
from tests.approvals.make import (
    approve,
    ask,
    fresh,
    make_agent,
    make_key,
    make_person,
    refund,
    reject,
)
from tests.database import triggers_off
from tests.mcp.make import Mcp

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

KEY = "io.countersign/idempotencyKey"


@pytest.fixture
def mcp(begun: str) -> Mcp:
    return Mcp(begun)


@pytest.fixture
def tasks(begun: str) -> Mcp:
    return Mcp(begun, tasks=True)


def arguments(amount: str = "800.00", **more: Any) -> dict[str, Any]:
    return {**refund("ch_1001", amount), "intent": "The customer sent a photo.", **more}


def mona() -> User:
    return User.objects.get(username="mona")


def stored(told: Any) -> ActionRequest:
    return ActionRequest.objects.get(pk=told["structuredContent"]["id"])


def text(told: Any) -> str:
    return str(told["content"][0]["text"])


def test_what_waits_for_people_is_answered_at_once_as_not_done(mcp: Mcp) -> None:
    mcp.call("countersign_check", {"tool": "refund_issue", "arguments": arguments()})  # warms up
    begun = time.monotonic()
    told = mcp.call("refund_issue", arguments())

    assert time.monotonic() - begun < 2.5
    assert told["isError"] is False
    assert told["structuredContent"]["outcome"] == "open"
    assert text(told).startswith("NOT done yet.")
    assert told["content"][1]["uri"].endswith(f"/review/{stored(told).pk}/")
    (schema,) = {
        str(t["outputSchema"]): t["outputSchema"]
        for t in mcp.ask("tools/list")["tools"]
        if "outputSchema" in t
    }.values()
    assert jsonschema_rs.is_valid(schema, told["structuredContent"])


def test_what_policy_allows_is_answered_within_three_seconds(mcp: Mcp) -> None:
    begun = time.monotonic()
    told = mcp.call("refund_issue", arguments("20.00"))  # no worker here: it stays approved

    assert time.monotonic() - begun < 4
    assert "Approved, and NOT done yet." in text(told)


def test_what_is_wrong_is_told_with_its_fields_and_stores_nothing(mcp: Mcp) -> None:
    told = mcp.call("refund_issue", arguments(amount="8.001", surprise=1))
    silent = mcp.call("refund_issue", refund("ch_1001", "800.00"))

    assert (told["isError"], silent["isError"]) == (True, True)
    assert "params.amount" in text(told)
    assert "params.surprise" in text(told)
    assert "intent" in text(silent)
    assert not ActionRequest.objects.exists()


def test_the_same_call_again_is_the_same_request(mcp: Mcp) -> None:
    first = mcp.call("refund_issue", arguments())
    again = mcp.call("refund_issue", dict(reversed(arguments().items())))
    other = mcp.call("refund_issue", arguments("801.00"))

    assert stored(again) == stored(first)
    assert stored(other) != stored(first)


def test_another_agents_same_call_is_its_own(mcp: Mcp) -> None:
    other = make_agent(make_person("otto", "agent owner"), "other-bot")

    mine, theirs = (one.call("refund_issue", arguments()) for one in (mcp, Mcp(make_key(other))))

    assert stored(mine) != stored(theirs)


def test_the_same_call_long_after_the_end_is_a_new_request(mcp: Mcp) -> None:
    first = stored(mcp.call("refund_issue", arguments()))
    reject(first, mona())
    soon = stored(mcp.call("refund_issue", arguments()))
    with triggers_off():
        ended = db_clock.now() - repeats.SAME_FOR - timedelta(seconds=1)
        ActionRequest.objects.filter(pk=first.pk).update(updated_at=ended)

    later = stored(mcp.call("refund_issue", arguments()))
    again = stored(mcp.call("refund_issue", arguments()))

    assert soon == first
    assert later != first
    assert again == later


def test_a_key_of_the_clients_own_names_the_action(mcp: Mcp) -> None:
    one = stored(mcp.call("refund_issue", arguments(), **{KEY: "run-1.call-1"}))
    same = stored(mcp.call("refund_issue", arguments(), **{KEY: "run-1.call-1"}))
    other = stored(mcp.call("refund_issue", arguments(), **{KEY: "run-1.call-2"}))
    misused = mcp.call("refund_issue", arguments("900.00"), **{KEY: "run-1.call-1"})

    assert one == same != other
    assert "idempotency_mismatch" in text(misused)
    assert "idempotency_key_invalid" in text(mcp.call("refund_issue", arguments(), **{KEY: "a b"}))


def test_a_rejection_is_an_error_the_model_sees(mcp: Mcp) -> None:
    request = stored(mcp.call("refund_issue", arguments()))
    reject(request, mona())

    told = mcp.call("countersign_status", {"id": str(request.pk)})

    assert told["isError"] is True
    assert "not_justified" in text(told)
    assert "Do not repeat it unchanged" in text(told)


def test_a_question_is_shown_and_answered(mcp: Mcp) -> None:
    request = stored(mcp.call("refund_issue", arguments()))
    ask(request, mona())

    told = mcp.call("countersign_status", {"id": str(request.pk)})
    answered = mcp.call("countersign_answer", {"id": str(request.pk), "answer": "Order 7."})

    assert told["structuredContent"]["outcome"] == "needs_agent"
    assert '"Which order was it?"' in text(told)
    assert "countersign_answer" in text(told)
    assert answered["structuredContent"]["outcome"] == "open"


def test_done_withdrawn_and_undone(mcp: Mcp) -> None:
    record = {"record": "acct_2001", "tag": "vip", "intent": "They buy a lot."}
    tagged = stored(mcp.call("crm_tag", record))
    execute(tagged.pk)
    done = mcp.call("countersign_status", {"id": str(tagged.pk), "wait": 5})
    undo = mcp.call("countersign_undo", {"id": str(tagged.pk), "reason": "Wrong account."})
    waiting = stored(mcp.call("refund_issue", arguments()))
    gone = mcp.call("countersign_withdraw", {"id": str(waiting.pk)})
    late = mcp.call("countersign_withdraw", {"id": str(tagged.pk)})

    assert (done["structuredContent"]["outcome"], done["isError"]) == ("done", False)
    assert stored(undo).compensates_id == tagged.pk
    assert gone["structuredContent"]["state"] == "withdrawn"
    assert "wrong_state" in text(late)


def test_a_pause_says_who_can_end_it(mcp: Mcp) -> None:
    pause(PauseScope.ALL, actor=Actor.human(mona()), reason="odd numbers")

    told = mcp.call("refund_issue", arguments())

    assert told["isError"] is True
    assert "Everything is paused: odd numbers. To be ended by an ops admin. (paused)" in text(told)


def test_a_preflight_stores_nothing(mcp: Mcp) -> None:
    told = mcp.call("countersign_check", {"tool": "refund_issue", "arguments": arguments()})
    wrong = mcp.call("countersign_check", {"tool": "countersign_undo", "arguments": {}})

    assert '"verdict": "require_approval"' in text(told)
    assert wrong["isError"] is True
    assert not ActionRequest.objects.exists()


def test_a_request_of_somebody_else_is_not_there(mcp: Mcp) -> None:
    request = stored(mcp.call("refund_issue", arguments()))
    villain = Mcp(make_key(make_agent(make_person("otto", "agent owner"), "other-bot")), tasks=True)

    for tool in ("status", "answer", "withdraw", "undo"):
        told = villain.call(f"countersign_{tool}", {"id": str(request.pk), "answer": "x"})
        assert told["isError"] is True
    assert villain.error("tasks/get", taskId=f"{request.pk}.0") == (400, -32602)
    assert villain.error("tasks/cancel", taskId=f"{request.pk}.0") == (400, -32602)
    assert fresh(request).state == "pending_approval"


def test_a_client_that_follows_tasks_gets_one(tasks: Mcp) -> None:
    begun = tasks.call("refund_issue", arguments())
    working = tasks.ask("tasks/get", taskId=begun["taskId"])
    request = ActionRequest.objects.get()
    approve(request, mona())
    execute(request.pk)
    over = tasks.ask("tasks/get", taskId=begun["taskId"])

    assert (begun["resultType"], begun["status"], begun["ttlMs"]) == ("task", "working", None)
    assert begun["pollIntervalMs"] == 2000
    assert (working["resultType"], working["status"]) == ("complete", "working")
    assert over["status"] == "completed"
    assert over["result"]["structuredContent"]["outcome"] == "done"


def test_a_question_ends_the_task_and_the_answer_begins_another(tasks: Mcp) -> None:
    begun = tasks.call("refund_issue", arguments())
    request = ActionRequest.objects.get()
    ask(request, mona())
    over = tasks.ask("tasks/get", taskId=begun["taskId"])
    answered = tasks.call("countersign_answer", {"id": str(request.pk), "answer": "Order 7."})
    reject(ActionRequest.objects.get(), mona())
    refused = tasks.ask("tasks/get", taskId=answered["taskId"])

    assert over["status"] == "completed"
    assert "Which order was it?" in text(over["result"])
    assert (answered["resultType"], answered["taskId"]) == ("task", f"{request.pk}.1")
    assert (refused["status"], refused["result"]["isError"]) == ("completed", True)
    assert tasks.ask("tasks/get", taskId=begun["taskId"])["status"] == "completed"


def test_cancelling_withdraws_and_is_acknowledged_even_too_late(tasks: Mcp) -> None:
    begun = tasks.call("refund_issue", arguments())

    for _ in range(2):
        told = tasks.ask("tasks/cancel", taskId=begun["taskId"])
        assert told["resultType"] == "complete"
    assert tasks.ask("tasks/get", taskId=begun["taskId"])["status"] == "cancelled"
    assert tasks.ask("tasks/update", taskId=begun["taskId"], inputResponses={})


def test_tasks_are_for_those_who_say_that_they_know_them(mcp: Mcp, tasks: Mcp) -> None:
    begun = tasks.call("refund_issue", arguments())

    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        assert mcp.error(method, taskId=begun["taskId"]) == (400, -32021)
    for wrong in ("x", f"{begun['taskId']}.0", begun["taskId"].replace(".0", ".x")):
        assert tasks.error("tasks/get", taskId=wrong) == (400, -32602)
