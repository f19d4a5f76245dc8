"""Delegations on their page: one's own, taken back by those concerned, seen by no stranger."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from audit.actors import Actor
from audit.lib import db_clock
from policies.admin.changes import change_url
from policies.models import AuthorityChange, Delegation, User
from policies.services import delegations
from policies.services.dual_control import agree
from tests.admin.visit import codes, said, visit
from tests.approvals.make import make_house, make_limit, make_person

pytestmark = pytest.mark.django_db
LIST = "admin:policies_delegation_changelist"
ADD = "admin:policies_delegation_add"


@pytest.fixture
def mona() -> User:
    make_house()
    mona = make_person("mona", "manager", first_name="Mona", last_name="Manager")
    make_limit(mona, "1000.00")
    return mona


@pytest.fixture
def susi(mona: User) -> User:
    return make_person("susi", "support", first_name="Susi", last_name="Support")


def form(to: User, **changes: str) -> dict[str, str]:
    begins = timezone.localtime(db_clock.now()) + timedelta(minutes=5)
    return {
        "to": str(to.pk),
        "role": "manager",
        "action_type": "refund.*",
        "cap": "500.00",
        "currency": "EUR",
        "begins": f"{begins:%Y-%m-%dT%H:%M}",
        "ends": f"{begins + timedelta(days=7):%Y-%m-%dT%H:%M}",
        "why": "on holiday",
        **changes,
    }


def make_delegation(mona: User, susi: User) -> Delegation:
    at = db_clock.now()
    change = delegations.propose_delegation(
        lender=mona, delegate_id=susi.pk, starts_at=at, ends_at=at + timedelta(days=1),
        reason="on holiday", actor=Actor.human(mona),
    )  # fmt: skip
    agree(change.pk, actor=Actor.human(make_person("ada", "ops admin")), reason="seen")
    return Delegation.objects.get()


def test_a_manager_lends_their_own_authority_and_it_waits(mona: User, susi: User) -> None:
    page = visit(mona).get(reverse(ADD))
    answer = visit(mona).post(reverse(ADD), form(susi))

    assert "Lender" not in said(page)
    assert answer.headers["Location"] == reverse(LIST)
    change = AuthorityChange.objects.get()
    assert (change.proposed_by, change.beneficiary) == (mona, "susi")
    begins, ends = (
        timezone.localtime(datetime.fromisoformat(json.loads(change.payload)[name]))
        for name in ("starts_at", "ends_at")
    )
    assert change.summary == (
        "mona delegates authority to susi (manager, refund.*, up to 500.00 EUR) "
        f"from {begins:%-d %b %Y, %H:%M %Z} to {ends:%-d %b %Y, %H:%M %Z}."
    )
    assert not Delegation.objects.exists()
    assert codes() == ["authority.proposed"]


def test_an_ops_admin_asks_for_somebody_and_a_second_one_agrees(mona: User, susi: User) -> None:
    ada, alan = make_person("ada", "ops admin"), make_person("alan", "ops admin")

    answer = visit(ada).post(reverse(ADD), form(susi, lender=str(mona.pk)))
    change = AuthorityChange.objects.get()
    assert answer.headers["Location"] == change_url(change)
    action_url = reverse("admin:policies_authoritychange_agree", args=[change.pk])
    visit(ada).post(action_url, {"reason": "mine"})
    assert not Delegation.objects.exists()
    visit(alan).post(action_url, {"reason": "asked her"})

    assert Delegation.objects.get().agreed_by == alan


def test_a_crafted_lender_is_not_looked_at(mona: User, susi: User) -> None:
    visit(susi).post(reverse(ADD), form(mona, lender=str(mona.pk), role="support", cap=""))

    assert AuthorityChange.objects.get().summary.startswith("susi delegates authority to mona")


def test_a_refusal_is_an_error_on_the_form(mona: User, susi: User) -> None:
    answer = visit(mona).post(reverse(ADD), form(susi, cap="1000.01"))

    assert answer.status_code == 200
    assert "is above what mona may approve" in said(answer)
    assert codes() == []


def test_those_concerned_see_it_and_take_it_back(mona: User, susi: User) -> None:
    delegated = make_delegation(mona, susi)
    page = reverse("admin:policies_delegation_change", args=[delegated.pk])
    action_url = reverse("admin:policies_delegation_revoke", args=[delegated.pk])

    for person in (mona, susi):
        assert "Susi Support" in said(visit(person).get(reverse(LIST)))
        assert action_url in said(visit(person).get(page))
    visit(susi).post(action_url, {"reason": "enough"})

    delegated.refresh_from_db()
    assert delegated.revoked_at is not None
    assert action_url not in said(visit(mona).get(page))
    assert codes()[-1] == "delegation.revoked"


def test_strangers_see_nothing_and_take_nothing_back(mona: User, susi: User) -> None:
    delegated = make_delegation(mona, susi)
    page = reverse("admin:policies_delegation_change", args=[delegated.pk])
    action_url = reverse("admin:policies_delegation_revoke", args=[delegated.pk])
    max_, owner = make_person("max", "manager"), make_person("olga", "agent owner")
    auditor = make_person("alva", "auditor")
    root = User.objects.create_superuser("root", "root@retailer.example", "x")

    assert "Susi Support" not in said(visit(max_).get(reverse(LIST)))
    assert visit(owner).get(reverse(LIST)).status_code == 403
    assert visit(max_).get(page).status_code == 404
    for reader in (auditor, root):
        assert "Susi Support" in said(visit(reader).get(reverse(LIST)))
        assert action_url not in said(visit(reader).get(page))
        assert visit(reader).get(reverse(ADD)).status_code == 403
    for villain in (max_, owner, auditor, root):
        assert visit(villain).post(action_url, {"reason": "mine"}).status_code in {403, 404}
    for anybody in (mona, auditor, root):
        assert visit(anybody).post(page, {"action_type": "*"}).status_code == 403

    delegated.refresh_from_db()
    assert delegated.revoked_at is None


def test_who_asked_to_lend_reads_that_it_waits_and_nobody_else_does(mona: User, susi: User) -> None:
    visit(mona).post(reverse(ADD), form(susi))
    waits = "Waits for an ops admin:"

    assert waits in said(visit(mona).get(reverse(LIST)))
    assert waits not in said(visit(make_person("max", "manager")).get(reverse(LIST)))
    change = AuthorityChange.objects.get()
    agree(change.pk, actor=Actor.human(make_person("ada", "ops admin")), reason="seen")
    assert waits not in said(visit(mona).get(reverse(LIST)))
