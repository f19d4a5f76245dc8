"""People, limits and policies: changed through services, by those who may, on record."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from audit.actors import Actor
from policies.admin.changes import change_url
from policies.models import ApprovalLimit, AuthorityChange, PolicyVersion, User
from policies.services.dual_control import agree
from tests.admin.visit import codes, said, visit
from tests.approvals.make import make_house, make_limit, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _house() -> None:
    make_house()


# --- People ---------------------------------------------------------------------------------------


def test_an_ops_admin_creates_an_account_that_can_do_nothing_yet() -> None:
    omar = visit(make_person("omar", "ops admin"))

    answer = omar.post(
        reverse("admin:policies_user_add"),
        {"username": "nina", "email": "nina@retailer.example", "roles": ["finance"],
         "is_superuser": "on", "user_permissions": ["1"], "is_staff": ""},
    )  # fmt: skip
    nina = User.objects.get(username="nina")
    page = reverse("admin:policies_user_change", args=[nina.pk])

    assert answer.headers["Location"] == page
    assert (nina.is_superuser, nina.has_usable_password()) == (False, False)
    assert not nina.groups.exists()
    assert "Give the roles finance to nina (nina@retailer.example)" in said(omar.get(page))
    assert codes() == ["user.created", "authority.proposed"]


def test_roles_change_with_a_reason_and_groups_that_are_no_role_stay() -> None:
    omar, fred = visit(make_person("omar", "ops admin")), make_person("fred", "finance")
    fred.groups.add(Group.objects.create(name="bowling club"))

    answer = omar.post(
        reverse("admin:policies_user_set_roles", args=[fred.pk]),
        {"roles": ["legal"], "reason": "moved"},
    )

    assert answer.headers["Location"] == change_url(AuthorityChange.objects.get())
    assert {g.name for g in fred.groups.all()} == {"bowling club"}
    assert codes() == ["user.roles_changed", "authority.proposed"]


@pytest.mark.parametrize("action", ["set_roles", "deactivate", "password_link", "set_person"])
@pytest.mark.parametrize("account", ["omar", "omar-2"])
def test_nobody_changes_themselves_under_either_name(account: str, action: str) -> None:
    omar = make_person("omar", "ops admin")
    make_person("omar-2", "finance", person="omar")
    target = User.objects.get(username=account)

    answer = visit(omar).post(
        reverse(f"admin:policies_user_{action}", args=[target.pk]),
        {"roles": ["manager"], "person": "somebody", "reason": "why not"},
    )
    page = visit(omar).get(reverse("admin:policies_user_change", args=[target.pk]))

    assert answer.status_code == 403
    assert "Nobody changes themselves" in said(page)
    assert codes() == []


def test_deactivating_needs_a_reason_and_two_people_take_it_back() -> None:
    omar, fred = visit(make_person("omar", "ops admin")), make_person("fred", "finance")
    petra = make_person("petra", "ops admin")
    deactivate = reverse("admin:policies_user_deactivate", args=[fred.pk])

    omar.post(deactivate, {"reason": " "})
    assert User.objects.get(pk=fred.pk).is_active

    omar.post(deactivate, {"reason": "left"})
    assert not User.objects.get(pk=fred.pk).is_active

    omar.post(reverse("admin:policies_user_reactivate", args=[fred.pk]), {"reason": "is back"})
    assert not User.objects.get(pk=fred.pk).is_active
    agree(AuthorityChange.objects.get().pk, actor=Actor.human(petra), reason="he is")
    assert User.objects.get(pk=fred.pk).is_active
    assert codes() == [
        "user.deactivated", "authority.proposed", "authority.agreed", "user.changed",
    ]  # fmt: skip


@pytest.mark.parametrize("role", ["finance", "manager", "auditor", "agent owner", ""])
def test_only_an_ops_admin_configures_and_a_superuser_does_not(role: str) -> None:
    villain = make_person("villain", *([role] if role else []))
    User.objects.filter(pk=villain.pk).update(is_superuser=not role)
    fred = make_person("fred", "finance")
    make_limit(fred, "100.00")
    limit = fred.approval_limits.get()
    client = visit(villain)

    for name, pk, data in (
        ("policies_user_set_roles", fred.pk, {"roles": ["manager"], "reason": "x"}),
        ("policies_user_deactivate", fred.pk, {"reason": "x"}),
        ("policies_approvallimit_remove", limit.pk, {"reason": "x"}),
        ("policies_policyversion_publish", PolicyVersion.objects.get().pk, {"reason": "x"}),
    ):
        address = reverse(f"admin:{name}", args=[pk])
        assert client.post(address, data).status_code in {403, 404}
    for page in ("policies_user_add", "policies_approvallimit_add", "policies_policyversion_add"):
        assert client.post(reverse(f"admin:{page}"), {"username": "x"}).status_code == 403
    assert codes() == []


def test_doors_answer_no_get_and_need_their_token() -> None:
    omar, fred = make_person("omar", "ops admin"), make_person("fred", "finance")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(omar)
    address = reverse("admin:policies_user_deactivate", args=[fred.pk])

    assert visit(omar).get(address).status_code == 405
    assert strict.post(address, {"reason": "left"}).status_code == 403
    assert User.objects.get(pk=fred.pk).is_active


# --- Limits ---------------------------------------------------------------------------------------


def test_a_limit_is_typed_as_money_and_raised_by_two() -> None:
    omar, fred = visit(make_person("omar", "ops admin")), make_person("fred", "finance")
    petra = make_person("petra", "ops admin")
    form = {"account": fred.pk, "role": "", "action_type": "refund.*", "currency": "eur",
            "each": "500.00", "per_day": "2000.00", "reason": "agreed"}  # fmt: skip

    answer = omar.post(reverse("admin:policies_approvallimit_add"), form)
    waiting = AuthorityChange.objects.get()
    assert answer.headers["Location"] == change_url(waiting)
    assert not ApprovalLimit.objects.exists()
    agree(waiting.pk, actor=Actor.human(petra), reason="right")
    limit = ApprovalLimit.objects.get()
    assert (limit.user, limit.each_minor, limit.per_day_minor) == (fred, 50_000, 200_000)

    change = reverse("admin:policies_approvallimit_change", args=[limit.pk])
    lower = {"each": "250.00", "per_day": "2000.00", "reason": "less", "currency": "JPY"}
    assert omar.post(change, lower).headers["Location"] != change_url(waiting)
    limit.refresh_from_db()
    assert (limit.each_minor, limit.per_day_minor, limit.currency) == (25_000, 200_000, "EUR")

    omar.post(change, {"each": "250.00", "per_day": "", "reason": "no sum"})
    limit.refresh_from_db()
    assert limit.per_day_minor == 200_000

    omar.post(reverse("admin:policies_approvallimit_remove", args=[limit.pk]), {"reason": "left"})
    limit.refresh_from_db()
    assert not limit.valid
    assert omar.post(change, {"each": "1.00", "reason": "x"}).status_code == 403
    assert codes() == [
        "authority.proposed", "authority.agreed", "limit.set", "limit.set", "authority.proposed",
        "limit.removed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"each": "500"}, "exactly 2 decimals"), ({"each": "5e2"}, "decimal string"),
        ({"each": "-1.00"}, "decimal string"), ({"currency": "XXQ"}, "not an ISO 4217"),
        ({"per_day": "1.00"}, "covers a single amount"), ({"role": "finance"}, "choose one"),
        ({"account": ""}, "choose one"), ({"action_type": "nonsense"}, "Name an action type"),
        ({"reason": " "}, "required"),
    ],
)  # fmt: skip
def test_what_is_no_limit_is_a_sentence_in_the_form(typed: dict[str, str], sentence: str) -> None:
    omar, fred = visit(make_person("omar", "ops admin")), make_person("fred", "finance")
    form = {"account": str(fred.pk), "role": "", "action_type": "*", "currency": "EUR",
            "each": "500.00", "per_day": "", "reason": "agreed"}  # fmt: skip

    answer = omar.post(reverse("admin:policies_approvallimit_add"), form | typed)

    assert answer.status_code == 200
    assert sentence in said(answer)
    assert not ApprovalLimit.objects.exists()


def test_nobody_sets_their_own_limit() -> None:
    omar = make_person("omar", "ops admin")
    form = {"account": str(omar.pk), "role": "", "action_type": "*", "currency": "EUR",
            "each": "500.00", "per_day": "", "reason": "me"}  # fmt: skip

    answer = visit(omar).post(reverse("admin:policies_approvallimit_add"), form)

    assert "Nobody changes their own limit" in said(answer)
    assert not ApprovalLimit.objects.exists()
