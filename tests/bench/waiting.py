"""What people's pages cost while hundreds of agents wait for people, and how often these ask.

    DEBUG=1 python -m tests.bench.waiting --agents 200 --seconds 60

One installation as `manage.py up` starts it on the embedded default: one web process. Each agent
asks `GET /actions/changes/?wait=25` and does as it is told: again at once after a wait it got a
place for, after `Retry-After` where it got none. Beside them somebody opens the inbox and a case,
over and over. First without the agents, then with them; read the two lines beside each other.

On 2026-11-22, two cores with other tests beside: pages 64 ms in the middle and 124 ms at 95 % while
nobody waits, 67 and 183 ms while 200 agents wait. Four of them have a place at a time; the
others ask every 15 s, as they are told.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import django
import httpx

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")
django.setup()

from approvals.demo.client import PersonClient  # noqa: E402 - needs the settings
from tests.agents.installation import Installation, an_installation  # noqa: E402

PAUSE = 0.25  # seconds between two pages somebody opens
INBOX = "/admin/approvals/financeinbox/"


@dataclass(slots=True)
class Asked:
    """What one agent's calls came to."""

    calls: int = 0
    without_place: int = 0
    problems: list[int] = field(default_factory=list)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--agents", type=int, default=200)
    options.add_argument("--seconds", type=float, default=60.0)
    chosen = options.parse_args()
    names = [f"waiting-{number}" for number in range(chosen.agents)]
    with (
        tempfile.TemporaryDirectory() as folder,
        an_installation(Path(folder), "plain-http", *names) as installation,
    ):
        case = propose(installation)
        person = installation.person("fiona")
        report("nobody waits", open_pages(person, case, chosen.seconds / 3), [])
        took, asked = asyncio.run(together(installation, names, case, chosen.seconds))
        report(f"{chosen.agents} agents wait", took, asked)


def propose(installation: Installation) -> str:
    """One case that people decide; the address of its page."""
    answer = httpx.post(
        f"{installation.url}/api/v1/actions/",
        headers={
            "Authorization": f"Bearer {installation.keys['plain-http']}",
            "Idempotency-Key": "bench-waiting",
        },
        json={
            "action_type": "refund.issue",
            "params": {
                "charge": "ch_1037",
                "amount": "49.00",
                "currency": "EUR",
                "reason": "damaged",
            },
            "intent": "A case to look at.",
        },
        timeout=30,
        trust_env=False,
    ).raise_for_status()
    return f"{INBOX}{answer.json()['id']}/change/"


def open_pages(person: PersonClient, case: str, seconds: float) -> list[float]:
    """Milliseconds of each page, the inbox and the case in turns."""
    end, took = time.monotonic() + seconds, []
    while time.monotonic() < end:
        for address in (INBOX, case):
            began = time.perf_counter()
            person.open(address)
            took.append((time.perf_counter() - began) * 1000)
            time.sleep(PAUSE)
    return took


async def together(
    installation: Installation, names: list[str], case: str, seconds: float
) -> tuple[list[float], list[Asked]]:
    person, end = installation.person("fiona"), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=installation.url, limits=limits, timeout=60, trust_env=False
    ) as client:
        waits = [wait(client, installation.keys[name], end) for name in names]
        pages = asyncio.to_thread(open_pages, person, case, seconds)
        took, *asked = await asyncio.gather(pages, *waits)
    return took, asked


async def wait(client: httpx.AsyncClient, key: str, end: float) -> Asked:
    """One agent, until the end; a wait that has begun is seen to its own end."""
    found, after = Asked(), "latest"
    while time.monotonic() < end:
        answer = await client.get(
            "/api/v1/actions/changes/",
            params={"after": after, "wait": "25"},
            headers={"Authorization": f"Bearer {key}"},
        )
        found.calls += 1
        if answer.status_code != httpx.codes.OK:
            found.problems.append(answer.status_code)
        else:
            after = answer.json()["cursor"]
        if pause := answer.headers.get("Retry-After"):
            found.without_place += 1
            await asyncio.sleep(min(float(pause), max(end - time.monotonic(), 0)))
    return found


def report(what: str, took: list[float], asked: list[Asked]) -> None:
    ordered = sorted(took)
    p95 = ordered[int(len(ordered) * 0.95)]
    line = (
        f"{what}: {len(took)} pages, median {statistics.median(took):.0f} ms, "
        f"95 % {p95:.0f} ms, longest {ordered[-1]:.0f} ms"
    )
    if asked:
        calls = [one.calls for one in asked]
        problems = sum(len(one.problems) for one in asked)
        line += (
            f"; calls an agent {min(calls)} to {max(calls)}, "
            f"{sum(one.without_place for one in asked)} of {sum(calls)} got no place, "
            f"{problems} failed"
        )
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
