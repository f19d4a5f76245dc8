"""A host whose clock is wrong changes nothing: what is compared has the database's time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from unittest import mock

import pytest
from django.db.models import F
from django.utils import timezone

from approvals.exceptions import NotAuthorised
from approvals.models import ActionRequest, Agent, Grant
from approvals.services import agents
from approvals.services.execute import execute
from audit.actors import Actor
from audit.lib import db_clock
from audit.models import AuditEvent
from audit.selectors import events_of
from connectors.sandbox.server import Sandbox
from policies.models import User
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    make_agent,
    make_limit,
    make_request,
    manager_refund,
    reject,
)
from tests.database import triggers_off

SLOW, FAST = timedelta(seconds=-30), timedelta(seconds=30)
both_ways = pytest.mark.parametrize("skew", [SLOW, FAST], ids=["slow", "fast"])


@contextmanager
def host_clock(skew: timedelta) -> Iterator[None]:
    """What runs inside runs on a host whose own clock is wrong by that much."""
    real = timezone.now

    def skewed() -> datetime:
        return real() + skew

    with mock.patch("django.utils.timezone.now", skewed):
        yield


def hand_over(agent: Agent, owner: User, actor: User) -> None:
    agents.change_agent(
        agent.pk,
        actor=Actor.human(actor),
        owner=owner,
        team=agent.team,
        action_types=agent.action_types,
        model=agent.model,
        ceiling=agent.ceiling,
    )


def make_old_agent(owner: User) -> Agent:
    """Registered an hour ago, long before any skew."""
    agent = make_agent(owner, "old-bot")
    with triggers_off():
        agent.history.update(history_date=F("history_date") - timedelta(hours=1))
    return agent


def told_no(cast: Cast, times: int) -> None:
    for number in range(times):
        agent = Agent.objects.get(pk=cast.agent.pk)
        reason = f"{timezone.now():%H%M%S%f} {number}"
        reject(make_request(agent, {**manager_refund(), "reason": reason}), cast.mona)


@both_ways
def test_handing_the_agent_over_frees_nobody_who_asked(cast: Cast, skew: timedelta) -> None:
    agent = make_old_agent(cast.mona)
    request = make_request(agent, manager_refund())

    with host_clock(skew):
        hand_over(agent, cast.owner, cast.ada)

    with pytest.raises(NotAuthorised):
        approve(request, cast.mona)
    assert fresh(request).state == "pending_approval"
    approve(request, cast.max)  # who never owned it still may


@both_ways
def test_an_owner_before_it_was_asked_may_decide(cast: Cast, skew: timedelta) -> None:
    agent = make_old_agent(cast.mona)
    hand_over(agent, cast.owner, cast.ada)

    with host_clock(skew):
        request = make_request(Agent.objects.get(pk=agent.pk), manager_refund())

    approve(request, cast.mona)
    assert fresh(request).state == "approved"


def test_who_owned_it_when_the_proposal_was_on_its_way_asked_too(cast: Cast) -> None:
    """The hand-over is committed between the look at the agent's key and the proposal."""
    agent = make_old_agent(cast.mona)
    as_authenticated = Agent.objects.select_related("owner").get(pk=agent.pk)
    hand_over(agent, cast.owner, cast.ada)

    request = make_request(as_authenticated, manager_refund())

    with pytest.raises(NotAuthorised):
        approve(request, cast.mona)


def test_a_hand_over_in_between_counts_too(cast: Cast) -> None:
    agent = make_old_agent(cast.owner)
    request = make_request(agent, manager_refund())
    hand_over(agent, cast.mona, cast.ada)
    hand_over(Agent.objects.get(pk=agent.pk), cast.owner, cast.ada)

    with pytest.raises(NotAuthorised):
        approve(request, cast.mona)


@both_ways
def test_a_pause_that_ended_after_the_grant_stops_it(
    cast: Cast, sandbox: Sandbox, skew: timedelta
) -> None:
    """The approval could not see the pause: it was being made while the pause was."""
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    with host_clock(skew):
        agents.pause_agent(cast.agent.pk, actor=Actor.human(cast.ada), reason="odd")
        before = Grant.objects.get(request=request).created_at - timedelta(seconds=1)
        with triggers_off():
            Agent.objects.filter(pk=cast.agent.pk).update(paused_at=before)
            Agent.history.filter(paused_at__isnull=False).update(paused_at=before)
        agents.resume_agent(cast.agent.pk, actor=Actor.human(cast.ada))

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert sandbox.effects("payments") == []


@both_ways
def test_a_pause_that_ended_before_the_grant_does_not(
    cast: Cast, sandbox: Sandbox, skew: timedelta
) -> None:
    with host_clock(skew):
        agents.pause_agent(cast.agent.pk, actor=Actor.human(cast.ada), reason="odd")
        agents.resume_agent(cast.agent.pk, actor=Actor.human(cast.ada))
    request = make_request(Agent.objects.get(pk=cast.agent.pk), manager_refund())
    approve(request, cast.mona)

    execute(request.pk)

    assert fresh(request).state == "audited"
    assert len(sandbox.effects("payments")) == 1


@both_ways
def test_a_resumed_agent_starts_over_and_not_later(cast: Cast, skew: timedelta) -> None:
    make_limit(cast.mona, "100000.00")
    told_no(cast, 3)
    assert Agent.objects.get(pk=cast.agent.pk).is_paused
    with host_clock(skew):
        agents.resume_agent(cast.agent.pk, actor=Actor.human(cast.ada))

    told_no(cast, 2)
    after_two = Agent.objects.get(pk=cast.agent.pk).is_paused
    told_no(cast, 1)

    assert not after_two
    assert Agent.objects.get(pk=cast.agent.pk).is_paused


@both_ways
def test_events_and_history_have_the_databases_time(cast: Cast, skew: timedelta) -> None:
    began = db_clock.now()
    with host_clock(skew):
        request = make_request(cast.agent, manager_refund())
        approve(request, cast.mona)
        User.objects.get(pk=cast.max.pk).save()  # past the services: stamped all the same
    ended = db_clock.now()

    at = list(events_of(request).order_by("seq").values_list("at", flat=True))
    rows = list(request.history.order_by("history_id").values_list("history_date", flat=True))
    rows += [cast.max.history.latest("history_id").history_date, Agent.objects.get().created_at]
    assert all(began <= moment <= ended for moment in at + rows[:-1])
    assert at == sorted(at)
    assert rows[-1] <= began
    assert AuditEvent.objects.filter(at__gt=ended).count() == 0


def test_an_old_request_goes_by_time_with_room_for_wrong_clocks(cast: Cast) -> None:
    """Made before requests noted their agent's sequence; its hosts may have been off."""
    agent = make_old_agent(cast.mona)
    request = make_request(agent, manager_refund())
    hand_over(agent, cast.owner, cast.ada)
    with triggers_off():
        born = events_of(request).filter(code="request.requested")
        born.update(data="{}")
        agent.history.filter(owner=cast.owner).update(history_date=F("history_date") + SLOW)

    with pytest.raises(NotAuthorised):
        approve(ActionRequest.objects.get(pk=request.pk), cast.mona)
