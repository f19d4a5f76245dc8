"""`@cs.gate`: the function runs once people agreed, once, with what they agreed to."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from countersign import (
    AsyncCountersign,
    Countersign,
    Failed,
    NeedsAgent,
    NotDone,
    Pending,
    Refused,
    Unclear,
    calling,
)

from tests.agents.server import HANG_UP, Reply, Told, an_action, answering, done, ok, problem

pytestmark = pytest.mark.once

APPROVED = an_action(state="approved", outcome="needs_agent", message="Approved.", question=None)
GRANT = {
    "grant": {
        "id": 1,
        "digest": "d",
        "params": {"service": "shop", "version": "2.0"},
        "not_after": "2026-11-22T12:00:00Z",
        "fence": 7,
    }
}
REPORTED = done(question=None)


class Machine:
    """Where the effect happens."""

    def __init__(self, error: Exception | None = None) -> None:
        self.ran: list[tuple[str, str]] = []
        self.error = error

    def deploy(self, service: str, version: str = "1.0") -> str:
        """Deploy a service."""
        self.ran.append((service, version))
        if self.error:
            raise self.error
        return "build-7"


def gated(told: Told, machine: Machine, **options: Any) -> Any:
    return Countersign(told.url, "csk_test").gate("service.deploy", **options)(machine.deploy)


def paths(told: Told) -> list[str]:
    return [asked.path.rstrip("/").rpartition("/")[2].partition("?")[0] for asked in told.asked]


def reported(told: Told) -> Any:
    return told.asked[-1].body


def test_it_runs_once_with_the_params_people_agreed_to_and_reports() -> None:
    machine = Machine()
    with answering(ok(APPROVED, 201), ok(GRANT), ok(REPORTED)) as told:
        result = gated(told, machine, intent="The shop is down.")("shop")

    assert result == "build-7"
    assert machine.ran == [("shop", "2.0")]  # the reviewer's version
    assert paths(told) == ["actions", "redeem", "report"]
    assert told.asked[0].body == {
        "action_type": "service.deploy",
        "params": {"service": "shop", "version": "1.0"},
        "intent": "The shop is down.",
    }
    digest = f"sha256:{hashlib.sha256(repr('build-7').encode()).hexdigest()}"
    assert reported(told) == {"fence": 7, "outcome": "done", "receipt": digest}


@pytest.mark.parametrize(
    ("action", "raised"),
    [
        (an_action(state="rejected", outcome="refused", final=True), NotDone),
        (an_action(state="outcome_unknown", outcome="unclear"), Unclear),
        (an_action(state="changes_requested", outcome="needs_agent"), NeedsAgent),
        (an_action(), Pending),
    ],
)
def test_without_a_yes_it_never_runs(action: dict[str, Any], raised: type[Exception]) -> None:
    machine = Machine()
    with answering(ok(action, 201)) as told, pytest.raises(raised):
        gated(told, machine, within=0)("shop")

    assert machine.ran == []
    assert "redeem" not in paths(told)


@pytest.mark.parametrize(
    ("refusal", "raised"),
    [
        (problem(409, "drift"), Pending),
        (problem(409, "not_now"), Pending),
        (problem(409, "grant_consumed"), Pending),
        (problem(410, "grant_expired"), Refused),
        (problem(409, "digest_mismatch"), Refused),
        (problem(500, "internal_error"), Refused),
    ],
)
def test_without_a_grant_it_never_runs(refusal: Reply, raised: type[Exception]) -> None:
    machine = Machine()
    with (
        answering(ok(APPROVED, 201), refusal, ok(an_action())) as told,
        pytest.raises(raised),
    ):
        gated(told, machine)("shop")

    assert machine.ran == []


def test_a_lost_grant_is_asked_for_again_under_the_same_nonce(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import countersign.client as client

    async def no_pause(self: object, seconds: float) -> None:
        pass

    monkeypatch.setattr(client._Blocking, "_sleep", no_pause)
    machine = Machine()
    replies = (ok(APPROVED, 201), HANG_UP, ok(GRANT), HANG_UP, ok(REPORTED))
    with answering(*replies) as told:
        gated(told, machine)("shop")

    assert len(machine.ran) == 1
    nonces = {asked.body["redeemer"] for asked in told.asked if "redeem/" in asked.path}
    assert (paths(told).count("redeem"), len(nonces)) == (2, 1)
    assert told.asked[-2].body == told.asked[-1].body


@pytest.mark.parametrize(
    ("error", "outcome"), [(Failed("no such host"), "failed"), (OSError("reset"), "unknown")]
)
def test_what_it_raises_is_reported_as_what_is_known(error: Exception, outcome: str) -> None:
    machine = Machine(error)
    with (
        answering(ok(APPROVED, 201), ok(GRANT), ok(REPORTED)) as told,
        pytest.raises(type(error)) as raised,
    ):
        gated(told, machine)("shop")

    assert raised.value is error
    assert (reported(told)["outcome"], reported(told)["fence"]) == (outcome, 7)
    assert len(machine.ran) == 1


def test_what_ran_and_could_not_be_reported_is_said_to_be_so() -> None:
    machine = Machine()
    with (
        answering(ok(APPROVED, 201), ok(GRANT), problem(409, "late_report")) as told,
        pytest.raises(Unclear, match="Do NOT repeat it"),
    ):
        gated(told, machine)("shop")

    assert len(machine.ran) == 1


def test_called_again_after_it_ran_it_does_not_run_again() -> None:
    machine = Machine()
    with answering(ok(REPORTED)) as told, calling("run", 1):
        action = gated(told, machine)("shop")

    assert (action["outcome"], machine.ran) == ("done", [])


def test_its_own_intent_is_told_to_people_and_is_no_param() -> None:
    seen = []

    with answering(ok(APPROVED, 201), ok(GRANT), ok(REPORTED)) as told:

        @Countersign(told.url, "csk_test").gate("service.deploy")
        def deploy(service: str, version: str, intent: str) -> None:
            seen.append((service, version, intent))

        deploy("shop", "1.0", intent="Asked for by Ana.")

    assert told.asked[0].body["intent"] == "Asked for by Ana."
    assert told.asked[0].body["params"] == {"service": "shop", "version": "1.0"}
    assert seen == [("shop", "2.0", "Asked for by Ana.")]


def test_asynchronous_functions_are_gated_the_same_way() -> None:
    ran = []

    async def story(url: str) -> Any:
        @AsyncCountersign(url, "csk_test").gate("service.deploy", intent="x")
        async def deploy(service: str, version: str) -> str:
            await asyncio.sleep(0)
            ran.append((service, version))
            return "build-8"

        return await deploy("shop", "1.0")

    with answering(ok(APPROVED, 201), ok(GRANT), ok(REPORTED)) as told:
        assert asyncio.run(story(told.url)) == "build-8"

    assert ran == [("shop", "2.0")]
    assert paths(told) == ["actions", "redeem", "report"]
