"""Accounts, roles and limits: recorded, and never changed by whoever they belong to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_in
from django.db import IntegrityError, transaction

from audit.actors import Actor, ActorKind
from audit.models import AuditEvent
from policies.exceptions import PolicyError
from policies.models import ApprovalLimit, User
from policies.services.accounts import reactivate
from policies.services.limits import remove_limit, set_limit
from policies.services.people import change_roles, create_user, deactivate
from tests.policies.make import SYSTEM, codes, make_roles, make_user

pytestmark = pytest.mark.django_db


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(PolicyError) as refused:
        call()
    assert refused.value.message.endswith(".")
    return refused.value.code


def give(actor: Actor = SYSTEM, **changes: object) -> ApprovalLimit:
    terms: dict[str, object] = {
        "action_type": "refund.issue",
        "currency": "EUR",
        "each_minor": 50_000,
        "reason": "agreed with finance",
    }
    return set_limit(actor=actor, **(terms | changes))  # type: ignore[arg-type]


def test_an_account_is_created_with_roles_a_person_and_a_trail() -> None:
    make_roles()

    user = create_user(
        actor=SYSTEM, username="Alice", password="correct horse", roles=["finance", "manager"]
    )

    assert user.person == "alice"
    assert user.is_staff
    assert not user.is_superuser
    assert user.check_password("correct horse")
    assert sorted(user.groups.values_list("name", flat=True)) == ["finance", "manager"]
    assert codes(user) == ["user.created"]
    history = user.history.get()
    assert (history.history_type, history.history_change_reason) == ("+", "system test: created")
    assert "correct horse" not in AuditEvent.objects.get(subject_id=str(user.pk)).data
    assert not hasattr(history, "password")


def test_an_account_without_password_cannot_sign_in_with_one() -> None:
    assert not create_user(actor=SYSTEM, username="bob").has_usable_password()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"username": "ALICE"}, "username_taken"),
        ({"roles": ["finance", "king"]}, "unknown_role"),
        ({"username": "x" * 65}, "person_too_long"),
        ({"actor": Actor(ActorKind.AGENT, "1", "clever agent")}, "not_ops_admin"),
    ],
)
def test_what_cannot_be_an_account_is_refused(changes: dict[str, object], code: str) -> None:
    make_user("alice")

    given: dict[str, object] = {"actor": SYSTEM, "username": "new", "roles": []} | changes
    assert refusal(lambda: create_user(**given)) == code  # type: ignore[arg-type]
    assert User.objects.count() == 1


def test_changing_roles_records_what_came_and_went_and_who_did_it() -> None:
    olga, user = make_user("olga", "ops admin"), make_user("alice", "finance", "support")

    change_roles(user.pk, actor=SYSTEM, roles=["finance", "manager"], reason="promoted")
    change_roles(user.pk, actor=Actor.human(olga), roles=["manager"], reason="moved")

    assert sorted(user.groups.values_list("name", flat=True)) == ["manager"]
    assert codes(user) == ["user.created", "user.roles_changed", "user.roles_changed"]
    newest, older = user.history.all()[:2]
    assert newest.history_user == olga
    assert newest.history_change_reason == "person olga: roles -finance: moved"
    assert older.history_change_reason == "system test: roles +manager -support: promoted"
    event = AuditEvent.objects.filter(code="user.roles_changed").latest("pk")
    assert (event.actor_name, '"-finance"' in event.data) == ("olga", True)


def test_the_same_roles_again_change_and_record_nothing() -> None:
    user = make_user("alice", "finance")

    change_roles(user.pk, actor=SYSTEM, roles=["finance"], reason="again")

    assert codes(user) == ["user.created"]


def test_nobody_changes_roles_or_limits_of_their_own_person() -> None:
    olga = make_user("olga", "ops admin")
    second = make_user("olga.two", "finance", person="olga")
    actor = Actor.human(olga)

    for own in (olga, second):
        assert (
            refusal(
                lambda own=own: change_roles(own.pk, actor=actor, roles=["manager"], reason="me")  # type: ignore[misc]
            )
            == "own_account"
        )
        assert (
            refusal(lambda own=own: deactivate(own.pk, actor=actor, reason="me")) == "own_account"
        )  # type: ignore[misc]
        assert refusal(lambda own=own: give(actor, user_id=own.pk)) == "own_limit"  # type: ignore[misc]
    # Through the role of the other account it would be their own limit just the same.
    assert refusal(lambda: give(actor, role="finance")) == "own_limit"
    assert (
        refusal(lambda: remove_limit(give(user_id=second.pk).pk, actor=actor, reason="me"))
        == "own_limit"
    )


@pytest.mark.parametrize("role", ["manager", "finance", "auditor", "agent owner"])
def test_nobody_but_an_ops_admin_touches_people_or_limits(role: str) -> None:
    villain = Actor.human(make_user("victor", role, is_superuser=True))
    target = make_user("alice")
    held = give(user_id=target.pk)

    for call in (
        lambda: create_user(actor=villain, username="mallory", roles=["manager"]),
        lambda: change_roles(target.pk, actor=villain, roles=["manager"], reason="x"),
        lambda: deactivate(target.pk, actor=villain, reason="x"),
        lambda: reactivate(target.pk, actor=villain, reason="x"),
        lambda: give(villain, user_id=target.pk),
        lambda: remove_limit(held.pk, actor=villain, reason="x"),
    ):
        assert refusal(call) == "not_ops_admin"


def test_deactivating_and_reactivating_keep_the_account_and_its_story() -> None:
    user = make_user("alice", "finance")

    deactivate(user.pk, actor=SYSTEM, reason="left the company")
    deactivate(user.pk, actor=SYSTEM, reason="again")
    assert not User.objects.get(pk=user.pk).is_active
    reactivate(user.pk, actor=SYSTEM, reason="came back")
    reactivate(user.pk, actor=SYSTEM, reason="again")

    user = User.objects.get(pk=user.pk)
    assert user.is_active
    assert codes(user) == ["user.created", "user.deactivated", "user.changed"]
    assert user.history.count() == 3


def test_every_change_says_why() -> None:
    user = make_user("alice", "finance")
    held = give(user_id=user.pk)

    for call in (
        lambda: change_roles(user.pk, actor=SYSTEM, roles=[], reason=" "),
        lambda: deactivate(user.pk, actor=SYSTEM, reason=""),
        lambda: reactivate(user.pk, actor=SYSTEM, reason=""),
        lambda: give(user_id=user.pk, reason=""),
        lambda: remove_limit(held.pk, actor=SYSTEM, reason=""),
    ):
        assert refusal(call) == "reason_missing"


def test_a_limit_is_set_replaced_and_taken_back_on_one_row() -> None:
    user = make_user("alice", "finance")

    first = give(user_id=user.pk)
    assert str(first) == "alice: refund.issue EUR"
    second = give(user_id=user.pk, each_minor=20_000, per_day_minor=60_000)
    remove_limit(second.pk, actor=SYSTEM, reason="moved team")
    remove_limit(second.pk, actor=SYSTEM, reason="again")
    third = give(user_id=user.pk)

    assert first.pk == second.pk != third.pk
    assert codes(ApprovalLimit.objects.get(pk=first.pk)) == [
        "limit.set", "limit.set", "limit.removed",
    ]  # fmt: skip
    rows = ApprovalLimit.objects.get(pk=first.pk).history.order_by("history_id")
    assert list(rows.values_list("each_minor", "valid")) == [
        (50_000, True), (20_000, True), (20_000, False),
    ]  # fmt: skip
    assert '"each":"200.00 EUR"' in AuditEvent.objects.filter(code="limit.set")[1].data


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "one_holder"),
        ({"user_id": 1, "role": "finance"}, "one_holder"),
        ({"user_id": 10_000}, "unknown_user"),
        ({"role": "king"}, "unknown_role"),
        ({"role": "finance", "action_type": "refund"}, "unknown_pattern"),
        ({"role": "finance", "action_type": "*.issue"}, "unknown_pattern"),
        ({"role": "finance", "currency": "XYZ1"}, "unknown_currency"),
        ({"role": "finance", "each_minor": -1}, "bad_amount"),
        ({"role": "finance", "per_day_minor": 1}, "bad_amount"),
    ],
)
def test_what_cannot_be_a_limit_is_refused(changes: dict[str, object], code: str) -> None:
    make_roles()

    assert refusal(lambda: give(**changes)) == code
    assert not ApprovalLimit.objects.exists()


def test_what_does_not_exist_is_refused_by_name() -> None:
    assert refusal(lambda: deactivate(1, actor=SYSTEM, reason="x")) == "unknown_user"
    assert refusal(lambda: remove_limit(1, actor=SYSTEM, reason="x")) == "unknown_limit"


def test_the_database_refuses_limits_without_or_with_two_holders_and_twins() -> None:
    user, group = make_user("alice"), Group.objects.get(name="finance")
    terms = {"action_type": "*", "currency": "EUR", "each_minor": 1}
    ApprovalLimit.objects.create(user=user, **terms)

    for holders in ({}, {"user": user, "group": group}, {"user": user}):
        with pytest.raises(IntegrityError), transaction.atomic():
            ApprovalLimit.objects.create(**holders, **terms)
    with pytest.raises(IntegrityError), transaction.atomic():
        ApprovalLimit.objects.create(group=group, **(terms | {"each_minor": -1}))


def test_signing_in_leaves_no_row_in_the_table_history() -> None:
    user = make_user("alice")

    user_logged_in.send(sender=User, request=None, user=user)
    user.set_password("another")
    user.save(update_fields=["password"])

    assert User.objects.get(pk=user.pk).last_login is not None
    assert user.history.count() == 1


def test_accounts_made_without_the_service_have_a_person_too() -> None:
    assert User.objects.create_superuser("Root", password="x").person == "root"
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(username="Root").update(person="")
