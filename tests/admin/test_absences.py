"""People enter their own absences on a page, ops admins anybody's; colleagues see them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from audit.lib import db_clock
from policies.models import Absence, User
from policies.services.absences import set_absence
from policies.services.roles import sync_roles
from tests.admin.make import browser, text_of
from tests.approvals.make import INSTALLER, make_person

pytestmark = pytest.mark.django_db

ADD = "admin:policies_absence_add"
LIST = "admin:policies_absence_changelist"


@pytest.fixture
def otto() -> User:
    sync_roles(actor=INSTALLER)
    return make_person("otto", "operations")


def typed(**more: Any) -> dict[str, Any]:
    begins = timezone.localtime(db_clock.now()) + timedelta(days=1)
    ends = begins + timedelta(days=7)
    return {
        "begins": f"{begins:%Y-%m-%dT%H:%M}",
        "ends": f"{ends:%Y-%m-%dT%H:%M}",
        "why": "",
    } | more


def away(user: User) -> Absence:
    at = db_clock.now()
    return set_absence(user.pk, starts_at=at, ends_at=at + timedelta(days=1), actor=INSTALLER)


def cancel(absence: Absence) -> str:
    return reverse("admin:policies_absence_cancel", args=[absence.pk])


def test_somebody_enters_their_own_and_calls_it_off(otto: User) -> None:
    client = browser(otto)

    client.post(reverse(ADD), typed(why="holidays"))

    absence = Absence.objects.get()
    assert (absence.user, absence.reason) == (otto, "holidays")
    assert "to come" in text_of(client.get(reverse(LIST)))
    assert "work is suggested again" in text_of(client.post(cancel(absence), follow=True))
    absence.refresh_from_db()
    assert absence.cancelled_at is not None


def test_an_ops_admin_enters_and_calls_off_anybodys(otto: User) -> None:
    ada = browser(make_person("ada", "ops admin"))

    ada.post(reverse(ADD), typed(who=otto.pk))
    ada.post(cancel(Absence.objects.get()))

    absence = Absence.objects.get()
    assert absence.user == otto
    assert absence.cancelled_at is not None


@pytest.mark.parametrize("villain", ["colleague", "auditor", "superuser"])
def test_nobody_else_sends_anybody_away_or_calls_them_back(otto: User, villain: str) -> None:
    people = {
        "colleague": make_person("oona", "operations"),
        "auditor": make_person("ida", "auditor"),
        "superuser": User.objects.create(username="root", is_staff=True, is_superuser=True),
    }
    absence = away(otto)
    client = browser(people[villain])

    client.post(reverse(ADD), typed(who=otto.pk))

    assert client.post(cancel(absence)).status_code == 403
    assert [one.user for one in Absence.objects.filter(user=otto)] == [otto]
    absence.refresh_from_db()
    assert absence.cancelled_at is None
    assert "away" in text_of(client.get(reverse(LIST)))


def test_what_makes_no_sense_is_said_on_the_form(otto: User) -> None:
    form = typed()

    answer = browser(otto).post(
        reverse(ADD), {**form, "begins": form["ends"], "ends": form["begins"]}
    )

    assert "An absence ends after it begins" in text_of(answer)
    assert not Absence.objects.exists()


def test_the_page_leads_to_lending_ones_authority(otto: User) -> None:
    assert reverse("admin:policies_delegation_add") in text_of(browser(otto).get(reverse(ADD)))
