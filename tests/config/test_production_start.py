"""README's production block, run as it is written, becomes a running system with people in it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.database import APPLICATION, OWNER, as_application
from tests.faults.broker import Broker
from tests.faults.processes import ROOT, free_port, until
from tests.upgrades.make import own_database

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.redis]

HOST = "approvals.company.example"


def block() -> list[str]:
    """The commands of the section's first shell block, comments and all."""
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("## Running it on PostgreSQL and Redis") :]
    found = re.search(r"```sh\n(.+?)```", section, re.DOTALL)
    assert found
    return found[1].splitlines()


def checkout(folder: Path) -> Path:
    """What a clone has, at an address of its own: its var/ is not the developer's."""
    for entry in ROOT.iterdir():
        if entry.name not in {"var", ".git"}:
            (folder / entry.name).symlink_to(entry)
    return folder


def filled_in(text: str, values: dict[str, str]) -> str:
    """The copied file with values in its first part, and nothing else touched."""
    for name, value in values.items():
        text, count = re.subn(rf"(?m)^{name}=.*$", f"{name}={value}", text)
        assert count == 1, name
    return text


@pytest.mark.usefixtures("database_roles")
def test_the_production_block_starts(tmp_path: Path) -> None:
    copy, edit, up, people = block()
    assert up.split("#")[0].split() == ["make", "up"]
    assert "\t@exec $(PY) manage.py up\n" in (ROOT / "Makefile").read_text()
    folder, port = checkout(tmp_path), free_port()
    shell = {"PATH": os.environ["PATH"], "COUNTERSIGN_VAR": str(folder / "var")}
    server, _, _ = os.environ["TEST_DATABASE_URL"].rpartition("/")
    broker = Broker(tmp_path / "redis")
    with own_database(server) as database, ExitStack() as stack:
        stack.callback(broker.kill)
        file = folder / "var" / "countersign.env"
        values = {
            "DATABASE_URL": as_application(database),
            "BROKER_URL": broker.url,
            "SECRET_KEY": "Zq8-3kV_ruXw1LmN0pTtYbC7dEhGjS5aQ2sWx4zR6vK9yUoI",
            "AUDIT_KEY": "m4Rt-XhP2_sLq9WcVb7nYk1JdG6fTz0EaU8oQiS3pCxN5wKy",
            "ALLOWED_HOSTS": HOST,
            "BASE_URL": f"https://{HOST}",
        }

        subprocess.run(copy, shell=True, cwd=folder, env=shell, check=True)  # noqa: S602
        assert file.stat().st_mode & 0o777 == 0o600
        assert edit.split("#")[0].split()[-1] == "var/countersign.env"
        file.write_text(filled_in(file.read_text(), values))
        for command in ("migrate", f"harden_database --execute --owner {OWNER} "
                        f"--application {APPLICATION}"):  # fmt: skip
            subprocess.run(
                [folder / ".venv/bin/python", "manage.py", *command.split()],
                cwd=folder, env={**shell, "DATABASE_OWNER_URL": database}, check=True,
            )  # fmt: skip
        with _up(folder, {**shell, "PORT": str(port)}, tmp_path / "up.log") as log:
            _answers(port)
            told = subprocess.run(
                [*shlex.split(people), "--print-links"],
                cwd=folder, env=shell, capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip

    assert "Traceback" not in log.read_text(), log.read_text()
    assert re.search(rf"petra: https://{HOST}/password/\?account=\d+&token=\S+", told)
    assert "paul: https://" in told


@contextmanager
def _up(folder: Path, environment: dict[str, str], log: Path) -> Iterator[Path]:
    """`make up`'s command, with nothing of this process's environment."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [folder / ".venv/bin/python", "manage.py", "up"],
            cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        until(
            "Countersign is up",
            lambda: "Countersign is up" in log.read_text() or process.poll() is not None,
            seconds=150,
        )
        assert process.poll() is None, log.read_text()
        yield log
    finally:
        process.terminate()
        status = process.wait(60)
    assert status == 0, log.read_text()[-3000:]


def _answers(port: int) -> None:
    """Ready by address, and the sign-in page by name behind the proxy."""
    address = f"http://127.0.0.1:{port}"
    with httpx.Client(trust_env=False, base_url=address) as http:
        until("ready", lambda: http.get("/readyz").status_code == 200, seconds=60)
        behind_proxy = {"Host": HOST, "X-Forwarded-Proto": "https"}
        page = http.get("/admin/login/", headers=behind_proxy)
        assert page.status_code == 200
        assert "Countersign" in page.text
        assert "csrftoken" in page.cookies
