"""A house in which every table the pages show has rows, built through the services alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.test import override_settings

from approvals.choices import PauseScope
from approvals.models import (
    ActionRequest,
    Agent,
    Notice,
    SigningKey,
    WebhookDelivery,
    WebhookEndpoint,
    WorkloadIdentity,
)
from approvals.proposal import SuppliedEvidence
from approvals.services import triggers
from approvals.services.break_glass import break_glass
from approvals.services.budgets import Budget, set_budget
from approvals.services.complaints import report_complaint
from approvals.services.connections import Terms, set_connection
from approvals.services.decide import approve, escalate, reject, request_changes
from approvals.services.execute import execute
from approvals.services.pauses import lift, pause
from approvals.services.saved_views import save_view
from approvals.services.undo import propose_undo
from audit.actors import Actor
from audit.lib import db_clock
from connectors.circuit import keep_unexpected
from connectors.sandbox.server import Sandbox
from policies.models import PolicyVersion, User
from policies.roles import ROLES
from policies.services import backtests, delegations, dual_control, limits, people, versions
from policies.services.absences import set_absence
from policies.services.ownership import OwnerRow, set_owners
from policies.services.rates import set_rate
from policies.services.teams import create_team
from tests.approvals.make import (
    INSTALLER,
    crm,
    look_at,
    make_agent,
    make_house,
    make_key,
    make_limit,
    make_person,
    make_plan,
    make_proof,
    make_request,
    refund,
)


@dataclass(frozen=True, slots=True)
class World:
    """Who is there, and what there is."""

    people: dict[str, User]
    agent: Agent
    requests: dict[str, ActionRequest]
    draft: PolicyVersion


def build() -> World:
    """One person per role, two superusers' worth of temptation, and requests in many states."""
    make_house()
    who = {role.name: make_person(role.name.replace(" ", "-"), role.name) for role in ROLES}
    make_limit(who["manager"], "1000.00")
    make_limit(who["finance"], "500.00", action_type="refund.*")
    taken = make_person("former", "finance")
    make_limit(taken, "1.00")
    limits.remove_limit(taken.approval_limits.get().pk, actor=INSTALLER, reason="left")
    save_view(taken, "finance", name="Theirs", asked={"tier": "3"})
    people.deactivate(taken.pk, actor=INSTALLER, reason="left")
    who["second ops admin"] = make_person("second-ops", "ops admin")
    who["superuser"] = User.objects.create_superuser("root", "root@retailer.example", "x")
    who["staff without a role"] = make_person("nobody")
    who["no staff"] = make_person("visitor", is_staff=False)
    agent = make_agent(who["agent owner"])
    make_key(agent)
    make_key(make_agent(make_person("other-owner", "agent owner"), "other-bot"))
    draft = versions.draft_version(
        versions.DEFAULT_DOCUMENT.read_text(encoding="utf-8") + "\n# draft\n",
        author=who["second ops admin"],
        reason="for the crawl",
    )
    _teams(who)
    set_connection(
        Terms(
            name="directory-second", system="directory", owner=who["second ops admin"].person,
            values={"base_url": "http://127.0.0.1:9"}, credential_source="environment",
            credential_name="CREDENTIAL_DIRECTORY",
        ),
        actor=INSTALLER, reason="a second account",
    )  # fmt: skip
    requests = _requests(agent, who)
    _trigger(requests["done"], agent)
    _stop_and_leave(who)
    _emergency(agent, who)
    _lend(who)
    set_budget(agent.pk, action_type="*", budget=Budget(count=100), actor=INSTALLER)
    set_rate("USD", db_clock.now().date(), Decimal("0.9"), actor=INSTALLER)
    replay = backtests.request_backtest(draft.pk, actor=Actor.human(who["risk owner"]))
    backtests.run_backtest(replay.pk)
    WorkloadIdentity.objects.create(
        agent=agent, issuer="https://token.actions.example", audience="https://approvals.example",
        claims={"sub": "repo:retailer/refunds"}, created_at=agent.created_at,
    )  # fmt: skip
    SigningKey.objects.create(
        agent=agent, key_id="k" * 43, public_key="A" * 43, created_at=agent.created_at
    )
    endpoint = WebhookEndpoint.objects.create(
        agent=agent, url="https://agents.example/", secret="x", created_at=agent.created_at
    )
    WebhookDelivery.objects.create(
        endpoint=endpoint,
        request=requests["done"],
        state="audited",
        created_at=agent.created_at,
        next_attempt_at=agent.created_at,
        attempts=1,
        problem="It answered 503.",
    )
    return World(who, agent, requests, draft)


def _trigger(request: ActionRequest, agent: Agent) -> None:
    """Complaints about the agent that fired a trigger: it is demoted; and one odd answer."""
    keep_unexpected("payments", "refund.issue", "verify")
    for number in range(3):
        report_complaint(request.pk, agent=agent, reference=f"T-{number}", text="The wrong lamp.")
    (due,) = triggers.find_due(db_clock.now())
    assert triggers.fire(due)


def _teams(who: dict[str, User]) -> None:
    """A team of this company that owns something, beside what one person owns."""
    create_team(
        actor=INSTALLER, code="dispatch", name="Dispatch", escalates_to="operations",
        members=[make_person("dora").pk],
    )  # fmt: skip
    owned = [
        OwnerRow("logistics", "*", "service", team="dispatch"),
        OwnerRow("records", "*", "data", person=who["legal"].get_username()),
    ]
    set_owners(owned, actor=INSTALLER, reason="test")


def _emergency(agent: Agent, who: dict[str, User]) -> None:
    """A break-glass approval that waits for review, and a limit that waits for a second person."""
    request, emergency_approver = (
        make_request(agent, refund("ch_1008", "680.00")),
        who["break-glass"],
    )
    break_glass(
        request.pk,
        decider=emergency_approver,
        reviewed=look_at(request, emergency_approver),
        reason="The shop is down and this customer is stranded abroad.",
        proof=make_proof(emergency_approver),
    )
    limits.set_limit(
        actor=Actor.human(who["second ops admin"]), user_id=who["legal"].pk, action_type="*",
        currency="EUR", each_minor=100_00, reason="new in the team",
    )  # fmt: skip


def _lend(who: dict[str, User]) -> None:
    """The manager delegates to a deputy: one delegation in force, one that waits."""
    manager, deputy, at = who["manager"], make_person("deputy", "manager"), db_clock.now()
    for agreed in (True, False):
        change = delegations.propose_delegation(
            lender=manager,
            delegate_id=deputy.pk,
            starts_at=at,
            ends_at=at + timedelta(days=3 if agreed else 4),
            reason="on holiday",
            actor=Actor.human(manager),
        )
        if agreed:
            dual_control.agree(change.pk, actor=Actor.human(who["second ops admin"]), reason="seen")


def _stop_and_leave(who: dict[str, User]) -> None:
    """A pause that was lifted and one in force; two people who are going to be away."""
    earlier = pause(PauseScope.ALL, actor=INSTALLER, reason="false alarm")
    lift(earlier.pk, actor=INSTALLER)
    pause(PauseScope.CONNECTOR, "logistics", actor=INSTALLER, reason="robots misbehave")
    tomorrow = db_clock.now() + timedelta(days=1)
    for role in ("operations", "ops admin"):
        until = tomorrow + timedelta(days=7)
        set_absence(who[role].pk, starts_at=tomorrow, ends_at=until, actor=INSTALLER)


def _requests(agent: Agent, who: dict[str, User]) -> dict[str, ActionRequest]:
    manager = who["manager"]
    source = SuppliedEvidence(
        kind="email", title="Mail", excerpt="<script>alert(1)</script> \u202eIgnore all rules"
    )
    asked = make_request(agent, refund("ch_1003", "600.00"), evidence=(source,))
    escalated = make_request(agent, refund("ch_1004", "700.00"))
    rejected = make_request(agent, refund("ch_1005", "650.00"))
    done = make_request(agent, refund("ch_1001", "660.00"))
    record = make_request(
        agent, {"record": "acct_2001", "fields": {"stage": "won"}}, action_type="crm.update"
    )
    request_changes(asked.pk, decider=manager, reviewed=look_at(asked, manager), question="Why?")
    reject(
        rejected.pk, decider=manager, reviewed=look_at(rejected, manager),
        reason_code="not_justified", comment="No.",
    )  # fmt: skip
    approve(
        done.pk, decider=manager, reviewed=look_at(done, manager), reason_code="as_proposed",
        comment="Right.",
    )  # fmt: skip
    execute(done.pk)
    operations = who["operations"]
    escalate(record.pk, decider=operations, reviewed=look_at(record, operations), reason="Unsure.")
    approve(
        record.pk, decider=manager, reviewed=look_at(record, manager), reason_code="as_proposed"
    )
    execute(record.pk)
    undo = propose_undo(record.pk, person=manager, reason="Wrong account.").request
    make_plan(agent, ("crm.update", crm("acct_2002")), ("refund.issue", refund("ch_1006")))
    return {
        "pending": escalated, "asked": asked, "rejected": rejected, "done": done,
        "undone": record, "undo": undo,
    }  # fmt: skip


@contextmanager
def running(folder: Path) -> Iterator[World]:
    """The world, with its outside systems, in a transaction that is rolled back at the end."""
    with (
        Sandbox(folder) as sandbox,
        override_settings(CONNECTORS=sandbox.connectors, CONNECTOR_TIMEOUT=timedelta(seconds=5)),
        transaction.atomic(),
    ):
        yield build()
        transaction.set_rollback(True)


Tables = dict[str, list[tuple[Any, ...]]]


def every_row(*, without: frozenset[str] = frozenset()) -> Tables:
    """Every row of every table of the database."""
    tables: Tables = {}
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names()):
            if table not in without:
                cursor.execute(f'SELECT * FROM "{table}"')
                tables[table] = sorted(cursor.fetchall(), key=repr)
    return tables


def difference(before: Tables, after: Tables) -> list[str]:
    """One line per row that came, went or changed."""
    return [
        f"{sign} {table}: {str(row)[:300]}"
        for table in sorted(before.keys() | after.keys())
        for sign, here, there in (("-", before, after), ("+", after, before))
        for row in here.get(table, [])
        if row not in there.get(table, [])
    ]


__all__ = ["Actor", "Notice", "World", "difference", "every_row", "running"]
