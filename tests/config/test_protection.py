"""Every table is protected by rule or free with a reason, and the database holds the rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction

from approvals.models import IntegrityIncident, Pause, RestoreCheck
from config.checks import check_database
from config.protection import FREE, PROTECTED, missing, rules
from connectors.models import Binding, Connection
from policies.models import ShadowVerdict
from tests.admin import world
from tests.database import as_superuser

RULES = {model._meta.label_lower: rule for model, rule in rules(apps).items()}


def test_every_table_is_protected_or_free_with_a_reason() -> None:
    tables = {
        model._meta.label_lower
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
    }

    assert RULES.keys() & FREE.keys() == set()
    assert RULES.keys() | FREE.keys() == tables, "declare it in the app's protection.py"
    assert {rule.model for rule in PROTECTED} <= tables
    assert all(FREE.values())


def test_every_history_is_protected_without_being_named() -> None:
    histories = {name for name in RULES if ".historical" in name}

    assert histories == {
        "approvals.historicalactionrequest", "approvals.historicalagent",
        "policies.historicalapprovallimit", "policies.historicaldelegation",
        "policies.historicalteam", "policies.historicaluser",
    }  # fmt: skip
    assert not any(RULES[name].moves for name in histories)


@pytest.mark.django_db
def test_every_migrate_puts_back_what_is_missing_switched_off_or_left_over() -> None:
    assert missing(connection) == []
    with as_superuser(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE approvals_grant DISABLE TRIGGER USER")
            cursor.execute(
                "CREATE TRIGGER left_over BEFORE DELETE ON approvals_grant "
                "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
            )
        else:
            cursor.execute(
                "SELECT name FROM sqlite_master WHERE tbl_name = 'approvals_grant' "
                "AND type = 'trigger'"
            )
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TRIGGER {name}")
            cursor.execute(
                "CREATE TRIGGER left_over BEFORE DELETE ON approvals_grant BEGIN SELECT 1; END"
            )
    assert len(missing(connection)) >= 3
    assert all(name.startswith("approvals_grant_") for name in missing(connection))
    assert "countersign.W023" in {warning.id for warning in check_database()}

    with as_superuser():
        call_command("migrate", verbosity=0)

    assert missing(connection) == []
    with connection.cursor() as cursor:
        table = "pg_trigger" if connection.vendor == "postgresql" else "sqlite_master"
        column = "tgname" if connection.vendor == "postgresql" else "name"
        cursor.execute(f"SELECT count(*) FROM {table} WHERE {column} = 'left_over'")
        assert cursor.fetchone() == (0,)


@pytest.fixture(scope="module")
def _rows(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Iterator[None]:
    """A row in every protected table, in a transaction that is rolled back at the end."""
    with django_db_blocker.unblock(), world.running(tmp_path_factory.mktemp("sandbox")) as built:
        ShadowVerdict.objects.create(
            version=built.draft, digest="x", subject_id="x", action_type="refund.issue",
            direction="same", active_verdict="allow", active_tier=1, shadow_verdict="allow",
            shadow_tier=1, at=built.draft.created_at,
        )  # fmt: skip
        built.draft.edits.model.objects.get_or_create(
            version=built.draft, editor=built.people["risk owner"], digest="x", document="x",
            reason="x", at=built.draft.created_at,
        )  # fmt: skip
        own = Connection.objects.create(
            name="payments-eu", system="payments", owner="petra",
            credential_source="environment", credential_name="CREDENTIAL_EU",
        )  # fmt: skip
        Binding.objects.create(
            connection=own, action_type="refund.issue", begun_at=built.draft.created_at
        )
        connection.check_constraints()  # every change so far has its event
        for one in (
            RestoreCheck(
                pause=Pause.objects.latest("pk"), state_before="approved", finding="absent",
                looked_up_at=built.draft.created_at,
            ),
            IntegrityIncident(
                fingerprint="x", problem="x", found_by="review", found_at=built.draft.created_at
            ),
        ):  # fmt: skip
            one.request = built.requests["done"]
            one.save()
        connection.check_constraints()  # or PostgreSQL refuses TRUNCATE before the trigger does
        yield


def another(value: Any, field: models.Field[Any, Any]) -> Any:
    """Some other value the column would take."""
    match value:
        case bool():
            return not value
        case int() | Decimal():
            return value + 1
        case timedelta():
            return value + timedelta(1)
        case datetime() | date():
            return value - timedelta(1)
        case list() | dict():
            return ["villain"]
        case str():
            return value[:-1] + ("y" if value.endswith("x") else "x")
    return {"DateTimeField": datetime(2020, 1, 1, tzinfo=UTC), "UUIDField": uuid4()}.get(
        field.get_internal_type(), "x" if isinstance(field, models.CharField) else 1
    )


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("label", sorted(RULES))
def test_no_row_is_deleted_and_no_column_changes_that_was_not_declared(label: str) -> None:
    with as_superuser():  # triggers stop even whom no missing right stops
        _stays_as_it_is(label)


def _stays_as_it_is(label: str) -> None:
    model, rule = apps.get_model(label), RULES[label]
    row = model._base_manager.order_by("pk").last()
    assert row is not None, "the world of these tests has no such row"
    rows = model._base_manager.filter(pk=row.pk)
    free = {name for move in rule.moves for name in move.fields}
    fixed = [field for field in model._meta.concrete_fields if field.name not in free]
    assert fixed

    for field in fixed:
        value = another(getattr(row, field.attname), field)
        with pytest.raises(DatabaseError, match="UPDATE refused"), transaction.atomic():
            rows.update(**{field.attname: value})
    with pytest.raises(DatabaseError, match="DELETE refused"), transaction.atomic():
        rows._raw_delete("default")
    if connection.vendor == "postgresql":
        with (
            pytest.raises(DatabaseError, match="TRUNCATE refused"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"TRUNCATE {model._meta.db_table} CASCADE")
