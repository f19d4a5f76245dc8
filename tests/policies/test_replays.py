"""Replays as work orders: they survive whoever runs them, and count only for what they replayed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import Actor, ActorKind
from policies.models import Backtest, PolicyVersion, User
from policies.replay.backtest import PastCase
from policies.replay.summary import Summary
from policies.services import backtests
from policies.services.backtests import (
    find_waiting,
    request_backtest,
    run_backtest,
)
from policies.services.publishable import finished_replay, in_force
from policies.services.versions import draft_version
from tests.database import triggers_off
from tests.policies import shelf
from tests.policies.make import SMALL, codes, make_deciders, make_document, make_user, refused
from tests.policies.shelf import CASES, LOOSER, NOON, STRICTER, make_past


@pytest.fixture
def rita(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> User:
    """A risk owner, in a house that has past cases."""
    settings.POLICY_PAST_CASES = "tests.policies.shelf"
    monkeypatch.setattr(shelf, "cases", CASES)
    make_deciders()
    return make_user("rita", "risk owner")


# --- The work order ------------------------------------------------------------------------------


def drafted(author: User, text: str = LOOSER) -> PolicyVersion:
    return draft_version(text, author=author, reason="try it")


def ordered(author: User, version: PolicyVersion) -> Backtest:
    return request_backtest(version.pk, actor=Actor.human(author))


def test_a_replay_is_carried_out_and_on_record(rita: User) -> None:
    version = drafted(rita)
    order = ordered(rita, version)
    assert (order.status, find_waiting(timezone.now())) == ("waiting", [order.pk])

    run_backtest(order.pk)

    order.refresh_from_db()
    summary = Summary.from_json(order.summary)
    assert (order.status, order.total, order.done) == ("done", 20, 20)
    assert (summary.flips.looser.count, order.flips.count()) == (12, 12)
    assert finished_replay(version, in_force()) == order
    assert codes(version) == ["policy.drafted", "policy.replayed"]
    flip = order.flips.order_by("amount_base")[0]
    assert (flip.subject_id, flip.direction, flip.amount_base) == ("request-5", "looser", 125)
    assert (flip.before_asked, flip.after_asked, flip.after_verdict) == ("finance", "", "allow")
    assert find_waiting(timezone.now()) == []


def test_flips_go_in_every_direction(rita: User) -> None:
    shelf.cases = [
        *CASES[:8],
        make_past(30, 500, asked=("manager",)),
        make_past(31, 500, asked=("finance", "manager"), people=2),
    ]
    order = ordered(rita, drafted(rita, STRICTER))

    run_backtest(order.pk)

    order.refresh_from_db()
    found = Summary.from_json(order.summary).flips
    assert (found.stricter.count, found.looser.count, found.rerouted.count) == (2, 1, 1)


def test_an_empty_history_is_a_replay_too(rita: User) -> None:
    shelf.cases = []
    version = drafted(rita)
    order = ordered(rita, version)

    run_backtest(order.pk)

    assert finished_replay(version, in_force()) == order
    order.refresh_from_db()
    assert Summary.from_json(order.summary).never_matched == ("small", "large")


@pytest.mark.parametrize("role", ["finance", "auditor", "agent owner"])
def test_only_who_writes_policy_replays_it(rita: User, role: str) -> None:
    villain = make_user("vic", role, is_superuser=True)
    version = drafted(rita)

    with refused("not_risk_owner"):
        ordered(villain, version)
    with refused("not_risk_owner"):
        request_backtest(version.pk, actor=Actor(ActorKind.AGENT, "1", "clever agent"))
    assert Backtest.objects.count() == 0


def test_a_second_order_is_the_first_one(rita: User) -> None:
    version = drafted(rita)

    first, second = ordered(rita, version), ordered(rita, version)

    assert first == second
    run_backtest(first.pk)
    assert ordered(rita, version) != first


def test_an_edited_draft_is_replayed_anew(rita: User) -> None:
    version = drafted(rita)
    order = ordered(rita, version)
    other = make_document(STRICTER).digest
    with triggers_off():
        PolicyVersion.objects.filter(pk=version.pk).update(document=STRICTER, digest=other)
    version.refresh_from_db()

    run_backtest(order.pk)

    order.refresh_from_db()
    assert (order.status, order.problem) == (
        "failed",
        "The version was edited since. Replay it again.",
    )
    assert finished_replay(version, in_force()) is None
    assert ordered(rita, version) != order


def test_a_replay_against_an_earlier_policy_does_not_count(rita: User) -> None:
    version = drafted(rita)
    order = ordered(rita, version)
    run_backtest(order.pk)
    PolicyVersion.objects.create(
        label="other", document=SMALL, digest="x", status="published", reason="x",
        created_at=NOON, published_at=NOON,
    )  # fmt: skip

    assert finished_replay(version, in_force()) is None


def test_a_retired_version_is_not_replayed(rita: User) -> None:
    version = drafted(rita)
    with triggers_off():
        PolicyVersion.objects.filter(pk=version.pk).update(status="discarded")

    with refused("not_replayable"):
        ordered(rita, version)
    with refused("unknown_version"):
        request_backtest(version.pk + 99, actor=Actor.human(rita))


# --- Killed and taken over -----------------------------------------------------------------------


class Killed(BaseException):
    """What a worker's end looks like from inside."""


def test_a_killed_run_is_taken_over_and_starts_again_from_nothing(
    rita: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = drafted(rita)
    order = ordered(rita, version)

    def dies_on_the_way(most: int) -> Iterator[Sequence[PastCase]]:
        yield CASES[:7]
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(shelf, "newest", dies_on_the_way)
        with pytest.raises(Killed):
            run_backtest(order.pk)
    order.refresh_from_db()
    assert (order.status, order.done, order.flips.count()) == ("running", 7, 2)

    run_backtest(order.pk)  # somebody may still be at it
    order.refresh_from_db()
    assert (order.status, order.done) == ("running", 7)
    assert find_waiting(timezone.now()) == []

    silent = timezone.now() - backtests.SILENT_AFTER
    Backtest.objects.filter(pk=order.pk).update(beat_at=silent)
    assert find_waiting(timezone.now()) == [order.pk]
    run_backtest(order.pk)

    order.refresh_from_db()
    assert (order.status, order.done, order.flips.count()) == ("done", 20, 12)
    assert codes(version) == ["policy.drafted", "policy.replayed"]


def test_a_run_that_was_taken_over_writes_nothing_more(
    rita: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = drafted(rita)
    order = ordered(rita, version)

    def falls_asleep(most: int) -> Iterator[Sequence[PastCase]]:
        yield CASES[:7]
        Backtest.objects.filter(pk=order.pk).update(beat_at=NOON)
        with monkeypatch.context() as patched:
            patched.setattr(shelf, "newest", lambda most: iter([CASES]))
            run_backtest(order.pk)
        yield CASES[7:]

    monkeypatch.setattr(shelf, "newest", falls_asleep)
    run_backtest(order.pk)

    order.refresh_from_db()
    assert (order.status, order.done, order.flips.count()) == ("done", 20, 12)
    assert codes(version) == ["policy.drafted", "policy.replayed"]


def test_a_failure_is_kept_as_a_sentence(
    rita: User, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    order = ordered(rita, drafted(rita))

    def broken(most: int) -> Iterator[Sequence[PastCase]]:
        raise OSError("disk")

    monkeypatch.setattr(shelf, "newest", broken)
    run_backtest(order.pk)

    order.refresh_from_db()
    assert (order.status, order.problem) == (
        "failed",
        "The replay failed (OSError). Ask for it again.",
    )


def test_an_order_that_never_ends_is_given_up(rita: User) -> None:
    order = ordered(rita, drafted(rita))
    long_ago = timezone.now() - backtests.GIVE_UP_AFTER - timedelta(seconds=1)
    with triggers_off():
        Backtest.objects.filter(pk=order.pk).update(
            status="running", created_at=long_ago, started_at=long_ago, beat_at=long_ago
        )

    run_backtest(order.pk)

    order.refresh_from_db()
    assert order.status == "failed"
    assert order.problem.endswith(".")
    assert find_waiting(timezone.now()) == []
