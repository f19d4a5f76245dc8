"""Of two who act at once one is too late: they get the page and the reason, not a bare 403."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from approvals.choices import PauseScope
from approvals.services import pauses
from audit.actors import Actor
from audit.lib import db_clock
from policies.models import AuthorityChange, User
from policies.services import absences, dual_control, limits
from tests.admin.visit import said, visit
from tests.approvals.make import INSTALLER, make_house, make_limit, make_person
from tests.database import triggers_off
from tests.policies.delegating import make_delegation

pytestmark = pytest.mark.django_db


@pytest.fixture
def admins() -> tuple[User, User, User]:
    """Who proposes, who is first, who is late."""
    make_house()
    return tuple(make_person(name, "ops admin") for name in ("ada", "petra", "quinn"))  # type: ignore[return-value]


def post(client: Client, row: Model, action: str) -> str:
    """What they read after they pressed the button."""
    name = f"{row._meta.app_label}_{row._meta.model_name}_{action}"
    answer = client.post(reverse(f"admin:{name}", args=[row.pk]), {"reason": "yes"}, follow=True)
    assert answer.status_code == 200
    return said(answer)


def make_change(proposer: User) -> AuthorityChange:
    fred = make_person("fred", "finance")
    change = limits.set_limit(
        actor=Actor.human(proposer), user_id=fred.pk, action_type="*", currency="EUR",
        each_minor=50_000, reason="new",
    )  # fmt: skip
    assert isinstance(change, AuthorityChange)
    return change


@pytest.mark.parametrize("late", ["agree", "refuse", "withdraw"])
@pytest.mark.parametrize(
    ("first", "word"),
    [(dual_control.agree, "agreed to"), (dual_control.refuse, "refused")],
)
def test_the_second_of_two_ops_admins_reads_who_answered_and_when(
    admins: tuple[User, User, User], late: str, first: Callable[..., object], word: str
) -> None:
    ada, petra, quinn = admins
    change = make_change(ada)
    first(change.pk, actor=Actor.human(petra), reason="yes")

    told = post(visit(quinn), change, late)

    change.refresh_from_db()
    assert change.decided_at is not None
    when = timezone.localtime(change.decided_at)
    assert f"petra {word} this on {when:%-d %b %Y, %H:%M %Z}." in told
    assert change.decided_by == petra


def test_the_proposer_who_withdraws_too_late_reads_it_as_well(
    admins: tuple[User, User, User],
) -> None:
    ada, petra, _ = admins
    change = make_change(ada)
    dual_control.agree(change.pk, actor=Actor.human(petra), reason="yes")

    assert "petra agreed to this on" in post(visit(ada), change, "withdraw")


def test_what_lapsed_says_so(admins: tuple[User, User, User]) -> None:
    change = make_change(admins[0])
    with triggers_off():
        AuthorityChange.objects.update(lapses_at=db_clock.now() - timedelta(hours=1))
    dual_control.lapse(change.pk)

    assert "Nobody agreed in time: this lapsed on" in post(visit(admins[1]), change, "agree")


def test_a_pause_somebody_has_lifted(admins: tuple[User, User, User]) -> None:
    pause = pauses.pause(PauseScope.ALL, actor=INSTALLER, reason="fraud")
    pauses.lift(pause.pk, actor=Actor.human(admins[1]))

    assert "petra lifted this on" in post(visit(admins[2]), pause, "lift")


def test_a_limit_somebody_has_removed(admins: tuple[User, User, User]) -> None:
    limit = make_limit(make_person("fred", "finance"), "100.00")
    limits.remove_limit(limit.pk, actor=Actor.human(admins[1]), reason="left")

    assert "not in force any more" in post(visit(admins[2]), limit, "remove")


def test_an_absence_somebody_has_called_off(admins: tuple[User, User, User]) -> None:
    at = db_clock.now()
    absence = absences.set_absence(
        admins[0].pk, starts_at=at, ends_at=at + timedelta(days=2), actor=Actor.human(admins[0])
    )
    absences.cancel_absence(absence.pk, actor=Actor.human(admins[1]))

    assert "This absence is over already." in post(visit(admins[2]), absence, "cancel")


def test_authority_somebody_has_taken_back(admins: tuple[User, User, User]) -> None:
    mona = make_person("mona", "manager")
    make_limit(mona, "100.00")
    delegated = make_delegation(mona, make_person("susi", "support"))
    client = visit(admins[2])
    post(visit(admins[1]), delegated, "revoke")

    assert "This was taken back on" in post(client, delegated, "revoke")


@pytest.mark.parametrize("role", ["finance", "auditor", "manager"])
def test_who_could_never_have_answered_still_gets_nothing(
    admins: tuple[User, User, User], role: str
) -> None:
    ada, petra, _ = admins
    change = make_change(ada)
    dual_control.agree(change.pk, actor=Actor.human(petra), reason="yes")
    villain = visit(make_person("villain", role))

    for action in ("agree", "refuse", "withdraw"):
        address = reverse(f"admin:policies_authoritychange_{action}", args=[change.pk])
        assert villain.post(address, {"reason": "yes"}).status_code in {403, 404}
