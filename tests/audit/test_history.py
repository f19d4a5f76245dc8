"""A save leaves one history row that says who and why, and stamps nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError

from audit.actors import Actor
from audit.lib import db_clock
from audit.services import history_row, save_with_history
from tests.audit.make import MARIA

pytestmark = pytest.mark.django_db


def make_user(name: str) -> Any:
    user = get_user_model()(username=name)
    user.save()
    return user


def newest(user: Any) -> Any:
    return user.history.order_by("-history_id").first()


def test_a_person_s_save_names_the_person_and_the_reason() -> None:
    boss, user = make_user("boss"), make_user("alice")

    user.first_name = "Alice"
    save_with_history(user, actor=Actor.human(boss), reason="she told us")

    assert user.history.count() == 2
    assert newest(user).history_user_id == boss.pk
    assert newest(user).history_change_reason == "person boss: she told us"


def test_a_save_by_the_system_names_no_user() -> None:
    user = make_user("alice")

    save_with_history(user, actor=MARIA, reason="x" * 500, update_fields=["first_name"])

    assert newest(user).history_user_id is None
    assert newest(user).history_change_reason == "system maria: " + "x" * 500


def test_the_next_save_is_not_stamped() -> None:
    boss, user = make_user("boss"), make_user("alice")
    save_with_history(user, actor=Actor.human(boss), reason="once")

    user.save()

    assert newest(user).history_user_id is None
    assert newest(user).history_change_reason is None


@pytest.mark.django_db(transaction=True)
def test_a_failed_save_does_not_stamp_the_next_one_either() -> None:
    make_user("alice")
    other = get_user_model()(username="alice")

    with pytest.raises(IntegrityError):
        save_with_history(other, actor=MARIA, reason="taken")
    other.username = "bob"
    other.save()

    assert newest(other).history_change_reason is None


def test_a_row_built_in_memory_is_the_row_a_save_would_leave() -> None:
    user = make_user("alice")

    built = history_row(user, actor=MARIA, reason="bulk", at=db_clock.now())
    user.history.model.objects.bulk_create([built])
    save_with_history(user, actor=MARIA, reason="bulk")

    saved, bulk = user.history.order_by("-history_id")[:2]
    for column in user.history.model._meta.concrete_fields:
        if column.name not in {"history_id", "history_date"}:
            assert getattr(bulk, column.attname) == getattr(saved, column.attname), column.name
