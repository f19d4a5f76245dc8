"""`make test`: the whole suite on SQLite, then the same suite on PostgreSQL and Redis.

Says what it does and, loudly, what it left out and why. With CI set, leaving something out is a
failure. TRIALS says how much of CI's trials and soaks is run: see `tests/trials.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET  # our own pytest wrote what is read here
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests import programs, servers
from tests.trials import FULL, IN_CI, TRIALS

ROOT = Path(__file__).resolve().parent.parent
WORKERS = str(min(max(len(os.sched_getaffinity(0)), 2), 8))


_NOT_HANDED_ON = frozenset(
    {
        *("TEST_DATABASE_URL", "TEST_REDIS_URL", "DJANGO_SETTINGS_MODULE"),
        "PYTHONDONTWRITEBYTECODE",  # the tests start our programs again and again
    }
)


@dataclass(slots=True)
class Totals:
    """What pytest counted, over all runs."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    def add(self, report: Path) -> None:
        """Count one run's JUnit report."""
        if not report.exists():  # pytest stopped before it ran anything
            self.errors += 1
            return
        for suite in ET.parse(report).iter("testsuite"):  # noqa: S314  # our own file
            counts = {n: int(suite.get(n, "0")) for n in ("tests", "failures", "errors", "skipped")}
            self.failed += counts["failures"]
            self.errors += counts["errors"]
            self.skipped += counts["skipped"]
            self.passed += counts["tests"] - sum(
                counts[n] for n in ("failures", "errors", "skipped")
            )

    def line(self, seconds: float) -> str:
        """pytest's own closing words, over all runs."""
        counted = (
            (self.failed, "failed"),
            (self.passed, "passed"),
            (self.skipped, "skipped"),
            (self.errors, "errors"),
        )
        words = ", ".join(f"{count} {name}" for count, name in counted if count) or "no tests ran"
        return f" {words} in {seconds:.2f}s ".center(80, "=")


def main(arguments: list[str]) -> int:
    """Run everything that can run here; 0 when all of it passed (and, in CI, all of it ran)."""
    started = time.monotonic()
    totals = Totals()
    left_out: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that private servers stop too

    if TRIALS < FULL:
        _say(f"TRIALS={TRIALS}: of what is random, {TRIALS} in {FULL} of the trials CI makes")
    if programs.chromium() is None:
        left_out.append("browser tests: no Chromium on this machine")
    with ExitStack() as stack:
        addresses: dict[str, str] = {}
        try:
            database_url, database_from = stack.enter_context(servers.postgres())
            redis_url, redis_from = stack.enter_context(servers.redis_server())
        except servers.NoServer as missing:
            left_out.append(f"everything on PostgreSQL and Redis: {missing}")
        else:
            _say(f"PostgreSQL: {database_from}. Redis: {redis_from}.")
            addresses = {"TEST_DATABASE_URL": database_url, "TEST_REDIS_URL": redis_url}
        # whoever names tests wants them on both
        shared = bool(addresses) and TRIALS < FULL and not arguments
        if shared:
            _say("What is about rows alone runs on one of the two stacks; CI runs it on both")
        left = "not share_of_services" if shared else ""
        good = _suite("SQLite, in-process cache", {}, left, arguments, totals)
        if addresses:
            left = "not once" + (" and not share_of_sqlite" if shared else "")
            good = _suite("PostgreSQL and Redis", addresses, left, arguments, totals) and good

    for what in left_out:
        _say(f"!!! NOT RUN: {what}")
    if left_out and IN_CI:
        _say("CI must run everything: see what was not run above.")
        good = False
    _say(_next_step(good, bool(left_out)))
    _write(totals.line(time.monotonic() - started))
    return 0 if good else 1


def _suite(
    stack: str, addresses: dict[str, str], marks: str, arguments: list[str], totals: Totals
) -> bool:
    """One run of pytest; its environment says which stack it is on."""
    _say(f"The suite on {stack}")
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_HANDED_ON}
    report = ROOT / "var" / f"tests-{'services' if addresses else 'sqlite'}.xml"
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "pytest", "-q", "--durations=20", f"--junitxml={report}"),
        *("-n", WORKERS, "--dist=worksteal"),
    ]
    if marks:
        command += ["-m", marks]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, env=environment | addresses, check=False
    )
    totals.add(report)
    return done.returncode == 0


def _next_step(good: bool, incomplete: bool) -> str:
    if not good:
        return "Something failed. Next: read the first failure above, then run it alone: \
.venv/bin/pytest -n0 PATH::NAME"
    if incomplete:
        return "Everything that could run passed. Next: install what was missing, or make demo"
    return "Everything passed on both stacks. Next: make lint, then make demo"


def _say(text: str) -> None:
    _write(f"==> {text}")


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
