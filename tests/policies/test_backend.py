"""Reading permissions in one statement finds what Django's own backend finds."""

from __future__ import annotations

import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from policies.backend import OneStatementBackend
from policies.models import User
from policies.services.roles import sync_roles
from tests.policies.make import SYSTEM, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("roles", [(), ("finance",), ("manager", "auditor"), ("ops admin",)])
@pytest.mark.parametrize("state", ["active", "inactive", "superuser", "one of their own"])
def test_every_account_may_open_what_django_says(roles: tuple[str, ...], state: str) -> None:
    sync_roles(actor=SYSTEM)
    user = make_user(
        "maria", *roles, is_active=state != "inactive", is_superuser=state == "superuser"
    )
    if state == "one of their own":
        user.user_permissions.add(Permission.objects.get(codename="delete_session"))

    ours = OneStatementBackend().get_all_permissions(User.objects.get(pk=user.pk))

    assert ours == ModelBackend().get_all_permissions(User.objects.get(pk=user.pk))
    assert bool(ours) == (state != "inactive" and (bool(roles) or state != "active"))
    if state == "one of their own":
        assert "sessions.delete_session" in ours


def test_nobody_may_open_nothing() -> None:
    assert OneStatementBackend().get_all_permissions(AnonymousUser()) == set()


def test_it_asks_once() -> None:
    sync_roles(actor=SYSTEM)
    user = User.objects.get(pk=make_user("maria", "finance").pk)

    with CaptureQueriesContext(connection) as asked:
        for _ in range(2):
            assert OneStatementBackend().get_all_permissions(user)

    assert len(asked) == 1
