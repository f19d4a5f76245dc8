"""A database with as many requests as one asks for, multiplied from a few the product made.

Every row that belongs to a request is copied with it: contents, requirements, policy decisions,
evidence, decisions, grants, executions, table history and the trail. Ids are ordered by time, as
the product's are; agents, teams, tiers, targets, amounts and states are spread. Copies are for
reading lists: their MACs and digests are their template's, so nothing verifies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connection, models, transaction

from tests.database import triggers_off

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.admin.world import World

WIDTH = 64
"""No request has more rows than this in one table."""
ROUND = 100_000
AGENTS = 20
TARGETS = 50_000
_SHARES = 1_000

NOW = "transaction_timestamp()"


@dataclass(frozen=True, slots=True)
class Kind:
    """How many of a thousand requests are like this one, and what differs in its copies."""

    like: str
    share: int
    days: int
    """How far back they reach."""
    differs: dict[str, str] = field(default_factory=dict)


def _waiting(column: str, days: int) -> dict[str, str]:
    """A deadline some time ahead, spread over these days."""
    spread = f"{NOW} + interval '{days} days' * (one.n * 7919 % 100003) / 100003.0"
    return {column: spread, "next_step_at": f"{spread} - interval '1 hour'"}


KINDS = (
    # 600 of 1,000 wait for people; nothing waits for legal, and little for executives
    Kind("finance", 230, 30, _waiting("decide_by", 14)),
    Kind("pending", 120, 30, _waiting("decide_by", 14)),
    Kind("support", 90, 30, _waiting("decide_by", 5)),
    Kind("operations", 70, 30, _waiting("decide_by", 5)),
    Kind("access", 49, 30, _waiting("decide_by", 5)),
    Kind("vendor", 40, 30, _waiting("decide_by", 14)),
    Kind("climbed", 1, 30, _waiting("decide_by", 14)),
    Kind("asked", 12, 10, {"answer_by": _waiting("decide_by", 3)["decide_by"]}),
    Kind("approved", 1, 1, {"execute_by": f"{NOW} + interval '1 day' * (one.n % 997) / 997.0"}),
    Kind("done", 1, 1, {"state": "'executing'"}),
    Kind("granted", 1, 5, {"state": "'verified'"}),
    Kind("done", 1, 60, {"state": "'outcome_unknown'"}),
    Kind("done", 24, 90, {"state": "'failed'"}),
    Kind("paid", 50, 90),
    Kind("settled", 70, 90),
    Kind("undone", 40, 90),
    Kind("rejected", 60, 90),
    Kind("allowed", 130, 90),
    Kind("denied", 10, 90),
)  # fmt: skip


def make_templates() -> World:
    """One request of each kind, through the services alone."""
    # here, because these read models that exist only once Django is set up
    from approvals.services.decide import escalate
    from approvals.services.execute import execute
    from tests.admin.world import build
    from tests.approvals.make import (
        ACCESS,
        approve,
        crm,
        look_at,
        make_person,
        make_request,
        refund,
    )

    world = build()
    agent, who, made = world.agent, world.people, world.requests
    made["finance"] = make_request(agent, refund("ch_1037", "150.00"))
    mail = {"to": "customer1002@mail.example", "subject": "Your lamp", "body": "Dear customer,\n"}
    made["support"] = make_request(agent, mail, action_type="email.send")
    made["operations"] = make_request(agent, crm("acct_2002"), action_type="crm.update")
    made["access"] = make_request(agent, ACCESS, action_type="access.grant")
    other = {**ACCESS, "user": "jonas.weber"}
    made["granted"] = make_request(agent, other, action_type="access.grant")
    invoice = {
        "vendor": "acct_5001", "amount": "640.00", "currency": "EUR",
        "invoice": "INV-2026-1187", "purchase_order": "PO-7731",
    }  # fmt: skip
    made["vendor"] = make_request(agent, invoice, action_type="vendor.pay")
    climbed = made["climbed"] = make_request(agent, refund("ch_1010", "710.00"))
    escalate(
        climbed.pk, decider=who["manager"], reviewed=look_at(climbed, who["manager"]), reason="?"
    )
    made["approved"] = make_request(agent, refund("ch_1001", "610.00"))
    approve(made["approved"], who["manager"])
    asked = made["granted"].requirements.values_list("group", flat=True)
    approve(made["granted"], *(who[group] for group in asked))
    made["paid"] = make_request(agent, refund("ch_1001", "620.00"))
    approve(made["paid"], who["manager"])
    made["settled"] = make_request(agent, refund("ch_1037", "20.00"))
    approve(made["settled"], who["finance"])
    made["allowed"] = make_request(agent, refund("ch_1012", "12.00"))
    for one in ("paid", "settled", "allowed"):
        execute(made[one].pk)
    made["denied"] = make_request(
        agent, {**ACCESS, "group": "Domain-Admins"}, action_type="access.grant"
    )
    for number in range(AGENTS):
        make_person(f"reviewer-{number}", ("finance", "manager", "support")[number % 3])
    return world


def fill(world: World, number: int) -> None:
    """Add that many requests, set by set, past the triggers, with indexes made afterwards."""
    with triggers_off(), connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '512MB'")
        _agents(cursor, world)
        _map(cursor, world, number)
        tables = list(_tables())
        with _without_indexes(cursor, [model._meta.db_table for model, _ in tables]):
            for model, path in tables:
                _copy(cursor, model, path, number)
        _assign(cursor)
        cursor.execute("DROP TABLE bench_map")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _agents(cursor: Any, world: World) -> None:
    columns = _columns(apps.get_model("approvals.Agent"), {"id", "name"})
    cursor.execute(
        f"INSERT INTO approvals_agent (id, name, {columns}) "
        f"SELECT 1000 + n, 'bench-agent-' || n, {columns} FROM approvals_agent, "
        f"generate_series(0, {AGENTS - 1}) AS n WHERE id = %s ON CONFLICT DO NOTHING",
        [world.agent.pk],
    )


def _map(cursor: Any, world: World, number: int) -> None:
    """Which new request is like which template, and when it was made."""
    cursor.execute(
        "CREATE TEMP TABLE bench_made (kind int, template uuid, new uuid, later interval)"
    )
    reached = 0
    for position, kind in enumerate(KINDS):
        template = world.requests[kind.like].pk
        cursor.execute(
            """
            INSERT INTO bench_made SELECT %s, %s, (lpad(to_hex((extract(epoch FROM at) * 1000
                )::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' ||
                substr(md5(n::text), 4, 15))::uuid, at - created_at
            FROM (SELECT n, transaction_timestamp() - interval '1 hour' -
                    make_interval(secs => %s * 86400.0 * (n * 104729 %% 1000003) / 1000003.0) AS at
                FROM generate_series(0, %s::bigint) AS n WHERE n %% %s >= %s AND n %% %s < %s)
                AS made, approvals_actionrequest WHERE id = %s
            """,
            [position, template, kind.days, number - 1, _SHARES, reached, _SHARES,
             reached + kind.share, template],
        )  # fmt: skip
        reached += kind.share
    if reached != _SHARES:
        raise SystemExit(f"the shares come to {reached}")
    cursor.execute(
        "CREATE UNLOGGED TABLE bench_map AS "
        "SELECT row_number() OVER (ORDER BY new) - 1 AS n, * FROM bench_made"
    )
    cursor.execute("DROP TABLE bench_made")
    cursor.execute("CREATE INDEX ON bench_map (n)")
    cursor.execute("ANALYZE bench_map")


def _tables() -> Iterable[tuple[type[models.Model], str]]:
    """Each table with rows of requests, and how its rows lead to their request."""
    for name, path in (
        ("approvals.ActionRequest", "id"),
        ("approvals.RequestContent", "request_id"),
        ("approvals.PolicyDecision", "request_id"),
        ("approvals.EvidenceItem", "request_id"),
        ("approvals.TargetReading", "request_id"),
        ("approvals.Requirement", "request_id"),
        ("approvals.Decision", "request_id"),
        ("approvals.ThreadEntry", "request_id"),
        ("approvals.Escalation", "request_id"),
        ("approvals.Grant", "request_id"),
        ("approvals.Execution", "request_id"),
        ("approvals.Attempt", "execution_id"),
        ("approvals.Verification", "execution_id"),
        ("approvals.HistoricalActionRequest", "id"),
        ("audit.AuditEvent", "subject_id"),
    ):
        yield apps.get_model(name), path


def _rows(model: type[models.Model], path: str) -> str:
    """The templates' rows, each with its request (`root`) and its number there (`rank`)."""
    table, pk = model._meta.db_table, model._meta.pk.column
    root, join = f"t.{path}", ""
    if path == "execution_id":
        root, join = "e.request_id", "JOIN approvals_execution e ON e.id = t.execution_id"
    elif path == "subject_id":
        root = "CASE WHEN subject_type = 'approvals.actionrequest' THEN subject_id::uuid END"
    return (
        f"SELECT t.*, {root} AS root, row_number() OVER (PARTITION BY {root} ORDER BY t.{pk}) "
        f"AS rank FROM {table} t {join}"
    )


def _copy(cursor: Any, model: type[models.Model], path: str, number: int) -> None:
    """All rows of one table; the template's own have been read before the first is written."""
    table = model._meta.db_table
    cursor.execute(f"CREATE TEMP TABLE bench_rows AS {_rows(model, path)}")
    cursor.execute("DELETE FROM bench_rows WHERE root NOT IN (SELECT template FROM bench_map)")
    _rank_what_is_named(cursor, model)
    fields = [f for f in model._meta.concrete_fields if f.column != "root"]
    names = ", ".join(f'"{f.column}"' for f in fields)
    values = ", ".join(_value(model, f, path) for f in fields)
    for first in range(0, number, ROUND):
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM bench_rows AS r "
            f"JOIN bench_map AS one ON one.template = r.root "
            f"WHERE one.n >= {first} AND one.n < {first + ROUND} ORDER BY one.n, r.rank"
        )
    cursor.execute("DROP TABLE bench_rows")


_NAMED = {"requirement_id": "approvals.Requirement", "grant_id": "approvals.Grant",
          "execution_id": "approvals.Execution"}  # fmt: skip


def _rank_what_is_named(cursor: Any, model: type[models.Model]) -> None:
    """Foreign keys to other copied rows become the number of that row in its request."""
    columns = {f.column for f in model._meta.concrete_fields}
    for column, other in _NAMED.items():
        if column in columns:
            ranked = _rows(apps.get_model(other), "request_id")
            cursor.execute(
                f"UPDATE bench_rows SET {column} = o.rank FROM ({ranked}) AS o "
                f"WHERE o.id = bench_rows.{column}"
            )


_COPIES = 1_000_000
"""Where the numbers of copied rows begin."""


def _value(model: type[models.Model], column: models.Field[Any, Any], path: str) -> str:
    name = str(column.column)
    if model._meta.label == "approvals.ActionRequest":
        return _of_request(name, isinstance(column, models.DateTimeField))
    if name == path and path == "execution_id":
        return f"{_COPIES} + one.n * {WIDTH} + r.execution_id"
    if name == path:
        return "one.new::text" if path == "subject_id" else "one.new"
    if column.primary_key and model._meta.label == "audit.AuditEvent":
        return "nextval('audit_auditevent_id_seq')"
    if column.primary_key:
        return f"{_COPIES} + one.n * {WIDTH} + r.rank"
    if name in _NAMED:
        return f"{_COPIES} + one.n * {WIDTH} + r.{name}"
    if name == "agent_id":
        return f"1000 + one.n % {AGENTS}"
    if isinstance(column, models.DateTimeField):
        return f"r.{name} + one.later"
    if name in ("nonce", "provider_key"):
        return f"md5(one.n::text || r.{name})"
    if name == "actor_id":  # each copied agent's events are its own
        agent = f"(1000 + one.n % {AGENTS})::text"
        return f"CASE WHEN r.actor_kind = 'agent' THEN {agent} ELSE r.{name} END"
    if name == "trace":  # nine of ten bytes, and no list reads them
        return """'{"rules":[]}'"""
    return f'r."{name}"'


def _of_request(name: str, is_time: bool) -> str:
    usual = {
        "id": "one.new",
        "agent_id": f"1000 + one.n % {AGENTS}",
        "idempotency_key": "'bench-' || one.n",
        "business_key": f"md5((one.n % {TARGETS})::text)",
        "target": f"r.target || '-' || one.n % {TARGETS}",
        "counterparty": f"CASE WHEN r.counterparty = '' THEN '' ELSE r.counterparty || '-' || "
        f"one.n % {TARGETS} END",
        "amount_minor": "r.amount_minor + one.n * 31 % 40000",
    }.get(name, f"r.{name} + one.later" if is_time else f'r."{name}"')
    cases = " ".join(
        f"WHEN {position} THEN {kind.differs[name]}"
        for position, kind in enumerate(KINDS)
        if name in kind.differs
    )
    return f"CASE one.kind {cases} ELSE {usual} END" if cases else usual


def _assign(cursor: Any) -> None:
    """Of what waits, one in twenty is suggested to a reviewer and one in fifty is claimed."""
    cursor.execute(
        f"""
        UPDATE approvals_requirement SET assignee_id = u.id, claimed_until =
            CASE WHEN r.id / {WIDTH} % 50 = 0 THEN {NOW} + interval '1 day' END
        FROM approvals_requirement r, policies_user u
        WHERE r.id = approvals_requirement.id AND r.is_open AND r.id >= {_COPIES}
            AND (r.id / {WIDTH} % 20 = 1 OR r.id / {WIDTH} % 50 = 0)
            AND u.username = 'reviewer-' || (r.id / {WIDTH} % {AGENTS})
        """
    )


def _columns(model: type[models.Model], without: set[str]) -> str:
    return ", ".join(f'"{f.column}"' for f in model._meta.concrete_fields if f.name not in without)


@contextmanager
def _without_indexes(cursor: Any, tables: Sequence[str]) -> Iterator[None]:
    """Indexes that hold no constraint are dropped and made anew: a third of the time."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname NOT IN "
        "(SELECT c.conindid::regclass::text FROM pg_constraint c WHERE c.conindid <> 0)",
        [list(tables)],
    )
    dropped = cursor.fetchall()
    with transaction.atomic():
        for name, _ in dropped:
            cursor.execute(f'DROP INDEX "{name}"')
    yield
    for _, definition in dropped:
        cursor.execute(definition)
