"""Agents that redeem, report and lose their lease in the same moment: one grant, one outcome."""

from __future__ import annotations

from functools import partial

import pytest

from approvals.exceptions import GrantRefused
from approvals.models import Agent, Attempt
from approvals.services import agents
from approvals.services.execute import execute
from approvals.services.recover import recover
from approvals.services.redeem import RedeemedGrant
from tests.approvals.agents_own import (
    approved_command,
    lease_over,
    redeemed,
    reports,
)
from tests.approvals.make import INSTALLER, Cast, fresh
from tests.approvals.story import codes
from tests.races.make import at_once, losers
from tests.races.rounds import ROUNDS, a_moment_later, the_trail_is_whole_after_every_race

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

__all__ = ["the_trail_is_whole_after_every_race"]  # runs around every test here


def test_twenty_who_redeem_at_once_get_one_grant(cast: Cast, coder: Agent) -> None:
    for number in ROUNDS:
        request = approved_command(cast, coder, directory=f"/srv/{number}")

        results = at_once(*[partial(redeemed, request, f"run-{n}") for n in range(20)])

        refused = losers(results)
        assert [type(one) for one in refused] == [GrantRefused] * 19
        assert {getattr(one, "code", "") for one in refused} == {"grant_consumed"}
        assert sum(isinstance(one, RedeemedGrant) for one in results) == 1
        assert Attempt.objects.filter(execution__request=request).count() == 1
        assert codes(request).count("grant.consumed") == 1


def test_one_redeemer_who_asks_twenty_times_at_once_gets_one_answer(
    cast: Cast, coder: Agent
) -> None:
    for number in ROUNDS:
        request = approved_command(cast, coder, directory=f"/srv/{number}")

        results = at_once(*[partial(redeemed, request)] * 20)

        assert losers(results) == []
        assert len({(one.fence, one.not_after) for one in results}) == 1  # type: ignore[attr-defined]
        assert codes(request).count("grant.consumed") == 1


def test_workers_beside_the_agent_carry_out_nothing(cast: Cast, coder: Agent) -> None:
    for number in ROUNDS:
        request = approved_command(cast, coder, directory=f"/srv/{number}")

        results = at_once(partial(redeemed, request), *[partial(execute, request.pk)] * 4)

        assert losers(results) == []
        assert Attempt.objects.filter(execution__request=request).count() == 1
        assert fresh(request).state == "executing"


def test_a_pause_and_a_redeem_have_one_order(cast: Cast, coder: Agent) -> None:
    for number in ROUNDS:
        request = approved_command(cast, coder, directory=f"/srv/{number}")
        pause = partial(agents.pause_agent, coder.pk, actor=INSTALLER, reason="odd")

        results = at_once(partial(redeemed, request), a_moment_later(number, pause))

        if isinstance(results[0], RedeemedGrant):
            assert fresh(request).state == "executing"
        else:
            assert getattr(results[0], "code", "") == "drift"
            assert fresh(request).state == "pending_approval"
        agents.resume_agent(coder.pk, actor=INSTALLER)


def test_a_report_and_the_end_of_the_lease_have_one_order(cast: Cast, coder: Agent) -> None:
    for number in ROUNDS:
        request = approved_command(cast, coder, directory=f"/srv/{number}")
        redeemed(request)

        def end(request: object = request) -> None:
            lease_over(request)  # type: ignore[arg-type]
            recover(request.pk)  # type: ignore[attr-defined]

        results = at_once(partial(reports, request), a_moment_later(number, end))

        assert not isinstance(results[1], Exception)
        if isinstance(results[0], Exception):
            assert getattr(results[0], "code", "") == "late_report"
            assert fresh(request).state == "outcome_unknown"
            assert "execution.late_result" in codes(request)
        else:
            assert fresh(request).state == "executed"
            assert "execution.lease_expired" not in codes(request)


def test_two_different_reports_at_once_leave_one_outcome(cast: Cast, coder: Agent) -> None:
    for number in ROUNDS:
        request = approved_command(cast, coder, directory=f"/srv/{number}")
        redeemed(request)

        results = at_once(partial(reports, request), partial(reports, request, "failed"))

        (refused,) = losers(results)
        assert getattr(refused, "code", "") == "already_reported"
        assert fresh(request).state == ("executed" if results[0] is None else "failed")
        assert codes(request).count("execution.reported") == 1
        assert codes(request).count("execution.report_refused") == 1
