"""People say themselves when they are away; ops admins say it for others; nobody else does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.actors import Actor
from audit.lib import db_clock
from audit.selectors import describe, events_of
from policies.exceptions import PolicyError
from policies.models import Absence, User
from policies.services.absences import absent_persons, cancel_absence, set_absence
from policies.services.roles import sync_roles
from tests.approvals.make import INSTALLER, make_person

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def otto() -> User:
    sync_roles(actor=INSTALLER)
    return make_person("otto", "operations")


def gone(user: User, actor: Actor, begins: timedelta = -HOUR, ends: timedelta = HOUR) -> Absence:
    at = db_clock.now()
    return set_absence(user.pk, starts_at=at + begins, ends_at=at + ends, actor=actor)


def test_somebody_is_away_from_when_they_say_until_they_are_back(otto: User) -> None:
    absence = gone(otto, Actor.human(otto), begins=HOUR, ends=3 * HOUR)
    at = db_clock.now()

    assert absent_persons(at) == frozenset()
    assert absent_persons(at + 2 * HOUR) == {"otto"}
    assert absent_persons(at + 4 * HOUR) == frozenset()
    cancel_absence(absence.pk, actor=Actor.human(otto))
    assert absent_persons(at + 2 * HOUR) == frozenset()
    told = [describe(event) for event in events_of(absence)]
    back = timezone.localtime(absence.ends_at)
    assert told[0] == f"otto is out of office until {back:%-d %b %Y, %H:%M %Z}"
    assert told[1] == "otto is back"


def test_another_account_of_the_same_person_and_an_ops_admin_may(otto: User) -> None:
    twin = make_person("otto2", "support", person="otto")
    ada = make_person("ada", "ops admin")

    first = gone(otto, Actor.human(twin))
    gone(otto, Actor.human(ada))
    cancel_absence(first.pk, actor=Actor.human(ada))

    assert absent_persons(db_clock.now()) == {"otto"}


@pytest.mark.parametrize("villain", ["colleague", "superuser"])
def test_nobody_else_sends_anybody_away_or_calls_them_back(otto: User, villain: str) -> None:
    colleague, root = make_person("oona", "operations"), make_person("root")
    User.objects.filter(pk=root.pk).update(is_superuser=True)
    actor = Actor.human(root if villain == "superuser" else colleague)
    absence = gone(otto, INSTALLER)

    with pytest.raises(PolicyError) as sent:
        gone(otto, actor)
    with pytest.raises(PolicyError) as called:
        cancel_absence(absence.pk, actor=actor)

    assert sent.value.code == called.value.code == "not_yours"
    assert Absence.objects.get().cancelled_at is None


@pytest.mark.parametrize(
    ("begins", "ends", "code"),
    [
        (HOUR, -HOUR, "bad_window"),
        (timedelta(days=733), timedelta(days=734), "bad_window"),
        (-2 * HOUR, -HOUR, "bad_window"),
        (HOUR, timedelta(days=400), "too_long"),
    ],
)
def test_an_absence_has_a_window_that_makes_sense(
    otto: User, begins: timedelta, ends: timedelta, code: str
) -> None:
    with pytest.raises(PolicyError) as refusal:
        gone(otto, Actor.human(otto), begins, ends)

    assert refusal.value.code == code
    assert not Absence.objects.exists()


def test_what_is_over_is_not_cancelled(otto: User) -> None:
    absence = gone(otto, INSTALLER)
    cancel_absence(absence.pk, actor=INSTALLER)

    with pytest.raises(PolicyError) as twice:
        cancel_absence(absence.pk, actor=INSTALLER)
    with pytest.raises(PolicyError) as unknown:
        cancel_absence(absence.pk + 1, actor=INSTALLER)

    assert (twice.value.code, unknown.value.code) == ("is_over", "unknown_absence")
