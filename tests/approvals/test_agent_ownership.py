"""Who may register, change, stop and give keys to an agent, whatever page they come from."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.exceptions import NotAuthorised
from approvals.models import Agent, AgentKey
from approvals.services.agents import issue_key, pause_agent, register_agent, revoke_key
from audit.actors import Actor
from policies.models import User
from tests.approvals.make import Cast, make_person

DAY = timedelta(days=1)


def _register(actor: Actor, owner: User) -> Agent:
    return register_agent(
        name="new-bot", owner=owner, team="support", action_types=["crm.tag"], actor=actor
    )


def test_an_owner_keeps_their_own_agents(cast: Cast) -> None:
    owner = Actor.human(cast.owner)

    agent = _register(owner, cast.owner)
    key = issue_key(agent.pk, actor=owner, lifetime=DAY).key

    assert revoke_key(key.pk, actor=owner).revoked_at is not None


def test_an_ops_admin_keeps_everybodys(cast: Cast) -> None:
    assert pause_agent(cast.agent.pk, actor=Actor.human(cast.ada), reason="odd").is_paused


@pytest.mark.parametrize("villain", ["other owner", "manager", "superuser", "the agent itself"])
def test_nobody_else_does(cast: Cast, villain: str) -> None:
    root = make_person("root")
    User.objects.filter(pk=root.pk).update(is_superuser=True)
    actor = {
        "other owner": Actor.human(make_person("anton", "agent owner")),
        "manager": Actor.human(cast.mona),
        "superuser": Actor.human(root),
        "the agent itself": Actor.agent(cast.agent),
    }[villain]

    for attempt in (
        lambda: _register(actor, cast.owner),
        lambda: issue_key(cast.agent.pk, actor=actor, lifetime=DAY),
        lambda: pause_agent(cast.agent.pk, actor=actor, reason="because"),
    ):
        with pytest.raises(NotAuthorised):
            attempt()

    assert not AgentKey.objects.exists()
    assert not Agent.objects.get(pk=cast.agent.pk).is_paused
