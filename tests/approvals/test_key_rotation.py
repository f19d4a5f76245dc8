"""Replacing a key: the old one works for the time that was said, and not a moment longer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from approvals.api.authentication import find_key
from approvals.exceptions import ApprovalError, NotAuthorised
from approvals.models import AgentKey
from approvals.services import agents
from approvals.services.agents import IssuedKey
from audit.actors import Actor
from audit.lib import db_clock
from audit.selectors import events_of
from audit.verify import verify
from tests.approvals.make import Cast, make_person
from tests.database import triggers_off

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
MONTH = timedelta(days=30)


def a_key(cast: Cast, lifetime: timedelta = MONTH) -> IssuedKey:
    return agents.issue_key(cast.agent.pk, actor=Actor.human(cast.owner), lifetime=lifetime)


def rotated(cast: Cast, old: IssuedKey, overlap: timedelta = HOUR) -> IssuedKey:
    return agents.rotate_key(old.key.pk, actor=Actor.human(cast.owner), overlap=overlap)


def is_let_in(issued: IssuedKey) -> bool:
    return find_key(issued.secret) is not None


def time_passes(key: AgentKey, much: timedelta) -> None:
    """As if all of it had been that long ago; the database lets nobody say so."""
    key.refresh_from_db()
    with triggers_off():
        AgentKey.objects.filter(pk=key.pk).update(
            created_at=key.created_at - much,
            expires_at=key.expires_at - much,
            replaced_until=key.replaced_until and key.replaced_until - much,
            last_used_at=key.last_used_at and key.last_used_at - much,
        )


def test_both_work_until_the_time_that_was_said_and_then_the_new_one_alone(cast: Cast) -> None:
    old = a_key(cast)
    new = rotated(cast, old)

    assert is_let_in(old)
    assert is_let_in(new)
    time_passes(old.key, HOUR)
    assert not is_let_in(old)
    assert is_let_in(new)


def test_the_new_one_lives_as_long_and_all_of_it_is_in_the_trail(cast: Cast) -> None:
    old = a_key(cast)
    new = rotated(cast, old)

    old.key.refresh_from_db()
    assert new.key.expires_at - new.key.created_at == MONTH
    assert old.key.replaced_until == new.key.created_at + HOUR
    *_, issued, replaced = events_of(cast.agent)
    assert (issued.code, replaced.code) == ("agent.key_issued", "agent.key_replaced")
    assert old.key.prefix in replaced.data
    assert new.key.prefix in replaced.data
    assert new.secret[20:] not in replaced.data + issued.data
    assert verify().problem is None


def test_without_an_overlap_the_old_one_ends_at_once(cast: Cast) -> None:
    old = a_key(cast)
    new = rotated(cast, old, timedelta(0))

    assert not is_let_in(old)
    assert is_let_in(new)


def test_replacing_never_makes_a_key_live_longer(cast: Cast) -> None:
    old = a_key(cast, lifetime=HOUR / 2)
    rotated(cast, old, timedelta(days=7))

    old.key.refresh_from_db()
    assert old.key.ends_at == old.key.expires_at
    time_passes(old.key, HOUR / 2)
    assert not is_let_in(old)


def test_it_may_be_revoked_before_its_time(cast: Cast) -> None:
    old = a_key(cast)
    new = rotated(cast, old, timedelta(days=7))

    agents.revoke_key(old.key.pk, actor=Actor.human(cast.owner))

    assert not is_let_in(old)
    assert is_let_in(new)


@pytest.mark.parametrize("state", ["revoked", "expired", "replaced"])
def test_only_a_key_that_works_is_replaced_and_once(cast: Cast, state: str) -> None:
    old = a_key(cast)
    if state == "revoked":
        agents.revoke_key(old.key.pk, actor=Actor.human(cast.owner))
    elif state == "expired":
        time_passes(old.key, MONTH)
    else:
        rotated(cast, old)
    before = AgentKey.objects.count()

    with pytest.raises(ApprovalError, match="Only a key that works"):
        rotated(cast, old)

    assert AgentKey.objects.count() == before


@pytest.mark.parametrize("overlap", [timedelta(days=7, seconds=1), timedelta(seconds=-1)])
def test_the_overlap_has_an_end(cast: Cast, overlap: timedelta) -> None:
    with pytest.raises(ApprovalError, match="at most a week"):
        rotated(cast, a_key(cast), overlap)


def test_nobody_else_replaces_it(cast: Cast) -> None:
    old = a_key(cast)

    for stranger in (make_person("otto2", "agent owner"), cast.mona, cast.sara):
        with pytest.raises(NotAuthorised):
            agents.rotate_key(old.key.pk, actor=Actor.human(stranger), overlap=HOUR)

    assert AgentKey.objects.count() == 1


def test_the_database_lets_nobody_give_a_replaced_key_more_time(cast: Cast) -> None:
    old = a_key(cast)
    rotated(cast, old)

    with pytest.raises(DatabaseError), transaction.atomic():
        AgentKey.objects.filter(pk=old.key.pk).update(replaced_until=db_clock.now() + MONTH)


def test_a_use_is_noted_and_not_again_for_some_minutes(cast: Cast) -> None:
    issued = a_key(cast)

    assert is_let_in(issued)
    first = AgentKey.objects.get(pk=issued.key.pk).last_used_at
    assert first is not None
    assert is_let_in(issued)
    assert AgentKey.objects.get(pk=issued.key.pk).last_used_at == first
    time_passes(issued.key, timedelta(minutes=11))
    assert is_let_in(issued)

    again = AgentKey.objects.get(pk=issued.key.pk).last_used_at
    assert again is not None
    assert again >= first


def test_a_wrong_key_notes_nothing(cast: Cast) -> None:
    issued = a_key(cast)

    assert find_key(issued.secret[:-1] + "!") is None
    assert AgentKey.objects.get().last_used_at is None
