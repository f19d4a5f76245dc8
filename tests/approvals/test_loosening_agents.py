"""Owners tighten their agents by themselves; loosening, and another's pause, take an ops admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from approvals.exceptions import NotAuthorised
from approvals.models import Agent
from approvals.services.agents import change_agent, issue_key, pause_agent, resume_agent
from audit.actors import Actor
from audit.lib.money import Money
from tests.approvals.make import INSTALLER, Cast, make_agent, make_person
from tests.approvals.story import codes, rows_of

TYPES = ["crm.tag", "refund.issue"]
CEILING = Money.parse("500.00", "EUR")
DAY = timedelta(days=1)


@pytest.fixture
def bot(cast: Cast) -> Agent:
    """An agent of olga's that may do two things, up to 500 euros."""
    return make_agent(cast.owner, "small-bot", action_types=TYPES, ceiling=CEILING)


def change(bot: Agent, actor: Actor, **wanted: Any) -> Agent:
    as_it_is: dict[str, Any] = {
        "owner": bot.owner,
        "team": bot.team,
        "action_types": TYPES,
        "model": bot.model,
        "ceiling": CEILING,
    }
    return change_agent(bot.pk, actor=actor, **(as_it_is | wanted))


LOOSER = {
    "a higher ceiling": {"ceiling": Money.parse("500.01", "EUR")},
    "no ceiling": {"ceiling": None},
    "another currency": {"ceiling": Money.parse("500", "JPY")},
    "one more type": {"action_types": [*TYPES, "email.send"]},
    "another type": {"action_types": ["email.send"]},
}


@pytest.mark.parametrize("wanted", LOOSER.values(), ids=LOOSER)
def test_an_owner_does_not_loosen_their_own_agent(
    cast: Cast, bot: Agent, wanted: dict[str, Any]
) -> None:
    before = rows_of(Agent)

    with pytest.raises(NotAuthorised) as refused:
        change(bot, Actor.human(cast.owner), **wanted)

    assert refused.value.code == "not_ops_admin"
    assert rows_of(Agent) == before
    assert codes(bot) == ["agent.registered"]


@pytest.mark.parametrize("wanted", LOOSER.values(), ids=LOOSER)
def test_an_ops_admin_does(cast: Cast, bot: Agent, wanted: dict[str, Any]) -> None:
    change(bot, Actor.human(cast.ada), **wanted)

    assert codes(bot) == ["agent.registered", "agent.changed"]


@pytest.mark.parametrize("wanted", LOOSER.values(), ids=LOOSER)
@pytest.mark.parametrize("role", ["owner now", "owner after"])
def test_an_ops_admin_does_not_loosen_an_agent_of_their_own(
    cast: Cast, bot: Agent, role: str, wanted: dict[str, Any]
) -> None:
    mine = make_agent(cast.ada, "adas-bot", action_types=TYPES, ceiling=CEILING)
    subject = mine if role == "owner now" else bot

    with pytest.raises(NotAuthorised) as refused:
        change(subject, Actor.human(cast.ada), **({"owner": cast.ada} | wanted))

    assert refused.value.code == "own_agent"
    assert codes(subject) == ["agent.registered"]


@pytest.mark.parametrize(
    "wanted",
    [
        {"ceiling": Money.parse("499.99", "EUR")},
        {"action_types": ["crm.tag"]},
        {"action_types": []},
        {"model": "m-2"},
    ],
)
def test_an_owner_tightens_it(cast: Cast, bot: Agent, wanted: dict[str, Any]) -> None:
    change(bot, Actor.human(cast.owner), **wanted)

    assert codes(bot) == ["agent.registered", "agent.changed"]


def test_an_owner_gives_a_ceiling_to_one_that_had_none(cast: Cast) -> None:
    bot = make_agent(cast.owner, "free-bot", action_types=TYPES)

    assert change(bot, Actor.human(cast.owner)).ceiling_minor == 50_000


@pytest.mark.parametrize("who", ["an ops admin", "the system"])
def test_an_owner_does_not_lift_another_s_pause(cast: Cast, bot: Agent, who: str) -> None:
    owner = Actor.human(cast.owner)
    pause_agent(bot.pk, actor=owner, reason="my own, long ago")
    resume_agent(bot.pk, actor=owner)
    pauser = Actor.human(cast.ada) if who == "an ops admin" else INSTALLER
    pause_agent(bot.pk, actor=pauser, reason="rogue")

    with pytest.raises(NotAuthorised) as refused:
        resume_agent(bot.pk, actor=owner)

    assert refused.value.code == "not_ops_admin"
    assert Agent.objects.get(pk=bot.pk).is_paused
    assert not resume_agent(bot.pk, actor=Actor.human(cast.alan)).is_paused


def test_a_new_owner_answers_for_no_key_of_the_old_one(cast: Cast, bot: Agent) -> None:
    anton = make_person("anton", "agent owner")
    old = [issue_key(bot.pk, actor=Actor.human(cast.owner), lifetime=DAY).key for _ in range(2)]
    other = issue_key(cast.agent.pk, actor=INSTALLER, lifetime=DAY).key

    change(bot, Actor.human(cast.ada), owner=anton)

    for key in old:
        key.refresh_from_db()
        assert key.revoked_at is not None
    other.refresh_from_db()
    assert other.revoked_at is None
    assert codes(bot)[-3:] == ["agent.changed", "agent.key_revoked", "agent.key_revoked"]
    assert issue_key(bot.pk, actor=Actor.human(anton), lifetime=DAY).key.revoked_at is None
