"""What the pages cost when there are many requests, beside what they cost when there are few.

Run it by hand against a PostgreSQL server, as a superuser; it makes two databases of its own and
drops them again (`--keep` leaves them for the next run):

    DEBUG=1 DATABASE_URL=postgres://.../countersign python -m tests.bench.pages

Every page is opened through Django's test client, in both databases in turns: first with an empty
cache, then again, with the numbers that are kept for some seconds. The best of several counts,
because a busy machine only ever adds. Six in ten requests wait for
people. Read the ratios, not the absolute numbers.

On 2026-11-22, with 600,000 of a million pending and two cores so busy that every page took a
second, so that the ratios are hardly more than noise: 0.5 to 1.5 with an empty cache for landing
pages, probes, finance's tabs and filters, records and the trail, and 0.3 to 1.5 with what is kept;
with an empty cache 1.7 for a review page and 3.0 for the trail since a date, with a full one 1.8
for the trail by kind of actor and code. No absolute figure could be had. By plans there: what
people did among a million events of one code is counted in 0.1 ms instead of 14 s; of 2.9 s for the
counts of an inbox 1.0 s was compiling the statement (jit).
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import django
import psycopg
from django.conf import settings
from psycopg.conninfo import make_conninfo

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")
django.setup()

from django.core.cache import cache  # noqa: E402 - needs the settings
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext, setup_test_environment  # noqa: E402

from approvals.models import ActionRequest  # noqa: E402
from approvals.selectors.inbox import VIEWS  # noqa: E402
from connectors.sandbox.server import Sandbox  # noqa: E402
from policies.models import User  # noqa: E402
from tests.bench.many_requests import fill, make_templates  # noqa: E402
from tests.database import create, drop  # noqa: E402

TEAMS = ("finance", "manager", "legal", "executive")
"""Two with much to do, one with nothing, one with little."""


@dataclass(frozen=True, slots=True)
class Page:
    """One address, opened by somebody."""

    name: str
    user: str
    address: str


@dataclass(slots=True)
class Cost:
    """Milliseconds with an empty cache, and again with what it keeps for some seconds."""

    first: float = float("inf")
    again: float = float("inf")
    statements: int = 0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--few", type=int, default=20_000)
    options.add_argument("--many", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", default="", help="a regular expression that names must match")
    options.add_argument("--keep", action="store_true", help="leave both databases for next time")
    options.add_argument("--explain", action="store_true", help="plans of statements over 20 ms")
    chosen = options.parse_args()
    if connection.vendor != "postgresql":
        raise SystemExit("DATABASE_URL must name a PostgreSQL database.")
    settings.DEBUG = False  # or every statement is kept in memory
    settings.DEMO = True  # the sandbox's addresses may be used
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    setup_test_environment()
    base = str(connection.settings_dict["NAME"])
    sizes = {f"{base}_pages_{number}": number for number in (chosen.few, chosen.many)}
    try:
        for name, number in sizes.items():
            prepare(name, number)
        few, many = sizes
        compare(few, many, re.compile(chosen.only), chosen.rounds, explain=chosen.explain)
    finally:
        connection.close()
        if not chosen.keep:
            with maintenance() as admin:
                for name in sizes:
                    drop(admin, name)


def say(line: str) -> None:
    print("  " + line, flush=True)  # noqa: T201 - a script's output


# --- The databases ----------------------------------------------------------------------------


@contextmanager
def maintenance() -> Iterator[psycopg.Connection]:
    """A connection that may create and drop databases."""
    place = connection.settings_dict
    address = make_conninfo(
        dbname="postgres",
        host=place["HOST"] or None,
        port=place["PORT"] or None,
        user=place["USER"] or None,
        password=place["PASSWORD"] or None,
    )
    with psycopg.connect(address, autocommit=True) as admin:
        yield admin


def use(name: str) -> None:
    """Go on in that database, knowing nothing of the other one."""
    connection.close()
    connection.settings_dict["NAME"] = name
    cache.clear()


def prepare(name: str, number: int) -> None:
    """The database with that many requests; one that was kept is brought up to date."""
    with maintenance() as admin:
        known = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if not known:
            create(admin, name)
    use(name)
    call_command("migrate", verbosity=0)
    if ActionRequest.objects.filter(agent__name="bench-agent-3").exists():
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        return
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder)) as sandbox:
        settings.CONNECTORS = sandbox.connectors
        fill(make_templates(), number)
    say(f"{number:,} requests made in {time.perf_counter() - began:,.0f} s")


# --- The pages --------------------------------------------------------------------------------


def pages() -> list[Page]:
    """Every tab, filter, search and depth of the inboxes, records, trail and what else counts."""
    found = [Page(f"landing {user}", user, "/admin/") for user in ("manager", "finance", "auditor")]
    found.append(Page("readyz", "manager", "/readyz"))
    for team in TEAMS:
        inbox = f"/admin/approvals/{team}inbox/"
        found += [Page(f"{team} {v.key}", team, f"{inbox}?show={v.key}") for v in VIEWS]
    for team in ("finance", "manager"):
        inbox = f"/admin/approvals/{team}inbox/"
        for query in INBOX_QUERIES:
            found.append(Page(f"{team} ?{query}", team, f"{inbox}?{query}"))
    records = "/admin/approvals/actionrequest/"
    for user in ("auditor", "manager", "finance"):
        for query in RECORD_QUERIES:
            found.append(Page(f"records {user} ?{query}", user, f"{records}?{query}"))
    for query in trail_queries():
        found.append(Page(f"trail ?{query}", "auditor", f"/admin/audit/auditevent/?{query}"))
    one = ActionRequest.objects.filter(agent__name="refund-bot", state="pending_approval")
    request = one.filter(requirements__group="manager").earliest("id")
    review = f"/admin/approvals/managerinbox/{request.pk}/change/"
    return [
        *found,
        Page("review page", "manager", review),
        Page("record page", "auditor", f"{records}{request.pk}/change/"),
    ]


INBOX_QUERIES = (
    "p=2", "p=39", "tier=3", "tier=4", "tier=0", "action_type=refund.issue",
    "action_type=vendor.pay", "action_type=robot.run", "agent_team=support", "agent_team=legal",
    "tier=3&action_type=vendor.pay&agent_team=support", "q=charge ch_1037-17",
    "q=charge ch_1037-17777", "q=charge", "q=nothing like it", "q=Charge", "q=INV-2026-1187-777",
    "q=700.00 EUR", "q=acct_5001-777", "show=done&q=charge", "show=done&p=3",
    "show=done&action_type=vendor.pay", "show=done&tier=0",
)  # fmt: skip
RECORD_QUERIES = (
    "", "p=2", "state=pending_approval", "state=rejected", "state=executing", "state=failed",
    "risk_tier=4", "risk_tier=0", "verdict=deny", "action_type=vendor.pay",
    "action_type=robot.run", "agent=bench-agent-7", "agent=nobody", "since=2026-01-01",
    "until=2020-01-01", "state=pending_approval&risk_tier=4&agent=bench-agent-3",
    "q=charge ch_1037-17777", "q=nothing like it", "q=700.00 EUR", "q=customer of ch_1037-17777",
)  # fmt: skip


def trail_queries() -> list[str]:
    """Each filter of the trail with a value many events have, and one that few or none have."""
    request = ActionRequest.objects.filter(agent__name="bench-agent-3").latest("id")
    return [
        "", "p=2", "actor_kind=human", "actor_kind=agent", "actor_kind=system",
        f"actor_id={User.objects.get(username='manager').pk}", "actor_id=1003", "actor_id=policy",
        "actor_id=nobody", "subject_type=approvals.actionrequest", "subject_type=policies.user",
        "subject_type=approvals.pause",
        f"subject_id={request.pk}", "subject_id=nothing", "code=request.requested",
        "code=agent.paused", "code=decision.approved", "since=2026-01-01", "until=2020-01-01",
        "actor_id=1003&since=2026-01-01",
        "actor_kind=human&code=request.requested", f"q={request.pk}", "q=manager", "q=zzz",
        "q=bench-agent",
    ]  # fmt: skip


def compare(few: str, many: str, wanted: re.Pattern[str], rounds: int, *, explain: bool) -> None:
    """Open each page in both databases in turns, and say how much dearer it is in the larger."""
    costs: dict[str, dict[str, Cost]] = {}
    for turn in range(rounds):
        for name in (few, many):
            use(name)
            browsers = {user: _browser(user) for user in ("manager", "finance", "legal",
                                                          "executive", "auditor")}  # fmt: skip
            for page in pages():
                if not wanted.search(page.name):
                    continue
                shown = re.sub(r"[0-9a-f]{8}-[-0-9a-f]{27}", "ID", page.name)
                cost = costs.setdefault(shown, {few: Cost(), many: Cost()})[name]
                client = browsers[page.user]
                if turn == 0:
                    cost.statements = _statements(client, page, explain=explain and name == many)
                cache.clear()
                cost.first = min(cost.first, _milliseconds(client, page))
                cost.again = min(cost.again, _milliseconds(client, page))
    say(f"{'':58} {'few':>7} {'many':>7} {'ratio':>5} | {'again':>6} {'many':>7} {'ratio':>5} SQL")
    for shown, cost_of in costs.items():
        small, large = cost_of[few], cost_of[many]
        first, again = large.first / small.first, large.again / small.again
        say(
            f"{shown[:58]:58} {small.first:7.1f} {large.first:7.1f} {first:5.2f} | "
            f"{small.again:6.1f} {large.again:7.1f} {again:5.2f} {large.statements:3}"
            f"{'  !' if again > 1.5 else ''}"
        )


def _browser(user: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=user))
    client.get("/admin/")  # whatever is looked up once a process
    return client


def _milliseconds(client: Client, page: Page) -> float:
    began = time.perf_counter()
    _open(client, page)
    return (time.perf_counter() - began) * 1_000


def _open(client: Client, page: Page) -> None:
    path, _, query = page.address.partition("?")
    answer = client.get(f"{path}?{quote(query, safe='=&')}" if query else path)
    if answer.status_code != 200:
        raise SystemExit(f"{page.address} answers {answer.status_code}")


def _statements(client: Client, page: Page, *, explain: bool) -> int:
    cache.clear()
    with CaptureQueriesContext(connection) as asked:
        _open(client, page)
    for query in asked.captured_queries if explain else ():
        if float(query["time"]) >= 0.02 and query["sql"].startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, BUFFERS) " + query["sql"].replace("%", "%%"), [])
                plan = "\n".join(row[0] for row in cursor.fetchall())
            say(f"{page.name}\n{query['sql']}\n{plan}\n")
    return len(asked)


if __name__ == "__main__":
    main()
