"""`manage.py` in processes forked from one that has our libraries imported: half of a start.

Nothing of ours is imported there, and no settings are read: that happens in each fork, in the
environment it is given, as in a process started from a shell.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path

from tests.config.production import PRODUCTION

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 120

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        *("django.core.management", "django.db.models", "django.contrib.auth.hashers", "psycopg"),
        *("celery.app", "redis.asyncio", "requests", "sqlalchemy", "rest_framework.serializers"),
        *("structlog", "environs", "whitenoise", "httpx", "jsonschema", "emoji"),
    ]
)


def manage(
    *arguments: str, folder: Path, changes: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command of `manage.py` with production's settings and these changes, to its end."""
    environment = {"PATH": os.environ["PATH"], "COUNTERSIGN_VAR": str(folder)}
    environment |= PRODUCTION | changes
    said = [folder / "stdout", folder / "stderr"]
    program = ["manage.py", *arguments]
    process = _forks.Process(target=_become, args=(program, environment, said))
    process.start()
    process.join(_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise subprocess.TimeoutExpired(program, _SECONDS)
    stdout, stderr = (file.read_text() for file in said)
    return subprocess.CompletedProcess(program, process.exitcode, stdout, stderr)


def _become(program: list[str], environment: dict[str, str], said: list[Path]) -> None:
    for number, file in enumerate(said, start=1):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    sys.argv = program
    runpy.run_path(program[0], run_name="__main__")
