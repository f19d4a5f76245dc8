"""People, limits and policies: changed through services, by those who may, on record."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from audit.models import AuditEvent
from policies.models import ApprovalLimit, PolicyVersion, User
from policies.services.versions import DEFAULT_DOCUMENT
from tests.admin.visit import codes, said, visit
from tests.approvals.make import PASSWORD, make_house, make_limit, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _house() -> None:
    make_house()


# --- People ---------------------------------------------------------------------------------------


def test_an_ops_admin_creates_an_account_and_sets_its_password() -> None:
    omar = visit(make_person("omar", "ops admin"))

    answer = omar.post(
        reverse("admin:policies_user_add"),
        {"username": "nina", "email": "nina@retailer.example", "roles": ["finance"],
         "is_superuser": "on", "user_permissions": ["1"], "is_staff": ""},
    )  # fmt: skip
    nina = User.objects.get(username="nina")

    assert answer.headers["Location"] == reverse("admin:policies_user_change", args=[nina.pk])
    assert (nina.is_superuser, nina.has_usable_password()) == (False, False)
    assert [g.name for g in nina.groups.all()] == ["finance"]

    omar.post(
        reverse("admin:policies_user_set_password", args=[nina.pk]),
        {"password": "a long enough phrase", "again": "a long enough phrase", "reason": "first"},
    )

    assert Client().login(username="nina", password="a long enough phrase")
    assert codes() == ["user.created", "user.changed"]
    assert not AuditEvent.objects.filter(data__contains="enough phrase").exists()


@pytest.mark.parametrize(
    ("password", "again"), [("sh0rt!", "sh0rt!"), ("a long enough phrase", "another one")]
)
def test_a_weak_or_mistyped_password_changes_nothing(password: str, again: str) -> None:
    omar, fred = visit(make_person("omar", "ops admin")), make_person("fred", "finance")

    answer = omar.post(
        reverse("admin:policies_user_set_password", args=[fred.pk]),
        {"password": password, "again": again, "reason": "forgot"},
        follow=True,
    )

    assert Client().login(username="fred", password=PASSWORD)
    assert password not in said(answer)
    assert codes() == []


def test_roles_change_with_a_reason_and_groups_that_are_no_role_stay() -> None:
    omar, fred = visit(make_person("omar", "ops admin")), make_person("fred", "finance")
    fred.groups.add(Group.objects.create(name="bowling club"))

    omar.post(
        reverse("admin:policies_user_set_roles", args=[fred.pk]),
        {"roles": ["legal"], "reason": "moved"},
    )

    assert {g.name for g in fred.groups.all()} == {"legal", "bowling club"}
    assert codes() == ["user.roles_changed"]


@pytest.mark.parametrize("door", ["set_roles", "deactivate", "set_password"])
@pytest.mark.parametrize("account", ["omar", "omar-2"])
def test_nobody_changes_themselves_under_either_name(account: str, door: str) -> None:
    omar = make_person("omar", "ops admin")
    make_person("omar-2", "finance", person="omar")
    target = User.objects.get(username=account)
    phrase = "a long enough phrase"

    answer = visit(omar).post(
        reverse(f"admin:policies_user_{door}", args=[target.pk]),
        {"roles": ["manager"], "password": phrase, "again": phrase, "reason": "why not"},
    )
    page = visit(omar).get(reverse("admin:policies_user_change", args=[target.pk]))

    assert answer.status_code == 403
    assert "Nobody changes themselves" in said(page)
    assert codes() == []


def test_deactivating_needs_a_reason_ends_the_account_and_can_be_taken_back() -> None:
    omar, fred = visit(make_person("omar", "ops admin")), make_person("fred", "finance")
    deactivate = reverse("admin:policies_user_deactivate", args=[fred.pk])

    omar.post(deactivate, {"reason": " "})
    assert User.objects.get(pk=fred.pk).is_active

    omar.post(deactivate, {"reason": "left"})
    assert not User.objects.get(pk=fred.pk).is_active

    omar.post(reverse("admin:policies_user_reactivate", args=[fred.pk]), {"reason": "is back"})
    assert User.objects.get(pk=fred.pk).is_active
    assert codes() == ["user.deactivated", "user.changed"]


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


def test_a_limit_is_typed_as_money_and_kept_in_minor_units() -> None:
    omar, fred = visit(make_person("omar", "ops admin")), make_person("fred", "finance")
    form = {"account": fred.pk, "role": "", "action_type": "refund.*", "currency": "eur",
            "each": "500.00", "per_day": "2000.00", "reason": "agreed"}  # fmt: skip

    assert omar.post(reverse("admin:policies_approvallimit_add"), form).status_code == 302
    limit = ApprovalLimit.objects.get()
    assert (limit.user, limit.each_minor, limit.per_day_minor) == (fred, 50_000, 200_000)

    change = reverse("admin:policies_approvallimit_change", args=[limit.pk])
    omar.post(change, {"each": "750.00", "per_day": "", "reason": "more", "currency": "JPY"})
    limit.refresh_from_db()
    assert (limit.each_minor, limit.per_day_minor, limit.currency) == (75_000, None, "EUR")

    omar.post(reverse("admin:policies_approvallimit_remove", args=[limit.pk]), {"reason": "left"})
    limit.refresh_from_db()
    assert not limit.valid
    assert omar.post(change, {"each": "1.00", "reason": "x"}).status_code == 403
    assert codes() == ["limit.set", "limit.set", "limit.removed"]


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


# --- Policy ---------------------------------------------------------------------------------------


def draft(client: Client, document: str) -> object:
    form = {"document": document, "reason": "clearer"}
    return client.post(reverse("admin:policies_policyversion_add"), form)


def test_one_drafts_and_another_publishes() -> None:
    document = DEFAULT_DOCUMENT.read_text(encoding="utf-8") + "\n# clearer\n"
    petra, omar = (visit(make_person(name, "ops admin")) for name in ("petra", "omar"))

    draft(petra, document.replace("\n", "\r\n"))
    version = PolicyVersion.objects.get(status="draft")
    publish = reverse("admin:policies_policyversion_publish", args=[version.pk])
    page = reverse("admin:policies_policyversion_change", args=[version.pk])

    assert version.document == document
    assert "somebody else publishes it" in said(petra.get(page))
    assert "+# clearer" in said(omar.get(page))
    assert "All" in said(omar.get(page))
    assert "pass." in said(omar.get(page))

    petra.post(publish, {"reason": "mine"})
    assert PolicyVersion.objects.get(pk=version.pk).status == "draft"

    omar.post(publish, {"reason": "agreed"})
    assert PolicyVersion.objects.get(pk=version.pk).status == "published"
    assert PolicyVersion.objects.filter(status="retired").count() == 1
    assert codes() == ["policy.drafted", "policy.retired", "policy.published"]
    assert omar.post(page, {"document": "rules: []"}).status_code == 403


def test_every_error_of_a_document_says_where_it_is() -> None:
    document = DEFAULT_DOCUMENT.read_text(encoding="utf-8").replace("reason:", "raeson:", 1)
    line = document[: document.index("raeson:")].count("\n") + 1

    html = said(draft(visit(make_person("omar", "ops admin")), document))

    assert re.search(rf"Line {line}, column \d+ \(rules\[0\]\.raeson\)", html)
    assert "Did you mean" in html
    assert PolicyVersion.objects.count() == 1
