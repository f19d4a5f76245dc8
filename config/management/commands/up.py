"""`manage.py up`: web, worker and beat under one supervisor; `--demo` adds the sandbox."""

from __future__ import annotations

import os
import socket
import sys
from io import StringIO
from typing import Any

import httpx
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from audit.actors import Actor
from config import queues
from config.supervisor import Child, Supervisor
from policies.services.versions import install_default, install_default_floor

_SANDBOX_SYSTEMS = ("payments", "smtp", "mail archive", "directory", "changes", "logistics")


class Command(BaseCommand):
    help = "Run web, worker and beat; restart what dies; stop everything on SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo",
            action="store_true",
            help="add the sandbox systems, the demo data and the scripted agent (DEMO=1)",
        )

    def handle(self, *args: Any, demo: bool, **options: Any) -> None:
        if demo and not settings.DEMO:
            raise CommandError("The demo has published passwords: set DEMO=1 to run it.")
        _refuse_taken_ports(demo)
        self._prepare()
        walkthrough = self._load_demo() if demo else ""
        supervisor = Supervisor(_children(demo), out=sys.stdout)

        def announce() -> None:
            self.stdout.write(walkthrough)
            self.stdout.write(self.style.SUCCESS(f"Countersign is up: {settings.BASE_URL}/"))
            self.stdout.write("Ctrl-C stops everything; the data stays in var/.")
            self.stdout.flush()

        if supervisor.run(is_ready=_web_answers, when_ready=announce):
            raise CommandError("A part could not stay up; its last lines above say why.")
        self.stdout.write("Everything has stopped.")

    def _prepare(self) -> None:
        """Bring the database and what lies beside it to where the code expects them."""
        self.stdout.write("Preparing database, roles and policy ...")
        self.stdout.flush()
        try:
            call_command("migrate", interactive=False, verbosity=0)
        except Error as error:
            raise CommandError(f"The database cannot be used: {error}") from error
        call_command("sync_roles", stdout=StringIO())
        install_default(actor=Actor.system("up"))
        install_default_floor(actor=Actor.system("up"))
        settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
        if not settings.WHITENOISE_USE_FINDERS:
            call_command("collectstatic", interactive=False, verbosity=0)

    def _load_demo(self) -> str:
        told = StringIO()
        call_command("load_demo", stdout=told)
        return told.getvalue()


def _children(demo: bool) -> list[Child]:
    """Everything that runs, the outside systems first.

    Until web answers it has the processors to itself: nothing can be done without it.
    """
    python = (sys.executable, "-m")
    children = [
        Child("web", (*python, "gunicorn", "-c", "python:config.web_server", "config.wsgi")),
        _worker("executions", queues.EXECUTIONS),
        _worker("worker", queues.REST),
        Child(
            "beat",
            _celery("beat", "--schedule", settings.CELERY_BEAT_SCHEDULE_FILENAME),
            later=True,
        ),
    ]
    if not demo:
        return children
    sandbox = Child(
        "sandbox",
        (
            *(*python, "connectors.sandbox"),
            *("--data", str(settings.VAR_DIR / "sandbox")),
            *("--port-base", str(settings.SANDBOX_PORT_BASE)),
            *("--records-url", settings.CONNECTORS["records"]["url"]),
        ),
    )
    children.insert(0, sandbox)
    if os.environ.get("DEMO_AGENT", "1") != "0":
        agent = (*python, "approvals.demo.play")
        children.append(Child("agent", agent, once=True, later=True))
    return children


def _worker(name: str, queue: str) -> Child:
    """One worker per queue: however much waits in the other, what is approved is carried out."""
    return Child(
        name,
        _celery(
            "worker",
            *("--queues", queue, "--hostname", f"{name}@%h"),
            *("--pool=prefork", "--concurrency=2", "-Ofair"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ),
        later=True,
    )


def _celery(program: str, *options: str) -> tuple[str, ...]:
    celery = (sys.executable, "-m", "celery", "--quiet", "-A", "config")
    return (*celery, program, "--loglevel", settings.LOG_LEVEL, *options)


def _refuse_taken_ports(demo: bool) -> None:
    """Say in one sentence what a traceback in three places would say later."""
    _refuse_taken(settings.BIND_HOST, settings.PORT, "the web server", "PORT=8123 make demo")
    if not demo:
        return
    for offset, name in enumerate(_SANDBOX_SYSTEMS):
        port = settings.SANDBOX_PORT_BASE + offset
        _refuse_taken("127.0.0.1", port, f"the {name} sandbox", "SANDBOX_PORT_BASE=9011 make demo")


def _refuse_taken(host: str, port: int, what: str, example: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers themselves do
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port}, meant for {what}, cannot be used: {error.strerror}. "
                f"Is another Countersign running? Stop it, or choose another port: {example}"
            ) from error


def _web_answers() -> bool:
    host = "127.0.0.1" if settings.BIND_HOST in {"0.0.0.0", ""} else settings.BIND_HOST  # noqa: S104
    name = settings.ALLOWED_HOSTS[0].lstrip(".") if settings.ALLOWED_HOSTS else host
    try:
        answer = httpx.get(
            f"http://{host}:{settings.PORT}/readyz", headers={"Host": name}, timeout=2
        )
    except httpx.TransportError:
        return False
    return answer.status_code < 500
