"""What a replay costs: 100,000 stored requests against a document with one threshold changed.

Run it by hand against a database whose name you choose; it is created by the tests' machinery
and dropped again:

    DEBUG=1 DATABASE_URL=postgres://... python -m tests.bench.replay --requests 100000

The plain way (all facts checked, every clause a program of its own) is measured on some of the
same requests. Read the ratios, not the absolute numbers.

On 2026-11-21, default policy, two idle cores, three runs of 100,000 requests:

    one program for all clauses     9.1 to 9.4 s by the clock, 8.4 to 8.5 s of the processor's,
                                    66 to 70 us a request; reading takes 2.2 to 2.4 s of it
    the plain way                   3.6 to 4.0 times as long a request
    remembered answers (until then) about half, on values it had seen before
"""

from __future__ import annotations

import argparse
import os
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection, connections  # noqa: E402 - needs the settings
from django.test.utils import get_runner  # noqa: E402
from uuid6 import uuid7  # noqa: E402

import policies  # noqa: E402
from approvals.models import ActionRequest, Agent, PolicyDecision, Requirement  # noqa: E402
from approvals.selectors import past_cases  # noqa: E402
from audit.lib.canonical import canonical, digest  # noqa: E402
from policies.cel.compiler import Activation, compile_clause  # noqa: E402
from policies.document import Document  # noqa: E402
from policies.evaluate import evaluate  # noqa: E402
from policies.facts import Facts  # noqa: E402
from policies.models import Backtest, PolicyVersion, User  # noqa: E402
from policies.parsing.parser import parse_document  # noqa: E402
from policies.replay.backtest import PastCase, Replay, load  # noqa: E402
from policies.services.backtests import run_backtest  # noqa: E402
from policies.services.evaluation import document_of  # noqa: E402
from policies.services.traces import stored_trace  # noqa: E402
from tests.database import triggers_off  # noqa: E402

NOW = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
DEFAULT = (Path(policies.__file__).parent / "default.yaml").read_text()
THRESHOLD = ("refund_automatic: 25000", "refund_automatic: 40000")
PLAINLY = 3_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    if connection.vendor != "postgresql":
        raise SystemExit("DATABASE_URL must name a PostgreSQL database.")
    settings.DEBUG = False  # or every statement is kept in memory
    runner = get_runner(settings)(verbosity=0, interactive=False)
    old = runner.setup_databases()
    try:
        fill(chosen.requests)
        explain()
        for _ in range(chosen.rounds):
            measure(chosen.requests)
    finally:
        connections.close_all()
        runner.teardown_databases(old)


def say(line: str) -> None:
    print("  " + line, flush=True)  # noqa: T201 - a script's output


def measure(count: int) -> None:
    text = DEFAULT.replace(*THRESHOLD)
    assert text != DEFAULT
    draft = _version(text)
    order = Backtest.objects.create(version=draft, digest=draft.digest, created_at=NOW)
    with triggers_off():
        Backtest.objects.filter(pk=order.pk).update(created_at=datetime.now(UTC))
    began, used = time.perf_counter(), time.process_time()
    run_backtest(order.pk)
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    order.refresh_from_db()
    assert (order.status, order.done) == ("done", count), order.problem
    say(
        f"a replay of {count:,}: {wall:.2f} s ({cpu:.2f} s CPU here), {count / wall:,.0f}/s, "
        f"{order.flips.count():,} flips written"
    )

    cases = [case for batch in past_cases.newest(min(count, 50_000)) for case in batch]
    began = time.perf_counter()
    for _ in past_cases.newest(count):
        pass
    reading = time.perf_counter() - began
    began = time.process_time()
    Replay(parse_document(text)).over(cases)
    each = (time.process_time() - began) / len(cases)
    plain = plainly(text, cases[:PLAINLY])
    say(
        f"reading {reading:.2f} s; answering {each * 1e6:.1f} us of CPU each, {1 / each:,.0f}/s; "
        f"the plain way {plain * 1e6:.0f} us each, {plain / each:.1f} times as long"
    )


def plainly(text: str, cases: list[PastCase]) -> float:
    """CPU seconds a case: all facts read and checked, and CEL asked about every clause alone."""
    document = parse_document(text)
    rules = (*document.rules, *document.tiers)
    texts = {clause for rule in rules for clause in rule.when}
    conditions = [compile_clause(clause, document.parameters) for clause in texts]
    began = time.process_time()
    for case in cases:
        facts = Activation.of(Facts.from_flat(load(case.facts)))
        answers = {condition.text: condition.ask(facts).outcome for condition in conditions}
        assert any(all(answers[text] == "true" for text in rule.when) for rule in rules)
    return (time.process_time() - began) / len(cases)


def explain() -> None:
    """The plan of one batch in the middle."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE approvals_policydecision")
        cursor.execute("VACUUM ANALYZE approvals_requirement")
        cursor.execute("SELECT max(id) / 2 FROM approvals_policydecision")
        (middle,) = cursor.fetchone()
    rows = past_cases._INTAKE.filter(pk__lt=middle).values_list("pk", "request_id", "facts")
    say(rows[: past_cases.BATCH].explain(analyze=True).replace("\n", "\n  "))


def fill(count: int) -> None:
    """Requests as intake leaves them: judged, their facts kept, their people asked; no trail."""
    owner = User.objects.create(username="olga", person="olga")
    agents = [
        Agent.objects.create(
            name=f"agent-{n}", owner=owner, team="support", action_types=[], created_at=NOW
        )
        for n in range(8)
    ]
    document = document_of(_version(DEFAULT))
    assert not isinstance(document, str)
    chance = random.Random(11)  # noqa: S311 - not a secret
    at = NOW
    while count > 0:
        batch = []
        for number in range(min(count, 2_000)):
            at += timedelta(seconds=20)
            batch.append(_case(document, agents[number % len(agents)], chance, at))
        count -= len(batch)
        with triggers_off():  # nothing here has a trail
            ActionRequest.objects.bulk_create(item[0] for item in batch)
            PolicyDecision.objects.bulk_create(item[1] for item in batch)
            Requirement.objects.bulk_create(need for item in batch for need in item[2])


def _case(
    document: Document, agent: Agent, chance: random.Random, at: datetime
) -> tuple[ActionRequest, PolicyDecision, list[Requirement]]:
    amount = chance.randrange(100, 90_000)
    kind = chance.choice(["refund.issue"] * 7 + ["vendor.pay", "crm.update", "email.send"])
    moves_money = kind in ("refund.issue", "vendor.pay")
    facts = Facts.from_flat(
        {
            "action.type": kind,
            "action.amount": amount if moves_money else 0,
            "action.amount_base": amount if moves_money else 0,
            "action.currency": "EUR" if moves_money else "",
            "action.reversibility": "irreversible" if moves_money else "reversible",
            "action.target": f"charge ch_{chance.randrange(10**9)}",
            "action.counterparty": f"cus_{chance.randrange(10**6)}",
            "action.sample": chance.randrange(100),
            "agent.name": agent.name,
            "agent.age_days": chance.randrange(400),
            "agent.confidence": chance.choice([-1.0, 0.5, 0.8, 0.91]),
            "customer.known": chance.random() < 0.9,
            "customer.refunds_90d": chance.choice([0, 0, 0, 1, 3]),
            "evidence.kinds": ["charge"],
            "evidence.flags": chance.choice([[], [], [], [], ["injection"]]),
            "velocity.target_sum_24h": amount,
            "velocity.customer_sum_24h": amount + chance.choice([0, 0, 900]),
            "velocity.customer_sum_30d": amount + chance.randrange(50_000),
            "velocity.agent_sum_24h": chance.randrange(10**6),
            "velocity.agent_allowed_24h": chance.randrange(300_000),
            "velocity.owner_allowed_24h": chance.randrange(300_000),
            "velocity.first_for_counterparty": chance.random() < 0.3,
        }
    )
    found = evaluate(document, facts, version="1")
    request = ActionRequest(
        id=uuid7(), agent=agent, idempotency_key=str(uuid7()), body_digest="0" * 64,
        action_type=kind, action_type_version=1, verb="pay", system="payments",
        reversibility="irreversible", target=facts.action.target, effect="x" * 120,
        amount_minor=amount if moves_money else None, currency="EUR" if moves_money else "",
        digest="0" * 64, business_key="0" * 64, risk_tier=found.tier, verdict=found.verdict.value,
        created_at=at, updated_at=at,
    )  # fmt: skip
    decision = PolicyDecision(
        request=request, version=1, purpose="intake", verdict=found.verdict.value, tier=found.tier,
        reason_required=True, decide_within=timedelta(hours=4), execute_within=timedelta(days=1),
        facts=canonical(facts.flat()), trace=canonical(stored_trace(found)), created_at=at,
    )  # fmt: skip
    needs = [
        Requirement(
            request=request, version=1, group=spec.group, quorum=spec.quorum, stage=spec.stage,
            escalates_to=spec.escalates_to, is_open=False,
        )
        for spec in found.requirements
    ]  # fmt: skip
    return request, decision, needs


def _version(text: str) -> PolicyVersion:
    number = PolicyVersion.objects.count() + 1
    return PolicyVersion.objects.create(
        label=f"bench.{number}", document=text, digest=digest(text), reason="bench", created_at=NOW
    )


if __name__ == "__main__":
    main()
