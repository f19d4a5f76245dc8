"""Settings that cannot be used are refused in one sentence, whichever way one starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.config.production import PRODUCTION
from tests.config.starts import manage
from tests.trials import trials

pytestmark = [pytest.mark.slow, pytest.mark.once]

ROOT = Path(__file__).resolve().parents[2]
WAYS_TO_START = {
    "command": ("manage.py", "sweep"),
    "web": ("-m", "gunicorn", "-c", "python:config.web_server", "config.wsgi"),
    "worker": ("-m", "celery", "-A", "config", "worker"),
    "beat": ("-m", "celery", "-A", "config", "beat"),
}


def start(way: str, folder: Path, changes: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Start it with production's settings and these changes; it must end by itself."""
    return subprocess.run(
        [sys.executable, *WAYS_TO_START[way]],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "COUNTERSIGN_VAR": str(folder), **PRODUCTION, **changes},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("variable", "value", "fix"),
    [
        ("PORT", "eight", "correct it or leave it out"),
        ("PORT", "99999", "PORT=8000"),
        ("DEBUG", "maybe", "correct it or leave it out"),
        ("DATABASE_URL", "nonsense", "correct it or leave it out"),
        ("DATABASE_URL", "postgresql://u:p@host:port/x", "correct it or leave it out"),
        ("BROKER_URL", "nonsense", "redis://"),
        ("EMAIL_URL", "nonsense", "smtp://"),
        ("EMAIL_URL", "smtp://", "smtp://user:password@mail:587"),
        ("TIME_ZONE", "Mars/Olympus", "Europe/Berlin"),
        ("LOG_LEVEL", "loud", "INFO"),
        ("AGENT_RATE", "much", "600/min"),
        ("SWEEP_SECONDS", "0", "0.1"),
        ("EXECUTION_LEASE_SECONDS", "long", "correct it or leave it out"),
        ("SECRET_KEY", "short", "32 random characters"),
    ],
)
def test_a_value_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, variable: str, value: str, fix: str
) -> None:
    ended = manage("sweep", folder=tmp_path, changes={variable: value})

    assert ended.returncode == 1
    (sentence,) = ended.stderr.strip().splitlines()
    assert sentence.startswith("Countersign does not start. ")
    assert variable in sentence
    assert fix in sentence


UNUSABLE = (
    ({"PORT": "eight"}, "PORT is not a valid integer"),
    ({"PAYMENTS_URL": "http://payments.acme.net"}, "PAYMENTS_URL begins with http://"),
    ({"DEBUG": "1"}, "DEBUG is on beside PostgreSQL"),
    ({"PAYMENTS_API_KEY": ""}, "PAYMENTS_API_KEY is empty although"),
)


@pytest.mark.parametrize(
    ("way", "changes", "sentence"),
    [
        (way, *mistake)
        for row, way in enumerate(WAYS_TO_START)
        for column, mistake in enumerate(UNUSABLE)
        if (column - row) % len(UNUSABLE) < trials(len(UNUSABLE))  # each way and each mistake
    ],
)
def test_every_way_to_start_refuses(
    tmp_path: Path, way: str, changes: dict[str, str], sentence: str
) -> None:
    ended = start(way, tmp_path, changes)

    assert ended.returncode != 0
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_the_web_does_not_start_without_its_styles(tmp_path: Path) -> None:
    ended = start("web", tmp_path, {})

    assert ended.returncode != 0
    assert "Styles and scripts are not collected" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
