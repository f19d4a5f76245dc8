"""A system that never answers: who waits for it waits seconds, and nobody waits behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from approvals.domain import target_reader
from approvals.domain.evidence import ask_target
from approvals.domain.target_reader import (
    AT_ONCE,
    AT_ONCE_PER_SYSTEM,
    HANGS_AFTER,
    READ_SECONDS,
    read_in_time,
    read_or_go_without,
)
from approvals.services.dry_run import check
from audit.lib import db_clock
from connectors.base import Action
from connectors.sandbox.server import Sandbox
from policies.verdicts import HIGHEST_TIER
from tests.approvals.make import (
    Cast,
    approve_with_edits,
    crm,
    fresh,
    look_at,
    make_proposal,
    make_request,
    manager_refund,
    refund,
)
from tests.faults.processes import until
from tests.hanging import HangingSystem, hanging_system

REFUND = Action("refund.issue", refund())
TAG = Action("crm.update", crm())
LONG = 60
"""Seconds nothing here may take: far beyond every bound, far below a connector's patience here."""


@pytest.fixture(autouse=True)
def _real_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As imported here: before any fixture made tests patient."""
    monkeypatch.setattr(target_reader, "READ_SECONDS", READ_SECONDS)
    monkeypatch.setattr(target_reader, "HANGS_AFTER", HANGS_AFTER)


@pytest.fixture
def payments(sandbox: Sandbox, settings: Settings) -> Iterator[HangingSystem]:
    """The payments system hangs, the others are well; a connector would wait for minutes."""
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=10 * LONG)
    with hanging_system() as system:
        payments = settings.CONNECTORS["payments"] | {"base_url": system.address}
        settings.CONNECTORS = settings.CONNECTORS | {"payments": payments}
        yield system
    until("the reads to end", lambda: all(map(_is_free, list(target_reader._shares.values()))))


def _is_free(share: target_reader._Places) -> bool:
    return not share._begun


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_reader, "READ_SECONDS", 0.3)


def seconds_of(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


@pytest.mark.usefixtures("hurry")
def test_a_preflight_goes_on_without_a_preview(cast: Cast, payments: HangingSystem) -> None:
    foreseen = check(make_proposal(), agent=cast.agent)

    assert foreseen.evaluation.tier == HIGHEST_TIER
    assert payments.callers


@pytest.mark.usefixtures("hurry")
def test_a_proposal_is_left_to_a_worker(cast: Cast, payments: HangingSystem) -> None:
    assert make_request(cast.agent).state == "requested"


def test_an_edit_is_kept_and_people_are_told_there_is_no_preview(
    cast: Cast, sandbox: Sandbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request(cast.agent, manager_refund())
    monkeypatch.setattr(target_reader, "READ_SECONDS", 0.3)
    with hanging_system() as system:
        broken = settings.CONNECTORS["payments"] | {"base_url": system.address}
        settings.CONNECTORS = settings.CONNECTORS | {"payments": broken}
        approve_with_edits(
            request.pk,
            decider=cast.mona,
            reviewed=look_at(request, cast.mona),
            params=manager_refund("700.00"),
            reason_code="corrected",
        )

    edited = fresh(request)
    assert (edited.state, edited.version, edited.risk_tier) == ("pending_approval", 2, HIGHEST_TIER)
    reading = edited.readings.get(version=2)
    assert reading.unavailable == "The target system did not answer in time."


@pytest.mark.django_db
def test_one_dead_system_takes_only_its_share(payments: HangingSystem) -> None:
    with ThreadPoolExecutor(AT_ONCE_PER_SYSTEM) as people:
        waiting = [
            people.submit(target_reader._within_bounds, REFUND) for _ in range(AT_ONCE_PER_SYSTEM)
        ]
        until("its share to be taken", lambda: len(payments.callers) == AT_ONCE_PER_SYSTEM)

        third = read_in_time(REFUND)
        other = read_in_time(TAG)

        assert third is None
        assert len(payments.callers) == AT_ONCE_PER_SYSTEM  # the third did not even call
        assert other is not None
        assert other.before
        assert [future.result() for future in waiting] == [None, None]


@pytest.mark.django_db
@pytest.mark.usefixtures("hurry")
def test_a_read_that_hangs_keeps_its_place_until_it_ends(payments: HangingSystem) -> None:
    for _ in range(AT_ONCE_PER_SYSTEM):
        assert read_in_time(REFUND) is None

    took = seconds_of(lambda: read_or_go_without(REFUND))

    assert len(payments.callers) == AT_ONCE_PER_SYSTEM
    assert took < LONG


@pytest.mark.django_db
def test_the_bound_is_seconds_whatever_the_connector_waits(payments: HangingSystem) -> None:
    assert seconds_of(lambda: read_or_go_without(REFUND)) < LONG
    assert READ_SECONDS == 3.0


def test_threads_are_left_for_people(settings: Settings) -> None:
    from approvals.api.waiting import PLACES

    assert AT_ONCE_PER_SYSTEM < AT_ONCE
    assert AT_ONCE + PLACES < settings.WEB_THREADS


@pytest.mark.django_db
def test_what_was_read_says_since_when_by_the_database(sandbox: Sandbox) -> None:
    before = db_clock.now()

    preview = read_in_time(REFUND)

    assert preview is not None
    assert preview.read_at is not None
    assert before <= preview.read_at <= db_clock.now()
    assert ask_target(REFUND).read_at is None


def test_nobody_queues_behind_a_read_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    places = target_reader._Places(1)
    monkeypatch.setattr(target_reader, "READ_SECONDS", float(LONG))
    monkeypatch.setattr(target_reader, "HANGS_AFTER", 0.2)
    held = places.take()
    assert held is not None

    took = seconds_of(lambda: (places.take(), places.take()))

    assert took < LONG
    places.free(held)
    assert places.take() is not None


def test_a_busy_system_is_waited_for(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many at once is no sign of a dead system: each waits its turn, and reads."""
    monkeypatch.setattr(target_reader, "READ_SECONDS", float(LONG))
    monkeypatch.setattr(target_reader, "HANGS_AFTER", float(LONG))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(target_reader._within_bounds, [REFUND] * 24))

    assert [preview for preview in found if preview is None or preview.unavailable] == []
