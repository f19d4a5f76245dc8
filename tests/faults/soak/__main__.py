"""Thousands of actions over every proof while everything below them is killed, and one table.

    python -m tests.faults.soak --actions 2000 --seed 7
    python -m tests.faults.soak --embedded --actions 300

Real workers and beat on a PostgreSQL and a Redis of their own (or on SQLite and the embedded
broker), real HTTP to the sandbox's systems and to the vendors' doubles. Workers, broker, database
and outside systems are killed at random; then everything is left alone until it has settled. Exit
status 1 when something happened twice, was lost, or is not what was approved. Not in the suite.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.soak.actions import lay_out, planned
from tests.faults.soak.kills import strike
from tests.faults.soak.of_sandbox import OF_SANDBOX
from tests.faults.soak.of_vendors import OF_VENDORS
from tests.faults.soak.stack import Stack, running

if TYPE_CHECKING:
    from tests.faults.soak.load import Load

SETTLE_SECONDS = 1500.0
"""Repeats and read-backs wait longer each time: up to a quarter of an hour."""

TELL_EVERY = 15.0  # seconds

BETWEEN = (4, 16)
"""How many actions are proposed between two blows."""

AT_LEAST_EVERY = 20.0
"""Seconds after which a blow falls although nothing was proposed."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.faults.soak")
    parser.add_argument("--actions", type=int, help="how many (default: 2000; embedded 300)")
    parser.add_argument("--embedded", action="store_true", help="SQLite and the embedded broker")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311
    parser.add_argument("--keep", action="store_true", help="leave logs and data for a look")
    options = parser.parse_args(arguments)
    number = options.actions or (300 if options.embedded else 2000)
    folder = Path(tempfile.mkdtemp(prefix="countersign-soak-"))
    folder.chmod(0o755)
    _say(f"seed {options.seed}, {number} actions, logs in {folder}")
    is_good = False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and nothing is left running
    try:
        with running(folder, embedded=options.embedded) as stack:
            is_good = _soak(stack, number, random.Random(options.seed))  # noqa: S311
    finally:
        if is_good and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if is_good else 1


def _soak(stack: Stack, number: int, dice: random.Random) -> bool:
    os.environ.update({**stack.env, "LOG_LEVEL": "CRITICAL"})  # this process only reports
    import django

    django.setup()
    from tests.faults.soak.findings import examine
    from tests.faults.soak.load import Load, furnish

    stack.start_sandbox()
    stack.start_vendors()
    stack.wait_for_peers()
    furnish()
    actions = list(planned((*OF_VENDORS, *OF_SANDBOX), number))
    lay_out(stack.stores(), actions)
    stack.keep_running()
    load = Load(actions)
    load.start()
    started = time.monotonic()
    try:
        struck = _break_things(stack, load, dice, number)
        stack.no_more_faults()
        has_settled = _settle(stack, load)
    finally:
        load.stop()
    stack.end()
    _say(f"{time.monotonic() - started:.0f} s; killed or broken: {_listed(struck)}")
    _say(f"{load.approvals} approvals; what met a fault: {_listed(load.refusals)}")
    verified = stack.start("manage.py", "verify_audit", name="verify_audit").ends(seconds=600)
    found = examine(stack, load)
    _say(f"states: {_listed(found.states)}")
    for line in (*found.waiting, *found.wrong):
        _say(f"  {line}")
    _say(found.table())
    _say(f"verify_audit: {'BROKEN' if verified else 'whole'}")
    return found.is_clean and has_settled and not verified


def _break_things(stack: Stack, load: Load, dice: random.Random, number: int) -> Counter[str]:
    """One blow after every few actions, wherever they are by then; a slow machine gets as many."""
    struck: Counter[str] = Counter()
    told, met, last = time.monotonic(), 0, time.monotonic()
    every = dice.randrange(*BETWEEN)
    while not load.has_proposed_everything:
        load.demand_no_error()
        time.sleep(dice.uniform(0.05, 0.3))
        if len(load.accepted) >= met + every or time.monotonic() > last + AT_LEAST_EVERY:
            struck.update(strike(stack, dice))
            met, last, every = len(load.accepted), time.monotonic(), dice.randrange(*BETWEEN)
        stack.keep_running()
        if time.monotonic() > told + TELL_EVERY:
            told = time.monotonic()
            _say(f"{len(load.accepted)} of {number} proposed, {struck.total()} blows")
    return struck


def _settle(stack: Stack, load: Load) -> bool:
    """Whether nothing was left on its way in the end."""
    end, told = time.monotonic() + SETTLE_SECONDS, 0.0
    while left := load.on_their_way():
        if time.monotonic() > end:
            return False
        if time.monotonic() > told + TELL_EVERY:
            told = time.monotonic()
            _say(f"settling: {_listed(left)}")
        stack.keep_running()
        load.demand_no_error()
        time.sleep(1)
    return True


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{times} {name}" for name, times in counted.most_common()) or "none"


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
