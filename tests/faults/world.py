"""One world per test: a database, a sandbox and a broker of its own, workers as real processes."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from celery import Celery

from approvals.models import ActionRequest, Attempt
from approvals.services.sweep import Swept, sweep
from audit.events import AuditCode
from audit.lib import db_clock
from audit.reading import one_snapshot
from audit.selectors import events_of
from audit.verify import verify
from config.queues import EXECUTIONS, REST
from connectors.sandbox.server import Sandbox
from tests.faults.broker import Broker
from tests.faults.processes import Program, until

TIMEOUT = 5
LEASE = 16
TIME_LIMIT = 13
"""Seconds. Long enough for a busy machine to act inside a call, short enough to wait for."""


@dataclass
class World:
    """Everything one test breaks. `env` is what its processes are started with."""

    folder: Path
    broker: Broker
    env: dict[str, str]
    outside: Sandbox
    programs: list[Program] = field(default_factory=list)

    # --- processes ---------------------------------------------------------------------------

    def run(self, *command: str, name: str = "", **env: str) -> Program:
        """Start one of our programs with this world's environment."""
        number = len(self.programs)
        program = Program(
            [sys.executable, *command],
            env={**self.env, **env},
            log=self.folder / f"{number:03}-{name or command[-1]}.log",
        )
        self.programs.append(program)
        return program

    def worker(
        self, *options: str, processes: int = 1, app: str = "config", wait: bool = True
    ) -> Program:
        """A Celery worker, ready to take messages."""
        program = self.run(
            *("-m", "celery", "-A", app, "worker", "--pool", "prefork"),
            *("--concurrency", str(processes), "--loglevel", "INFO"),
            *("--hostname", f"w{len(self.programs)}@faults", *options),
            *("--without-mingle", "--without-gossip"),  # a second less to wait for
            name="worker",
            LOG_LEVEL="INFO",
        )
        if wait:
            program.says("ready.")
        return program

    def sweeper(self, **env: str) -> Program:
        """`manage.py sweep` as a process."""
        return self.run("manage.py", "sweep", name="sweep", **env)

    def end(self) -> None:
        for program in self.programs:
            program.kill()

    # --- doorbell and net --------------------------------------------------------------------

    def enqueue(self, *requests: ActionRequest) -> None:
        """Send workers the message that says there is something to do."""
        for request in requests:
            self.enqueue_task("approvals.execute", str(request.pk))

    def enqueue_task(self, task: str, *ids: str) -> None:
        """Send workers any message."""
        with Celery("bell", broker=self.broker.url, set_as_current=False) as bell:
            bell.send_task(task, args=list(ids), retry=False)

    def rests(self) -> None:
        """Wait until no message waits and no worker is at anything."""
        with Celery("watch", broker=self.broker.url, set_as_current=False) as watch:

            def idle() -> bool:
                with watch.connection() as fresh:  # a pooled one may date from before a restart
                    active = watch.control.inspect(timeout=0.5, connection=fresh).active()
                return not self.messages and active is not None and not any(active.values())

            until("all workers rest", idle)

    def was_sent(self, task: str, request: ActionRequest) -> bool:
        """Whether the sweep has sent a worker after the request, and will not again for a while."""
        return bool(self.broker.client.keys(f"*sweep-job:{task}:{request.pk}"))

    @property
    def messages(self) -> int:
        """How many wait in the broker."""
        return sum(int(self.broker.client.llen(name)) for name in (EXECUTIONS, REST))

    def sweep_until(self, state: str, *requests: ActionRequest, seconds: float = 90) -> list[Swept]:
        """Play beat, here, until every one of the requests is in that state."""
        passes: list[Swept] = []

        def settled() -> bool:
            passes.append(sweep())
            return {state_of(request) for request in requests} == {state}

        until(f"{len(requests)} requests in {state}", settled, seconds=seconds)
        return passes

    # --- the outside -------------------------------------------------------------------------

    def fault(self, mode: str, *, system: str = "payments", **how: Any) -> None:
        """Plan one fault of an outside system."""
        reply = httpx.post(f"{self.outside.addresses[system]}/_faults", json={"mode": mode, **how})
        assert reply.status_code == 201, reply.text

    def no_more_faults(self, *, system: str = "payments") -> None:
        httpx.delete(f"{self.outside.addresses[system]}/_faults")

    def effects(self, system: str = "payments") -> list[dict[str, Any]]:
        """What really happened out there, from the sandbox's own book."""
        return self.outside.effects(system)


def state_of(request: ActionRequest) -> str:
    """The state now; the instance in hand is a memory."""
    return str(ActionRequest.objects.values_list("state", flat=True).get(pk=request.pk))


def attempts_of(request: ActionRequest) -> list[str]:
    """How each attempt ended, oldest first."""
    return list(
        Attempt.objects.filter(execution__request=request)
        .order_by("fence")
        .values_list("outcome", flat=True)
    )


def keys_of(request: ActionRequest) -> list[str]:
    """The keys the request's executions call out with."""
    return list(request.executions.values_list("provider_key", flat=True))


def lease_runs_out(request: ActionRequest) -> None:
    """Let the time pass that nobody wants to wait for: the lease ends now."""
    assert request.executions.filter(state="running").update(lease_until=db_clock.now()) == 1


def one_effect(world: World, request: ActionRequest, system: str = "payments") -> None:
    """Exactly one effect out there, and it carries the one key this request ever used."""
    assert [effect["idempotency_key"] for effect in world.effects(system)] == keys_of(request)


def trail_of(request: ActionRequest) -> list[str]:
    """The codes from the first claim on; the way there is other tests' business."""
    codes = list(events_of(request).values_list("code", flat=True))
    claimed = AuditCode.GRANT_CONSUMED.value
    return codes[codes.index(claimed) :] if claimed in codes else []


def last_event(request: ActionRequest, code: AuditCode) -> dict[str, Any]:
    """The data of the newest event of that code."""
    event = events_of(request).filter(code=code.value).last()
    assert event is not None, f"no {code} in {trail_of(request)}"
    found: dict[str, Any] = json.loads(event.data)
    return found


def assert_trail_is_whole() -> None:
    """No fault may leave the chain of events broken."""
    with one_snapshot():
        report = verify()
    assert report.problem is None, str(report.problem)


def postgres_url(name: str, settings_dict: dict[str, Any]) -> str:
    """The address of a database beside the tests' own."""
    user, password = settings_dict["USER"], settings_dict["PASSWORD"]
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    host, port = settings_dict["HOST"] or "127.0.0.1", settings_dict["PORT"] or 5432
    url = f"postgresql://{login}{host}:{port}/{name}"
    assert urlsplit(url).hostname
    return url
