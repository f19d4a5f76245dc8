"""The page of what waits for a second person: read, agreed to, refused, withdrawn."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from audit.actors import Actor
from policies.admin.changes import WAITS, change_url
from policies.models import ApprovalLimit, AuthorityChange, User
from policies.services.limits import set_limit
from tests.admin.visit import codes, said, visit
from tests.approvals.make import make_house, make_person

pytestmark = pytest.mark.django_db

LIST = "admin:policies_authoritychange_changelist"


@pytest.fixture
def omar() -> User:
    make_house()
    return make_person("omar", "ops admin")


def make_change(omar: User, minor: int = 50_000) -> AuthorityChange:
    fred = User.objects.filter(username="fred").first() or make_person("fred", "finance")
    change = set_limit(
        actor=Actor.human(omar), user_id=fred.pk, action_type="*", currency="EUR",
        each_minor=minor, reason="new in the team",
    )  # fmt: skip
    assert isinstance(change, AuthorityChange)
    return change


def answer(client: Client, change: AuthorityChange, how: str, reason: str = "because") -> int:
    address = reverse(f"admin:policies_authoritychange_{how}", args=[change.pk])
    return client.post(address, {"reason": reason}).status_code


def test_a_colleague_reads_it_in_one_sentence_and_agrees(omar: User) -> None:
    change = make_change(omar)
    petra = visit(make_person("petra", "ops admin"))

    listed, page = said(petra.get(reverse(LIST))), said(petra.get(change_url(change)))
    for text in (listed, page):
        assert "Set the limit of fred for every action to 500.00 EUR each" in text
        assert "omar" in text
    assert "new in the team" in page
    assert "Agree, and carry it out" in page
    answer(petra, change, "agree", " ")
    assert not ApprovalLimit.objects.exists()
    answer(petra, change, "agree")

    assert ApprovalLimit.objects.get().each_minor == 50_000
    after = said(petra.get(change_url(change)))
    assert "Agree, and carry it out" not in after
    assert codes() == ["authority.proposed", "authority.agreed", "limit.set"]


def test_the_proposer_may_only_withdraw_it(omar: User) -> None:
    change, client = make_change(omar), visit(omar)
    page = said(client.get(change_url(change)))

    assert "somebody else agrees" in page
    assert "Agree, and carry it out" not in page
    answer(client, change, "agree")
    answer(client, change, "refuse")
    assert AuthorityChange.objects.get().status == "waiting"
    answer(client, change, "withdraw")
    assert AuthorityChange.objects.get().status == "withdrawn"
    assert not ApprovalLimit.objects.exists()


@pytest.mark.parametrize("role", ["finance", "manager", "auditor", "risk owner", ""])
def test_others_change_nothing(omar: User, role: str) -> None:
    change = make_change(omar)
    villain = make_person("villain", *([role] if role else []))
    User.objects.filter(pk=villain.pk).update(is_superuser=not role)
    client = visit(villain)

    for how in ("agree", "refuse", "withdraw"):
        assert answer(client, change, how) in {403, 404}
    assert client.post(change_url(change), {"status": "agreed"}).status_code in {403, 404}
    assert client.get(reverse("admin:policies_authoritychange_add")).status_code == 403
    assert AuthorityChange.objects.get().status == "waiting"
    assert not ApprovalLimit.objects.exists()


def test_the_sidebar_counts_what_waits_for_this_reader(omar: User) -> None:
    make_change(omar)
    make_change(omar, 60_000)
    petra = said(visit(make_person("petra", "ops admin")).get(reverse(LIST)))
    own = said(visit(omar).get(reverse(LIST)))

    def badge(page: str) -> str:
        row = page[page.index("Changes of authority") :][:1200]
        return "2" if ">2<" in row.replace("\n", "").replace(" ", "") else ""

    assert (badge(petra), badge(own)) == ("2", "")


def test_forms_that_raise_authority_say_so_beforehand(omar: User) -> None:
    client, fred = visit(omar), make_person("fred", "finance")

    assert WAITS in said(client.get(reverse("admin:policies_user_add")))
    assert "when a second ops admin agrees" in said(
        client.get(reverse("admin:policies_approvallimit_add"))
    )
    assert "when a second ops admin agrees" in said(
        client.get(reverse("admin:policies_user_change", args=[fred.pk]))
    )
