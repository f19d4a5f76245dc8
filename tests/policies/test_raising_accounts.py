"""Accounts take two people: their roles, their mail, whose they are, and their passwords."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from audit.models import AuditEvent
from policies.models import AuthorityChange, User
from policies.services import passwords
from policies.services.accounts import change_details, change_person, reactivate
from policies.services.dual_control import agree
from policies.services.people import change_roles, create_user, deactivate
from tests.policies.make import SMALL, changed, codes, make_deciders, make_user, put_in_force
from tests.policies.test_dual_control import ops, refusal

pytestmark = pytest.mark.django_db


def roles(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


def test_roles_go_at_once_and_come_by_two() -> None:
    olga, paul, fred = ops("olga"), ops("paul"), make_user("fred", "finance", "support")

    change = change_roles(fred.pk, actor=olga, roles=["support", "manager"], reason="promoted")

    assert roles(fred) == {"support"}
    assert isinstance(change, AuthorityChange)
    change_roles(fred.pk, actor=paul, roles=[], reason="left support")
    agree(change.pk, actor=paul, reason="yes")
    assert roles(fred) == {"manager"}
    assert codes(fred) == ["user.created", *["user.roles_changed"] * 3]


@pytest.mark.parametrize(
    "role", ["finance", "executive", "ops admin", "risk owner", "break-glass", "agent owner",
             "auditor", "bowling club"],
)  # fmt: skip
def test_every_role_takes_two_to_give(role: str) -> None:
    olga, nina = ops("olga"), make_user("nina")
    Group.objects.get_or_create(name="bowling club")

    assert isinstance(change_roles(nina.pk, actor=olga, roles=[role], reason="x"), AuthorityChange)
    assert roles(nina) == set()


@pytest.mark.parametrize("kept", ["ops admin", "auditor"])
def test_taking_away_what_keeps_somebody_from_deciding_takes_two(kept: str) -> None:
    olga, paul = ops("olga"), ops("paul")
    nina = make_user("nina", kept)
    make_user("nina-2", "manager", person="nina")

    change = change_roles(nina.pk, actor=olga, roles=[], reason="moved")

    assert isinstance(change, AuthorityChange)
    assert roles(nina) == {kept}
    agree(change.pk, actor=paul, reason="yes")
    assert roles(nina) == set()


def test_a_new_account_has_no_role_and_no_password_until_two_agreed(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    olga, paul = ops("olga"), ops("paul")
    nina = create_user(
        actor=olga, username="nina", roles=["finance"], email="nina@retailer.example"
    )
    assert (roles(nina), nina.has_usable_password()) == (set(), False)

    with django_capture_on_commit_callbacks(execute=True):
        agree(AuthorityChange.objects.get().pk, actor=paul, reason="she starts today")

    assert roles(nina) == {"finance"}
    assert [m.to for m in mail.outbox] == [["nina@retailer.example"]]
    assert refusal(lambda: create_user(actor=olga, username="n2", password="chosen by olga")) == (
        "password_not_yours"
    )


def test_an_address_exchanged_meanwhile_is_not_the_one_agreed_to() -> None:
    olga, paul = ops("olga"), ops("paul")
    nina = create_user(actor=olga, username="nina", roles=["finance"], email="n@retailer.example")
    change = AuthorityChange.objects.get()
    User.objects.filter(pk=nina.pk).update(email="olga@elsewhere.example")

    assert refusal(lambda: agree(change.pk, actor=paul, reason="yes")) == "account_moved"
    assert roles(nina) == set()


def test_mail_person_and_reopening_wait_and_names_do_not() -> None:
    olga, paul, fred = ops("olga"), ops("paul"), make_user("fred", "finance")
    changed = change_details(
        fred.pk, actor=olga, email="f@elsewhere.example", first_name="Fred", last_name="F"
    )
    joined = change_person(fred.pk, actor=olga, person="Somebody", reason="the same")
    deactivate(fred.pk, actor=olga, reason="on leave")
    opened = reactivate(fred.pk, actor=olga, reason="is back")

    fred.refresh_from_db()
    assert (fred.first_name, fred.email, fred.person, fred.is_active) == ("Fred", "", "fred", False)
    for change in (changed, joined, opened):
        assert isinstance(change, AuthorityChange)
        agree(change.pk, actor=paul, reason="yes")
    fred.refresh_from_db()
    assert (fred.email, fred.person, fred.is_active) == ("f@elsewhere.example", "somebody", True)


def test_nobody_makes_an_account_their_own_or_their_proposers() -> None:
    olga, paul, fred = ops("olga"), ops("paul"), make_user("fred", "finance")
    for name in ("olga", "paul"):
        change = change_person(fred.pk, actor=olga, person=name, reason="x")
        assert refusal(lambda c=change: agree(c.pk, actor=paul, reason="y")) == "own_account"  # type: ignore[misc]
    assert User.objects.get(pk=fred.pk).person == "fred"


# --- Passwords


def test_nobody_sets_somebody_elses_password_and_a_link_takes_two(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    olga, paul = ops("olga"), ops("paul")
    fred = make_user("fred", "finance", email="fred@retailer.example")
    assert refusal(
        lambda: passwords.set_password(fred.pk, actor=olga, password="x" * 12, reason="forgot")
    ) == "password_not_yours"  # fmt: skip

    change = passwords.request_link(fred.pk, actor=olga, reason="forgot it")
    assert mail.outbox == []
    with django_capture_on_commit_callbacks(execute=True):
        agree(change.pk, actor=paul, reason="he asked me too")

    (letter,) = mail.outbox
    link = re.search(r"http://[^/]+(/password/\?\S+)", str(letter.body))
    assert letter.to == ["fred@retailer.example"]
    assert link
    assert AuthorityChange.objects.filter(payload__contains="token").count() == 0
    assert not AuditEvent.objects.filter(data__contains=link[1].split("token=")[1]).exists()

    browser = Client()
    page = browser.get(link[1], follow=True)
    assert page.request["PATH_INFO"] == "/password/"
    assert page.request["QUERY_STRING"] == ""
    weak = browser.post("/password/", {"new_password1": "short", "new_password2": "short"})
    words = {"new_password1": "a long enough phrase", "new_password2": "a long enough phrase"}
    done = browser.post("/password/", words)

    assert (weak.status_code, done.status_code) == (422, 302)
    assert Client().login(username="fred", password="a long enough phrase")
    assert Client().get(link[1], follow=True).status_code == 410
    assert browser.post("/password/", words).status_code == 410
    assert codes(fred)[-1] == "user.changed"


@pytest.mark.parametrize("change", [{"is_active": False}, {"email": "x@elsewhere.example"}])
def test_a_link_dies_with_the_account_and_with_its_address(change: dict[str, object]) -> None:
    fred = make_user("fred", "finance", email="fred@retailer.example")
    token = passwords.TOKENS.make_token(fred)
    User.objects.filter(pk=fred.pk).update(**change)

    assert passwords.holder_of(str(fred.pk), token) is None
    assert refusal(lambda: passwords.choose(fred.pk, token=token, password="x" * 12)) in {
        "link_used", "account_closed",
    }  # fmt: skip


def test_somebody_elses_token_opens_nothing() -> None:
    fred, mona = make_user("fred"), make_user("mona", "manager")
    token = passwords.TOKENS.make_token(fred)

    for account in (str(mona.pk), "0", "-1", "x", "9" * 30, "١"):
        assert passwords.holder_of(account, token) is None


def test_changing_ones_own_password_is_on_record_and_ends_other_sessions() -> None:
    fred = make_user("fred", "finance")
    fred.set_password("the old phrase 1")
    fred.save(update_fields=["password"])
    here, elsewhere = Client(), Client()
    for client in (here, elsewhere):
        client.force_login(fred)
    words = {"new_password1": "a long enough phrase", "new_password2": "a long enough phrase"}

    here.post("/admin/password_change/", {"old_password": "wrong", **words})
    assert codes(fred) == ["user.created"]
    here.post("/admin/password_change/", {"old_password": "the old phrase 1", **words})

    assert codes(fred) == ["user.created", "user.changed"]
    assert here.get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302
    assert Client().login(username="fred", password="a long enough phrase")


@pytest.mark.parametrize("asked", ["{group: finance, within_limit: true", "{group: operations"])
def test_a_role_that_keeps_from_deciding_goes_by_two(asked: str) -> None:
    """A rule or the matrix does not count members of support: who leaves support counts."""
    olga, paul = ops("olga"), ops("paul")
    mona = make_user("mona", "operations", "finance", "support")
    make_deciders()
    put_in_force(
        changed(SMALL, (f"{asked}}}", f"{asked}, excludes: [support]}}")),
        author=make_user("ada", "ops admin"),
        publisher=make_user("alan", "ops admin"),
    )

    change = change_roles(mona.pk, actor=olga, roles=["operations", "finance"], reason="moved")

    assert roles(mona) == {"operations", "finance", "support"}
    assert isinstance(change, AuthorityChange)
    agree(change.pk, actor=paul, reason="yes")
    assert roles(mona) == {"operations", "finance"}


def test_a_role_that_keeps_from_nothing_they_could_decide_goes_at_once() -> None:
    olga, mona = ops("olga"), make_user("mona", "agent owner", "finance")

    change_roles(mona.pk, actor=olga, roles=["agent owner"], reason="moved")

    assert roles(mona) == {"agent owner"}
