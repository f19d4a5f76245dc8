"""Puts the triggers of `audit.protection` in place: after every `migrate`, exactly those declared.

While migrations run there are none. SQLite loses the triggers of a table it rebuilds and refuses
to rename one that another table's trigger names; PostgreSQL alters no column a trigger looks at.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.apps.registry import Apps
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate, pre_migrate

import approvals.protection
import audit.protection
import connectors.protection
import policies.protection
from audit.lib.db import is_postgres
from audit.protection import Protected, Trigger, is_history, triggers_of

PROTECTED: tuple[Protected, ...] = (
    *audit.protection.PROTECTED,
    *policies.protection.PROTECTED,
    *connectors.protection.PROTECTED,
    *approvals.protection.PROTECTED,
)
FREE: dict[str, str] = {
    **policies.protection.FREE,
    **connectors.protection.FREE,
    **approvals.protection.FREE,
    "admin.logentry": "Django's log of its admin; the trail is the record",
    "auth.group": "the names of roles, kept by sync_roles",
    "auth.group_permissions": "which pages a role sees, kept by sync_roles; nobody decides by them",
    "auth.permission": "Django writes them after every migrate",
    "contenttypes.contenttype": "Django writes them after every migrate",
    "sessions.session": "who is signed in; sessions end",
}

_DECLARED = """
SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE NOT tgisinternal AND pg_table_is_visible(pg_class.oid) {and_enabled}
"""


def rules(registry: Apps) -> dict[type[models.Model], Protected]:
    """The rule of every protected table, tables of history included."""
    declared = {rule.model: rule for rule in PROTECTED}
    found = {}
    for model in registry.get_models(include_auto_created=True):
        label = model._meta.label_lower
        if is_history(model):
            found[model] = Protected(label)
        elif label in declared and not model._meta.proxy:
            found[model] = declared[label]
    return found


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Names of declared triggers this database does not have, or has switched off."""
    there = _present(connection, "AND tgenabled <> 'D'")
    return sorted(
        trigger.name for trigger in _wanted(apps, connection) if trigger.name not in there
    )


def connect(sender: AppConfig) -> None:
    """Have it done by every `migrate`; once, when the last app's turn has come."""
    pre_migrate.connect(_lift, sender=sender)
    post_migrate.connect(_install, sender=sender)


def _lift(using: str, plan: list[Any], **kwargs: Any) -> None:
    connection = connections[using]
    if plan:
        tables = {rule._meta.db_table for rule in rules(apps)}
        _drop(connection, {n: t for n, t in _present(connection).items() if t in tables})


def _install(using: str, **kwargs: Any) -> None:
    connection = connections[using]
    registry: Apps = kwargs.get("apps", apps)  # the tables as far as they have been migrated
    wanted = {trigger.name: trigger for trigger in _wanted(registry, connection)}
    tables = {trigger.table for trigger in wanted.values()}
    there, enabled = _present(connection), _present(connection, "AND tgenabled <> 'D'")
    kept = wanted.keys() & enabled.keys()
    with transaction.atomic(using):
        _drop(connection, {n: t for n, t in there.items() if t in tables and n not in kept})
        with connection.cursor() as cursor:
            for name in wanted.keys() - kept:
                for statement in wanted[name].statements:
                    cursor.execute(statement)


def _wanted(registry: Apps, connection: BaseDatabaseWrapper) -> list[Trigger]:
    """The declared triggers, for the tables that have what their rule names.

    `migrate APP NUMBER` leaves others behind: they are protected once they are whole.
    """
    now = {model._meta.label_lower: _fields(model) for model in rules(apps)}
    found = rules(registry)
    if "audit.requiredevent" not in {model._meta.label_lower for model in found}:
        return []  # migrated back to before there were such triggers
    return [
        trigger
        for model, rule in found.items()
        if _fields(model) == now.get(model._meta.label_lower)
        for trigger in triggers_of(rule, model, connection)
    ]


def _fields(model: type[models.Model]) -> set[str]:
    return {field.name for field in model._meta.concrete_fields}


def _present(connection: BaseDatabaseWrapper, and_enabled: str = "") -> dict[str, str]:
    """Every trigger of this database by name, with its table."""
    with connection.cursor() as cursor:
        if is_postgres(connection):
            cursor.execute(_DECLARED.format(and_enabled=and_enabled))
        else:
            cursor.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'")
        return dict(cursor.fetchall())


def _drop(connection: BaseDatabaseWrapper, triggers: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        for name, table in triggers.items():
            if not is_postgres(connection):
                cursor.execute(f"DROP TRIGGER {name}")
                continue
            cursor.execute(f"DROP TRIGGER {name} ON {table}")
            cursor.execute(f"DROP FUNCTION IF EXISTS {name}()")
