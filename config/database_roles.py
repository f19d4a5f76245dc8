"""Two roles on PostgreSQL: one owns the tables and migrates, one is what the application may be.

Whoever owns a table can switch its triggers off. The application owns nothing: it reads and
inserts, changes only tables of which rows may change at all, and deletes where a list is renewed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg import sql

from config.protection import FREE, rules

OWNER = "countersign_owner"
APPLICATION = "countersign_app"
RENEWED = frozenset(
    {
        "sessions.session",
        "approvals.alarm",
        "approvals.savedview",
        "approvals.signaturenonce",
        "policies.backtestflip",
        "policies.user_groups",
        "policies.user_user_permissions",
        "auth.group_permissions",
    }
)
"""Tables of which the application deletes rows."""
LOCKED = frozenset({"approvals.velocitycounter"})
"""Tables whose rows never change but are locked; PostgreSQL asks for the right to change them."""


def hardening(connection: BaseDatabaseWrapper, *, owner: str, application: str) -> Iterator[str]:
    """The statements, in order; running them again changes nothing. Takes a superuser, or the
    owner once there is one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), current_schema()")
        database, schema = cursor.fetchone()
        cursor.execute(
            "SELECT rolname FROM pg_roles WHERE rolname IN (%s, %s)", [owner, application]
        )
        there = {name for (name,) in cursor.fetchall()}
        cursor.execute(_NOT_OWNED, [owner])
        not_owned: list[str] = [statement for (statement,) in cursor.fetchall()]
    names = {
        "owner": sql.Identifier(owner),
        "app": sql.Identifier(application),
        "database": sql.Identifier(database),
        "schema": sql.Identifier(schema),
    }

    def say(statement: str, **more: sql.Composable) -> str:
        return sql.SQL(statement).format(**names, **more).as_string(None)

    for name in (owner, application):
        if name not in there:
            yield say(_ROLE, role=sql.Identifier(name))
    for statement in not_owned:
        yield statement
    for statement in _SCHEMA:
        yield say(statement)
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.proxy:
            rights = sql.SQL(", ".join(_rights(model)))
            table = sql.Identifier(model._meta.db_table)
            yield say("GRANT {rights} ON {schema}.{table} TO {app}", rights=rights, table=table)
    yield say("GRANT SELECT ON {schema}.django_migrations TO {app}")


def is_bounded(connection: BaseDatabaseWrapper) -> bool:
    """Whether the connection's role can neither alter nor empty the trail."""
    with connection.cursor() as cursor:
        cursor.execute(_CAN_GET_PAST)
        (can_get_past,) = cursor.fetchone()
    return not can_get_past


@contextmanager
def as_owner(connection: BaseDatabaseWrapper, owner: dict[str, Any]) -> Iterator[None]:
    """Connect with the owner's settings meanwhile, not taking the application's role."""
    before = dict(connection.settings_dict)
    own = {key: before["OPTIONS"][key] for key in before["OPTIONS"].keys() - _TAKES_A_ROLE}
    _hang_up(connection)
    connection.settings_dict.update(
        {name: owner.get(name, "") for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")},
        OPTIONS={**own, **owner.get("OPTIONS", {})},
    )
    try:
        yield
    finally:
        _hang_up(connection)
        connection.settings_dict.update(before)


def _hang_up(connection: BaseDatabaseWrapper) -> None:
    connection.close()
    if isinstance(connection, DatabaseWrapper):
        connection.close_pool()  # it would go on handing out connections of the other role


def _rights(model: type[models.Model]) -> list[str]:
    rule, label = rules(apps).get(model), model._meta.label_lower
    rights = ["SELECT", "INSERT"]
    if label in FREE or (rule and rule.moves):
        rights.append("UPDATE")
    elif label in LOCKED:
        rights.append("UPDATE (id)")
    if label in RENEWED:
        rights.append("DELETE")
    return rights


# What an address may ask for after its `?`: Django's way to another role, and libpq's.
_TAKES_A_ROLE = frozenset({"assume_role", "options"})
_ROLE = "CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
_SCHEMA = (
    "REVOKE CREATE, TEMPORARY ON DATABASE {database} FROM PUBLIC",
    "GRANT CONNECT ON DATABASE {database} TO {owner}, {app}",
    "REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {app}",
    "GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner}",
    "GRANT USAGE ON SCHEMA {schema} TO {app}",
    "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {app}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {app}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT, INSERT ON TABLES "
    "TO {app}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT USAGE, SELECT ON SEQUENCES "
    "TO {app}",
)
# Sequences of identity columns go with their table.
_NOT_OWNED = """
SELECT format('ALTER %%s %%s OWNER TO %%I', kind, name, role) FROM (
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
        pg_class.oid::regclass::text AS name, relowner AS owned_by
    FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'S')
      AND NOT EXISTS (
          SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'i' AND relkind = 'S'
      )
    UNION ALL
    SELECT 'FUNCTION', pg_proc.oid::regprocedure::text, proowner FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace
) AS found, (SELECT %s::text AS role) AS wanted
WHERE pg_get_userbyid(owned_by) <> role ORDER BY kind DESC, name
"""
_CAN_GET_PAST = """
SELECT rolsuper OR pg_has_role(tableowner, 'MEMBER')
    OR has_table_privilege('audit_auditevent', 'UPDATE, DELETE, TRUNCATE, TRIGGER')
FROM pg_roles, pg_tables
WHERE rolname = current_user AND tablename = 'audit_auditevent' AND schemaname = current_schema()
"""
