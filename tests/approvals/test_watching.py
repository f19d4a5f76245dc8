"""What is wrong with the installation is said on /readyz and Today, and told once to ops admins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.db.models import F
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from approvals import tasks
from approvals.models import ActionRequest, Alarm, Grant, Heartbeat
from approvals.selectors.watching import find_problems
from approvals.services import watching
from approvals.services.sweep import sweep
from audit.lib import db_clock
from connectors.sandbox.server import Sandbox
from policies.models import User
from tests.admin.make import browser, text_of
from tests.approvals.make import Cast, half_open, make_access, make_person, make_request
from tests.database import as_superuser, triggers_off

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


@pytest.fixture
def well(cast: Cast) -> Cast:
    """An installation whose workers have just reported."""
    watching.beat(Heartbeat.SWEEP)
    return cast


def codes() -> list[str]:
    return [problem.code for problem in find_problems()]


def readiness() -> Any:
    cache.clear()
    return Client().get("/readyz")


def test_when_all_is_well_nothing_is_said(well: Cast) -> None:
    answer = readiness()

    assert answer.status_code == 200
    assert (answer.json()["posture"], answer.json()["problems"]) == ("well", [])


def test_a_sweep_through_the_broker_is_the_sign_of_life_and_one_by_hand_is_not(cast: Cast) -> None:
    assert codes() == ["workers"]

    sweep()
    assert codes() == ["workers"]

    tasks.sweep()
    assert codes() == []


def test_silent_workers_degrade_and_deciding_goes_on(well: Cast) -> None:
    Heartbeat.objects.update(at=F("at") - timedelta(minutes=7))

    answer = readiness()

    assert answer.status_code == 200
    assert answer.json()["posture"] == "degraded"
    (problem,) = answer.json()["problems"]
    assert problem["code"] == "workers"
    assert "7 min" in problem["reason"]


def test_an_approved_row_nobody_begins_is_said_after_a_minute_and_not_before(well: Cast) -> None:
    make_request(well.agent)
    assert codes() == []

    with triggers_off():
        Grant.objects.update(created_at=F("created_at") - timedelta(seconds=61))

    assert codes() == ["executions"]


def test_one_outside_its_change_window_only_waits(well: Cast) -> None:
    make_request(well.agent)
    with triggers_off():
        Grant.objects.update(created_at=F("created_at") - timedelta(hours=1), window="never-opens")

    assert codes() == []


def test_a_route_nobody_can_decide_is_said_until_somebody_can(well: Cast) -> None:
    User.objects.filter(groups__name__in=["security", "manager", "executive"]).update(
        is_active=False
    )
    make_access(well)
    assert "routes" in codes()

    User.objects.update(is_active=True)

    assert "routes" not in codes()


def test_a_proposal_that_is_not_taken_in_is_said(well: Cast) -> None:
    request = half_open(well)
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(
            created_at=F("created_at") - timedelta(minutes=2)
        )

    assert codes() == ["intakes"]


def test_a_system_that_does_not_answer_is_said_and_others_are_not(
    well: Cast, sandbox: Sandbox, settings: Settings
) -> None:
    settings.CONNECTORS = {
        **sandbox.connectors,
        "changes": {"base_url": "http://127.0.0.1:9", "token": "x"},
        "records": {"url": "postgresql://nobody@127.0.0.1:9/none"},
        "logistics": {"base_url": "", "token": ""},
    }

    watching.watch()

    assert codes() == ["system-changes", "system-records"]

    settings.CONNECTORS = sandbox.connectors
    watching.watch()
    assert codes() == []


def test_ops_admins_are_told_once_and_again_only_after_it_was_over(well: Cast) -> None:
    with as_superuser():
        Heartbeat.objects.filter(name=Heartbeat.SWEEP).delete()

    watching.watch()
    watching.watch()

    assert [m.bcc for m in mail.outbox] == [[well.ada.email, well.alan.email]]
    assert "No worker has reported" in mail.outbox[0].body

    watching.beat(Heartbeat.SWEEP)
    watching.watch()
    assert not Alarm.objects.exists()
    with as_superuser():
        Heartbeat.objects.filter(name=Heartbeat.SWEEP).delete()
    watching.watch()
    assert len(mail.outbox) == 2


def test_a_mail_that_is_not_taken_is_sent_again_later(well: Cast, settings: Settings) -> None:
    with as_superuser():
        Heartbeat.objects.filter(name=Heartbeat.SWEEP).delete()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9

    watching.watch()
    alarm = Alarm.objects.get()
    assert alarm.told_at is None
    assert alarm.next_attempt_at > db_clock.now()

    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    Alarm.objects.update(next_attempt_at=db_clock.now())
    watching.watch()
    assert Alarm.objects.get().told_at is not None
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(("role", "sees"), [("auditor", True), ("finance", False)])
def test_today_says_it_to_those_who_watch(cast: Cast, role: str, sees: bool) -> None:
    person = make_person("wanda", role)

    text = text_of(browser(person).get(reverse("admin:index")))

    assert ("Something is wrong" in text) is sees
    assert ("No worker has reported yet" in text) is sees
