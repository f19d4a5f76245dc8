"""What a proposal and its approval cost in process, beside LangGraph and DBOS doing as much.

Run it by hand against a PostgreSQL server; databases of its own are created and dropped again:

    uv sync --group bench
    DEBUG=1 DATABASE_URL=postgres://... BROKER_URL=redis://... python -m tests.bench.peers --each 40

Every arm stores a proposal that waits for a person, and then that person's yes with the effect it
leads to. The effect is a function that returns at once, for all of them: no outside system is
called. Theirs is durable state and nothing else; ours has policy, routing, four-eyes, history and
trail as well. Arms alternate, one client each. Read the ratios, not the absolute numbers.

- LangGraph: a graph that interrupts before the effect, checkpointed in PostgreSQL; a checkpoint
  after every step (sync), or one when it stops (exit).
- DBOS: one workflow that receives the yes as a message (recv), or one workflow each for the
  proposal and the approval (two).

On 2026-11-22, two cores and a slow disk: a proposal 0.36 of LangGraph with a checkpoint a step,
0.26 with one at the end, 0.50 of two DBOS workflows, 0.74 of DBOS with a message; approved to
executed 0.11, 0.05 and 0.13 of the first three. Before the ORM's compiling was spared: 0.19, 0.12,
0.28, 0.30; and 0.06, 0.02, 0.07. The message is only looked for once a second, so that the last one
says nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict
from unittest.mock import patch
from urllib.parse import urlsplit, urlunsplit

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")
django.setup()

import psycopg  # noqa: E402 - needs the settings
from dbos import DBOS, SetWorkflowID  # noqa: E402
from django.db import connection, connections  # noqa: E402
from django.test.utils import get_runner  # noqa: E402
from langgraph.checkpoint.postgres import PostgresSaver  # noqa: E402
from langgraph.graph import END, START, StateGraph  # noqa: E402
from langgraph.types import Command, interrupt  # noqa: E402
from psycopg.rows import dict_row  # noqa: E402
from uuid6 import uuid7  # noqa: E402

from approvals.models import ActionRequest  # noqa: E402
from approvals.selectors.review_snapshot import ReviewedSnapshot  # noqa: E402
from approvals.services.decide import approve  # noqa: E402
from approvals.services.execute import execute  # noqa: E402
from connectors.base import Action, Preview, ReadBack, Receipt, SystemEvidence  # noqa: E402
from tests.approvals.make import crm, look_at, make_cast, make_request  # noqa: E402

ROUNDS = 5
PARAMS = {"charge": "ch_1001", "amount": "900.00", "currency": "EUR", "reason": "broken"}


@dataclass(frozen=True)
class Arm:
    """One product: store a proposal, and say yes to it and carry it out."""

    name: str
    propose: Callable[[], str]
    carry_out: Callable[[Any], None]
    look_at: Callable[[str], Any] = str
    """What the person does in between, which is not timed; what comes of it is carried out."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--each", type=int, default=40, help="proposals an arm and round")
    each = options.parse_args().each
    if connection.vendor != "postgresql":
        raise SystemExit("DATABASE_URL must name a PostgreSQL database.")
    settings.DEBUG = False  # or every statement is kept in memory
    with ExitStack() as stack:
        ours = stack.enter_context(countersign())
        theirs = [
            *stack.enter_context(langgraph(stack.enter_context(database("langgraph")))),
            *stack.enter_context(dbos(stack.enter_context(database("dbos")))),
        ]
        compare([ours, *theirs], each)


def compare(arms: list[Arm], each: int) -> None:
    """All arms in turns; the median of each round's ratios."""
    rates: dict[str, list[tuple[float, float]]] = {arm.name: [] for arm in arms}
    for arm in arms:
        arm.carry_out(arm.look_at(arm.propose()))  # whatever is looked up once a process
    for _ in range(ROUNDS):
        for arm in arms:
            begun = time.perf_counter()
            proposed = [arm.propose() for _ in range(each)]
            proposing = time.perf_counter() - begun
            seen = [arm.look_at(name) for name in proposed]
            begun = time.perf_counter()
            for one in seen:
                arm.carry_out(one)
            carrying_out = time.perf_counter() - begun
            rates[arm.name].append((each / proposing, each / carrying_out))
    ours = rates[arms[0].name]
    for arm in arms:
        propose, carry_out = (
            statistics.median(
                mine[part] / theirs[part]
                for mine, theirs in zip(ours, rates[arm.name], strict=True)
            )
            for part in (0, 1)
        )
        each_second = [statistics.median(r[part] for r in rates[arm.name]) for part in (0, 1)]
        say(
            f"{arm.name:22} propose {each_second[0]:7.1f}/s, ours {propose:5.2f} times it;"
            f"  approve to executed {each_second[1]:7.1f}/s, ours {carry_out:5.2f} times it"
        )


def say(line: str) -> None:
    print("  " + line, flush=True)  # noqa: T201 - a script's output


# --- Ours -----------------------------------------------------------------------------------------


class Instant:
    """A system that does everything at once."""

    system = "records"

    def preview(self, action: Action) -> Preview:
        return Preview(
            before={"stage": "open"},
            after={"stage": "won"},
            target_version="1",
            evidence=(SystemEvidence("customer_record", "Customer record", {"id": "acct_1"}),),
        )

    def execute(self, action: Action, *, idempotency_key: str, guard: str = "") -> Receipt:
        return Receipt(reference=idempotency_key[:20], summary="done")

    def look_up(self, action: Action, *, idempotency_key: str) -> Receipt | None:
        return None

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        return ReadBack(observed={"stage": "won"}, differences=())


@contextmanager
def countersign() -> Iterator[Arm]:
    """The services agents and reviewers reach over HTTP, called directly."""
    runner = get_runner(settings)(verbosity=0, interactive=False)
    old = runner.setup_databases()
    try:
        settings.CONNECTORS = {"records": {"url": "sqlite://"}}
        with patch("connectors.registry._built", lambda system, config: Instant()):
            cast = make_cast()

            def propose() -> str:
                record = crm(f"acct_{uuid7().int}")
                return str(make_request(cast.agent, record, action_type="crm.update").pk)

            def look(name: str) -> ReviewedSnapshot:
                return look_at(ActionRequest.objects.get(pk=name), cast.otto)

            def carry_out(seen: ReviewedSnapshot) -> None:
                approve(seen.request_id, decider=cast.otto, reviewed=seen)
                execute(seen.request_id)
                ended = ActionRequest.objects.get(pk=seen.request_id)
                assert ended.state in ("verified", "audited"), ended.state

            yield Arm("Countersign", propose, carry_out, look)
    finally:
        connections.close_all()
        runner.teardown_databases(old)


# --- Theirs ---------------------------------------------------------------------------------------


@contextmanager
def database(name: str) -> Iterator[str]:
    """An empty database on the same server, by its address."""
    address = urlsplit(os.environ["DATABASE_URL"])
    own = f"bench_{name}_{os.getpid()}"
    with psycopg.connect(
        urlunsplit(address._replace(scheme="postgresql", path="/postgres")), autocommit=True
    ) as admin:
        admin.execute(f"CREATE DATABASE {own}")
        try:
            yield urlunsplit(address._replace(path=f"/{own}"))
        finally:
            admin.execute(f"DROP DATABASE {own} WITH (FORCE)")


class State(TypedDict):
    params: dict[str, str]
    receipt: str


@contextmanager
def langgraph(url: str) -> Iterator[list[Arm]]:
    """A graph that stops for a person before the effect."""

    def ask(state: State) -> dict[str, str]:
        return {} if interrupt(state["params"]) else {"receipt": "refused"}

    def carry_out(state: State) -> dict[str, str]:
        return {"receipt": "done"}

    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_node("carry_out", carry_out)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "carry_out")
    graph.add_edge("carry_out", END)
    with psycopg.connect(url, autocommit=True, prepare_threshold=0, row_factory=dict_row) as own:
        saver = PostgresSaver(own)  # as its own documentation connects
        saver.setup()
        compiled = graph.compile(checkpointer=saver)

        def arm(durability: Any) -> Arm:
            def propose() -> str:
                name = str(uuid7())
                config: Any = {"configurable": {"thread_id": name}}
                compiled.invoke({"params": PARAMS, "receipt": ""}, config, durability=durability)
                return name

            def approve(name: str) -> None:
                config: Any = {"configurable": {"thread_id": name}}
                ended = compiled.invoke(Command(resume=True), config, durability=durability)
                assert ended["receipt"] == "done", ended

            return Arm(f"LangGraph, {durability}", propose, approve)

        yield [arm("sync"), arm("exit")]


@contextmanager
def dbos(url: str) -> Iterator[list[Arm]]:
    """Durable workflows."""
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "run_admin_server": False,
            "log_level": "ERROR",
        }
    )

    @DBOS.step()
    def store(params: dict[str, str]) -> str:
        return "stored"

    @DBOS.step()
    def effect(params: dict[str, str]) -> str:
        return "done"

    @DBOS.workflow()
    def waiting(params: dict[str, str]) -> str:
        store(params)
        return effect(params) if DBOS.recv(timeout_seconds=3600) else "refused"

    @DBOS.workflow()
    def proposing(params: dict[str, str]) -> str:
        return store(params)

    @DBOS.workflow()
    def approving(params: dict[str, str]) -> str:
        return effect(params)

    DBOS.launch()

    def propose_one() -> str:
        name = str(uuid7())
        with SetWorkflowID(name):
            DBOS.start_workflow(waiting, PARAMS)
        return name

    def send_yes(name: str) -> None:
        DBOS.send(name, True)
        assert DBOS.retrieve_workflow(name).get_result() == "done"

    def propose_first() -> str:
        name = str(uuid7())
        with SetWorkflowID(name):
            proposing(PARAMS)
        return name

    def approve_second(name: str) -> None:
        with SetWorkflowID(f"{name}-approved"):
            assert approving(PARAMS) == "done"

    try:
        yield [
            Arm("DBOS, two workflows", propose_first, approve_second),
            Arm("DBOS, recv", propose_one, send_yes),
        ]
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main()
