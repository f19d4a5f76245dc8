"""The client against a server that fails in every way: the same key, patience, and plain words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import countersign.client as client
import pytest
from countersign import (
    AsyncCountersign,
    Countersign,
    NeedsAgent,
    NotDone,
    Pending,
    Refused,
    Unavailable,
    Unclear,
    calling,
    idempotency_key,
)

from tests.agents.server import HANG_UP, Reply, Told, an_action, answering, done, ok, problem

pytestmark = pytest.mark.once

PARAMS = {"charge": "ch_1"}
BROKEN: list[Reply] = [
    HANG_UP, problem(429, "throttled"), (502, {}, None), problem(503, "unavailable"), (504, {}, ""),
]  # fmt: skip


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The pauses a client makes, which take no time here."""
    pauses: list[float] = []

    async def pause(self: object, seconds: float) -> None:
        pauses.append(seconds)

    for kind in (AsyncCountersign, client._Blocking):
        monkeypatch.setattr(kind, "_sleep", pause)
    return pauses


def an_agent(told: Told) -> Countersign:
    return Countersign(told.url, "csk_test")


def keys(told: Told) -> set[str | None]:
    return {asked.headers.get("Idempotency-Key") for asked in told.asked}


# --- Repeating -----------------------------------------------------------------------------------


def test_every_try_of_a_proposal_carries_the_same_key_and_body(slept: list[float]) -> None:
    with answering(*BROKEN, ok(an_action(), 201)) as told:
        action = an_agent(told).propose("refund.issue", PARAMS, intent="Broken.", key="call-1")

    assert action.state == "pending_approval"
    assert keys(told) == {"call-1"}
    assert len({asked.raw for asked in told.asked}) == 1
    assert len(told.asked) == len(slept) + 1 == 6


def test_a_key_of_its_own_stays_the_same_over_all_tries(slept: list[float]) -> None:
    with answering(HANG_UP, HANG_UP, ok(an_action(), 201)) as told:
        an_agent(told).propose("refund.issue", PARAMS, intent="Broken.")

    assert len(told.asked) == 3
    assert len(keys(told)) == 1
    assert None not in keys(told)


def test_it_leaves_the_server_alone_for_as_long_as_it_asks(slept: list[float]) -> None:
    throttled = problem(429, "throttled", **{"Retry-After": "40"})
    running = problem(409, "still_running", **{"Retry-After": "1"})
    with answering(throttled, running, ok(an_action(), 201)) as told:
        an_agent(told).propose("refund.issue", PARAMS, intent="Broken.")

    assert slept[0] == 40
    assert slept[1] >= 1


def test_what_may_have_arrived_and_has_no_key_is_not_sent_again(slept: list[float]) -> None:
    with answering(HANG_UP) as told, pytest.raises(Unavailable, match="not known"):
        an_agent(told).answer("1", "Yes.")

    assert len(told.asked) == 1


def test_what_cannot_have_arrived_is_sent_again(slept: list[float]) -> None:
    with answering(ok({})) as told:
        address = told.url
    with pytest.raises(Unavailable):
        Countersign(address, "csk_test").answer("1", "Yes.")

    assert len(slept) == client.TRIES - 1


def test_it_gives_up_with_words_that_say_what_to_do(slept: list[float]) -> None:
    with answering(HANG_UP) as told, pytest.raises(Unavailable) as given_up:
        an_agent(told).propose("refund.issue", PARAMS, intent="Broken.")

    assert len(told.asked) == client.TRIES
    assert "same key" in str(given_up.value)
    assert "do not do the action in any other way" in str(given_up.value)


def test_a_refusal_is_not_repeated_and_names_every_field(slept: list[float]) -> None:
    status, headers, body = problem(422, "invalid_proposal", "Some fields must be corrected.")
    body["errors"] = [{"field": "params.amount", "message": "Two decimals."}]
    with answering((status, headers, body)) as told, pytest.raises(Refused) as refused:
        an_agent(told).propose("refund.issue", PARAMS, intent="Broken.")

    assert len(told.asked) == 1
    assert (refused.value.status, refused.value.code) == (422, "invalid_proposal")
    assert "params.amount: Two decimals." in str(refused.value)


@pytest.mark.parametrize("reply", [(301, {"Location": "https://evil.example/"}, {}), (404, {}, "")])
def test_an_answer_that_is_not_ours_is_a_refusal(reply: Reply) -> None:
    with answering(reply) as told, pytest.raises(Refused):
        an_agent(told).get("1")

    assert len(told.asked) == 1


def test_a_token_is_got_anew_for_each_try(slept: list[float]) -> None:
    tokens = iter(["first", "second"])
    with answering(HANG_UP, ok(an_action())) as told:
        Countersign(told.url, lambda: next(tokens)).get("1")

    assert [a.headers["Authorization"] for a in told.asked] == ["Bearer first", "Bearer second"]


# --- Settling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "error"), [("needs_agent", NeedsAgent), ("refused", NotDone), ("unclear", Unclear)]
)
def test_what_is_not_done_is_raised_with_the_servers_words(
    outcome: str, error: type[Exception]
) -> None:
    told_so = an_action(outcome=outcome, message="Mona says: too much.")
    with answering(ok(told_so)) as told, pytest.raises(error, match="Mona says: too much") as no:
        an_agent(told).settle("1")

    assert no.value.action == told_so  # type: ignore[attr-defined]


def test_it_waits_through_states_until_it_is_done() -> None:
    states = [ok(an_action(state=s)) for s in ("approved", "executing")]
    with answering(ok(an_action()), *states, ok(done())) as told:
        action = an_agent(told).settle("1", within=5)

    assert action.outcome == "done"
    assert all("wait=" in asked.path for asked in told.asked[1:])


def test_who_finds_no_place_to_wait_backs_off(slept: list[float]) -> None:
    busy = ok(an_action(), Countersign_Waited="no", Retry_After="15")
    with answering(ok(an_action()), busy, ok(done())) as told:
        an_agent(told).settle("1", within=60)

    assert slept == [15]


def test_a_wait_that_is_answered_at_once_does_not_become_a_storm(slept: list[float]) -> None:
    with answering(*[ok(an_action(poll_after=60))] * 3, ok(done())) as told:
        an_agent(told).settle("1", within=600)

    assert slept == [60, 60]
    assert len(told.asked) == 4


def test_after_the_time_it_is_pending_and_says_not_to_repeat_it() -> None:
    begun = time.monotonic()
    with answering(ok(an_action(poll_after=1))) as told, pytest.raises(Pending) as pending:
        an_agent(told).settle("1", within=1.2)

    assert time.monotonic() - begun < 4
    assert "NOT done yet" in str(pending.value)
    assert pending.value.action.id in str(pending.value)


def test_a_server_that_is_away_while_people_decide_loses_nothing(slept: list[float]) -> None:
    away: list[Reply] = [HANG_UP] * (client.TRIES + 2)
    with answering(ok(an_action()), *away, ok(done())) as told:
        assert an_agent(told).settle("1", within=600).outcome == "done"


# --- Functions -----------------------------------------------------------------------------------


def test_a_tool_called_again_in_the_same_call_proposes_under_the_same_key() -> None:
    with answering(ok(done(), 201)) as told:
        cs = an_agent(told)

        @cs.tool("refund.issue")
        def refund(charge: str) -> Any:
            """Pay a charge back."""
            return {"charge": charge}, "The lamp arrived broken."

        for _ in range(2):
            with calling("run-7", "call-1"):
                action = refund("ch_1")

    assert action.outcome == "done"
    assert keys(told) == {idempotency_key("run-7", "call-1")}
    assert told.asked[0].body["params"] == {"charge": "ch_1"}
    assert (refund.__name__, refund.__doc__) == ("refund", "Pay a charge back.")


# --- Changes, and the asynchronous one -----------------------------------------------------------


def test_changes_come_with_the_cursor_to_go_on_from() -> None:
    with answering(ok({"results": [done()], "cursor": "c2", "more": False})) as told:
        actions, cursor = an_agent(told).changes("c1", wait=5)

    assert ([a.outcome for a in actions], cursor) == (["done"], "c2")
    assert told.asked[0].path == "/api/v1/actions/changes/?wait=5&after=c1"


def test_the_asynchronous_client_does_the_same() -> None:
    async def run(told: Told) -> list[Any]:
        cs = AsyncCountersign(told.url, "csk_test")

        @cs.tool("refund.issue")
        async def refund(charge: str) -> Any:
            return {"charge": charge}, "The lamp arrived broken."

        return [await refund("ch_1"), await cs.undo("1"), await cs.withdraw("1")]

    with answering(HANG_UP, ok(an_action(), 201), ok(done())) as told:
        first, *_ = asyncio.run(run(told))

    assert first.outcome == "done"
    assert keys(told) >= {idempotency_key("undo", "1")}


def test_an_asynchronous_function_needs_the_asynchronous_client() -> None:
    with answering(ok(done(), 201)) as told:

        @an_agent(told).tool("refund.issue")
        async def refund(charge: str) -> Any:
            await asyncio.sleep(0)
            return {"charge": charge}, "x"

        with pytest.raises(TypeError, match="AsyncCountersign"):
            refund("ch_1")
