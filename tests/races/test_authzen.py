"""Twenty enforcement points use one approval at once: one is told true."""

from __future__ import annotations

from functools import partial

import pytest
from pytest_django.fixtures import Settings

from approvals.models import Agent, Attempt
from tests.approvals.agents_own import COMMAND
from tests.approvals.asking import Enforcer
from tests.approvals.make import Cast, approve
from tests.races.make import at_once
from tests.races.rounds import the_trail_is_whole_after_every_race
from tests.trials import trials

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

__all__ = ["the_trail_is_whole_after_every_race"]  # runs around every test here


def test_of_twenty_who_use_an_approval_at_once_one_may(
    cast: Cast, coder: Agent, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUTHZEN = True
    rate = "approvals.api.authentication.AgentThrottle.rate"
    monkeypatch.setattr(rate, "1000000/min", raising=False)  # every round asks 24 times
    enforcer = Enforcer(coder)
    for number in range(trials(20)):
        asked = enforcer.asked({**COMMAND, "directory": f"/srv/{number}"})
        request = enforcer.requested(asked)
        approve(request, cast.sara, cast.otto)
        approval = enforcer.approval(request)

        said = at_once(*[partial(enforcer.use, approval, asked)] * 20)

        decisions = sorted(one["decision"] for one in said)  # type: ignore[index]
        assert decisions == [False] * 19 + [True]
        assert Attempt.objects.filter(execution__request=request).count() == 1
