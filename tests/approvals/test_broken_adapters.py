"""Whatever goes wrong while a target is read: people get the request, at the highest tier."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from approvals.api.preflight_output import ForeseenOutput
from approvals.models import ActionRequest
from approvals.selectors.requests import reading_of
from approvals.services.dry_run import check
from approvals.services.sweep import sweep
from connectors import loading, registry
from connectors.base import (
    Action,
    Connector,
    OutcomeUnknown,
    Preview,
    SystemEvidence,
    UnconfiguredConnector,
)
from connectors.sandbox.server import Sandbox
from policies.verdicts import HIGHEST_TIER
from tests.approvals.make import Cast, fresh, half_open, make_proposal, make_request
from tests.approvals.story import ROUTED, assert_story

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Broken(UnconfiguredConnector):
    """An adapter somebody wrote with a mistake in it."""

    def __init__(self, mistake: Callable[[], Preview]) -> None:
        super().__init__("payments")
        self._mistake = mistake

    def preview(self, action: Action) -> Preview:
        return self._mistake()


def fail(error: Exception) -> Callable[[], Preview]:
    def mistake() -> Preview:
        raise error

    return mistake


Build = Callable[[Mapping[str, object]], Connector]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Build], None]]:
    """Puts another builder in the place of the payments system's."""

    def put(build: Build) -> None:
        found = loading.load(())
        payments = replace(found.systems["payments"], build=build)
        changed = replace(found, systems={**found.systems, "payments": payments})
        monkeypatch.setattr(registry, "_registered", lambda: changed)
        registry._built.cache_clear()

    yield put
    registry._built.cache_clear()


def unusable(**parts: object) -> Callable[[], Preview]:
    return lambda: Preview(after={"refunded": True}, target_version="1", **parts)  # type: ignore[arg-type]


MISTAKES = {
    "a key that is missing": fail(KeyError("customer")),
    "a value that cannot be read": fail(ValueError("invalid literal for int()")),
    "a timeout of the driver's own": fail(TimeoutError("timed out")),
    "an outcome nobody knows": fail(OutcomeUnknown("reset")),
    "a value that is no JSON": unusable(before={"at": NOW}),
    "evidence that is no JSON": unusable(
        evidence=(SystemEvidence("charge", "Charge", {"at": NOW}),)
    ),
    "a fact nobody declared": unusable(facts={"customer.shoe_size": 43}),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_broken_adapter_is_logged_and_people_decide_at_the_highest_tier(
    cast: Cast,
    register: Callable[[Build], None],
    mistake: Callable[[], Preview],
    caplog: pytest.LogCaptureFixture,
) -> None:
    register(lambda config: Broken(mistake))

    with caplog.at_level(logging.WARNING):
        request = make_request(cast.agent)

    assert_story(request, "pending_approval", ROUTED)
    assert (request.risk_tier, request.verdict) == (HIGHEST_TIER, "require_approval")
    assert caplog.records


UNUSABLE_TARGETS = {
    "text of which rules would see half": unusable(before={"status": "paid\x00 not"}),
    "a version nobody can keep": unusable(guard="v" * 301),
}


@pytest.mark.parametrize("shown", UNUSABLE_TARGETS.values(), ids=UNUSABLE_TARGETS.keys())
def test_what_a_target_shows_that_cannot_be_used_counts_as_unread(
    cast: Cast, register: Callable[[Build], None], shown: Callable[[], Preview]
) -> None:
    register(lambda config: Broken(shown))

    request = make_request(cast.agent)

    assert_story(request, "pending_approval", ROUTED)
    assert (request.risk_tier, request.verdict) == (HIGHEST_TIER, "require_approval")


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_preflight_foresees_that(
    cast: Cast, register: Callable[[Build], None], mistake: Callable[[], Preview]
) -> None:
    register(lambda config: Broken(mistake))

    foreseen = check(make_proposal(), agent=cast.agent)

    assert ForeseenOutput(foreseen).data["preview"]["unavailable"]
    assert (foreseen.evaluation.tier, foreseen.evaluation.verdict) == (
        HIGHEST_TIER,
        "require_approval",
    )


@pytest.mark.postgres
def test_a_version_too_long_for_its_column_is_no_reason_to_lose_a_proposal(
    cast: Cast, register: Callable[[Build], None]
) -> None:
    """SQLite stores whatever length it is given."""
    register(lambda config: Broken(unusable(target_version="v" * 1000)))

    request = make_request(cast.agent)

    assert_story(request, "pending_approval", ROUTED)
    assert request.risk_tier == HIGHEST_TIER


def test_a_builder_that_fails_holds_up_nobody_either(
    cast: Cast, register: Callable[[Build], None]
) -> None:
    def build(config: object) -> Connector:
        raise ImportError("No module named 'cx_Oracle'")

    register(build)

    request = make_request(cast.agent)

    reading = reading_of(request)
    assert reading is not None
    assert "by a mistake of ours" in reading.unavailable
    assert request.risk_tier == HIGHEST_TIER


def test_an_interrupted_intake_is_carried_on_past_a_broken_adapter(
    cast: Cast, register: Callable[[Build], None]
) -> None:
    request = half_open(cast)
    ActionRequest.objects.filter(pk=request.pk).update(intake_claimed_until=None)
    register(lambda config: Broken(MISTAKES["a fact nobody declared"]))

    swept = sweep()

    assert swept.failed == 0
    assert fresh(request).state == "pending_approval"


def test_a_target_that_refuses_to_be_read_goes_to_the_highest_tier_too(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent, {"record": "acct_9999", "tag": "vip"}, action_type="crm.tag")

    assert request.risk_tier == HIGHEST_TIER
    assert ActionRequest.objects.get().state == "pending_approval"
    assert sandbox.effects("all") == []
