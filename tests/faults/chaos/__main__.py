"""Thirty minutes of everything going wrong at random, and a count of what became of it.

    python -m tests.faults.chaos --minutes 30 --seed 7

Real web, workers, beat and outside systems under `manage.py up`, on a PostgreSQL and a Redis of
their own. Agents propose and people decide all the while, over HTTP. After the last breakage
nobody touches anything: within 60 seconds every approved request must be carried out or be with
people. Exit status 0 when that holds, nothing happened twice, nothing was lost and the trail
verifies. Not part of the suite.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
import psycopg

from tests.faults.chaos.breakage import next_breakage
from tests.faults.chaos.findings import Findings, examine, unsettled
from tests.faults.chaos.load import Load
from tests.faults.chaos.stack import Stack, running

SETTLE_SECONDS = 60.0
READ_BACK_SECONDS = 240.0
"""How long read-backs may go on before effects are counted: targets show some of them late."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.faults.chaos")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311
    parser.add_argument("--keep", action="store_true", help="leave logs and data for a look")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="countersign-chaos-"))
    _say(f"seed {options.seed}, {options.minutes:g} minutes, logs in {folder}")
    good = False
    try:
        with running(folder) as stack:
            good = _run(stack, random.Random(options.seed), options.minutes * 60)  # noqa: S311
    finally:
        if good and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


def _run(stack: Stack, dice: random.Random, seconds: float) -> bool:
    load = Load(stack, random.Random(dice.random()))  # noqa: S311
    load.start()
    try:
        struck = _break_things(stack, load, dice, seconds)
    finally:
        load.stop()
    _clear_planned_faults(stack)
    took = _settle(stack)
    verified = stack.manage("verify_audit").ends(seconds=300) == 0
    findings = _examine_when_quiet(stack, load)
    _report(load, struck, findings, took, verified=verified)
    return findings.is_clean and took is not None and verified


def _break_things(stack: Stack, load: Load, dice: random.Random, seconds: float) -> Counter[str]:
    struck: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(dice.uniform(1, 6))
        breakage = next_breakage(dice)
        breakage.strike(stack, load, dice)
        struck[breakage.name] += 1
        if not stack.supervisor.is_running:
            raise AssertionError(f"The supervisor has ended:\n{stack.supervisor.log[-3000:]}")
    return struck


def _settle(stack: Stack) -> float | None:
    """Seconds until nothing was left between approval and people or effect; None: too many."""
    started = time.monotonic()
    while True:
        left = _left(stack)
        took = time.monotonic() - started
        if not left:
            return took
        if took > SETTLE_SECONDS:
            _say(f"after {took:.0f} s still: {left}")
            return None
        time.sleep(0.5)


def _left(stack: Stack) -> dict[str, int]:
    try:
        return unsettled(stack)
    except psycopg.OperationalError as error:
        return {f"no database: {error}": 1}


def _examine_when_quiet(stack: Stack, load: Load) -> Findings:
    """Look until nothing is missing, or for as long as read-backs may take."""
    end = time.monotonic() + READ_BACK_SECONDS
    while True:
        findings = examine(stack, load.accepted)
        reading = findings.states["executed"]
        if (findings.is_clean and not reading) or time.monotonic() > end:
            return findings
        time.sleep(5)


def _clear_planned_faults(stack: Stack) -> None:
    for system, address in stack.demo["sandbox"].items():
        if address.startswith("http"):
            try:
                httpx.delete(f"{address}/_faults", timeout=5)
            except httpx.TransportError as error:
                _say(f"{system} does not answer yet: {error}")  # it forgets its faults anyway


def _report(
    load: Load, struck: Counter[str], found: Findings, took: float | None, *, verified: bool
) -> None:
    kinds = Counter(load.accepted.values())
    _say(f"{sum(struck.values())} breakages: {_listed(struck)}")
    _say(f"{len(load.accepted)} proposals accepted: {_listed(kinds)}")
    _say(f"answers that were none: {_listed(load.refusals)}")
    _say(f"states: {_listed(found.states)}")
    _say(f"attempts: {_listed(found.attempts)}; effects out there: {found.effects}")
    for what, which in (
        ("happened twice", found.twice),
        ("happened without an execution", found.unapproved),
        ("lost", found.lost),
        ("said not to have happened, and did", found.denied),
    ):
        _say(f"{len(which)} {what}{': ' + ', '.join(which[:10]) if which else ''}")
    _say("settled after the last breakage: " + (f"{took:.1f} s" if took is not None else "NO"))
    _say(f"verify_audit: {'whole' if verified else 'BROKEN'}")


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{times} {name}" for name, times in counted.most_common()) or "none"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
