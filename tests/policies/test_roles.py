"""Roles are data; synchronising makes the database match them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command

from audit.actors import Actor
from audit.models import AuditEvent, AuditStream
from policies.exceptions import PolicyError
from policies.roles import DECIDING_ROLES, NEVER_DECIDE, ROLES, Role
from policies.services.roles import sync_roles
from tests.database import as_superuser
from tests.policies.make import SYSTEM, codes, make_user

SMALL = (
    Role("finance", "Decides money.", ("policies.view_approvallimit",), decides=True),
    Role("auditor", "Reads.", ("policies.view_*", "audit.view_auditevent")),
)


def names_of(role: str) -> set[str]:
    rows = Permission.objects.filter(group__name=role)
    return set(rows.values_list("codename", flat=True))


def test_every_role_of_the_product_is_there_and_says_what_it_is_for() -> None:
    assert [role.name for role in ROLES] == [
        "finance", "security", "support", "operations", "legal", "manager",
        "executive", "break-glass", "agent owner", "ops admin", "risk owner", "auditor",
    ]  # fmt: skip
    assert set(DECIDING_ROLES).isdisjoint(NEVER_DECIDE)
    assert all(role.description.endswith(".") for role in ROLES)


def test_only_those_who_configure_get_anything_beyond_viewing() -> None:
    for role in ROLES:
        beyond = {p for p in role.permissions if not p.partition(".")[2].startswith("view_")}
        if role.name == "security":  # whose the floor is
            assert beyond == {"policies.add_policyversion", "policies.change_policyversion"}
            continue
        assert not beyond or role.name in {"agent owner", "ops admin", "risk owner"}
        assert not any(".delete_" in p for p in role.permissions)


@pytest.mark.django_db
def test_the_first_run_creates_and_the_second_changes_and_records_nothing() -> None:
    changes = sync_roles(actor=SYSTEM, roles=SMALL)

    assert "finance created" in changes
    assert "finance +policies.view_approvallimit" in changes
    assert names_of("finance") == {"view_approvallimit"}
    assert {"view_user", "view_historicaluser", "view_auditevent"} <= names_of("auditor")
    subject = AuditStream.objects.get(name="roles")
    assert codes(subject) == ["roles.synced"]
    assert "finance created" in AuditEvent.objects.get(subject_id="roles").data

    assert sync_roles(actor=SYSTEM, roles=SMALL) == ()
    assert codes(AuditStream.objects.get(name="roles")) == ["roles.synced"]


@pytest.mark.django_db
def test_permissions_somebody_added_by_hand_are_taken_away() -> None:
    sync_roles(actor=SYSTEM, roles=SMALL)
    extra = Permission.objects.get(codename="change_user")
    Group.objects.get(name="finance").permissions.add(extra)

    assert sync_roles(actor=SYSTEM, roles=SMALL) == ("finance -policies.change_user",)
    assert names_of("finance") == {"view_approvallimit"}


@pytest.mark.django_db
def test_groups_that_are_no_role_are_left_alone() -> None:
    Group.objects.create(name="bowling club")

    sync_roles(actor=SYSTEM, roles=SMALL)

    assert Group.objects.filter(name="bowling club").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["policies.view_nothing", "nowhere.view_*", "policies.fly_*"])
def test_an_unknown_permission_stops_everything_and_is_named(name: str) -> None:
    with pytest.raises(PolicyError, match=name.replace("*", r"\*")) as refused:
        sync_roles(actor=SYSTEM, roles=(*SMALL, Role("legal", "Decides.", (name,))))

    assert refused.value.code == "unknown_permission"
    assert not Group.objects.exists()


@pytest.mark.django_db
def test_a_reviewer_synchronises_nothing() -> None:
    villain = make_user("victor", "manager", is_superuser=True)

    with pytest.raises(PolicyError) as refused:
        sync_roles(actor=Actor.human(villain), roles=SMALL)

    assert refused.value.code == "not_ops_admin"


@pytest.mark.django_db
def test_the_command_prints_what_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("sync_roles")
    first = capsys.readouterr().out
    call_command("sync_roles")
    second = capsys.readouterr().out

    assert "finance created" in first
    assert first.strip().endswith("changes.")
    assert second.strip() == "Roles are up to date."
    assert set(DECIDING_ROLES) <= set(Group.objects.values_list("name", flat=True))


@pytest.mark.django_db
def test_the_command_fails_loudly_when_a_model_lost_its_permission() -> None:
    with as_superuser():
        Permission.objects.filter(codename="view_approvallimit").delete()
        Permission.objects.filter(codename="add_approvallimit").delete()

    with pytest.raises(CommandError, match="add_approvallimit"):
        call_command("sync_roles")
