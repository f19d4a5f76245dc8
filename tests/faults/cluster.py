"""A PostgreSQL server that may be restarted and crashed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests import programs
from tests.faults.processes import free_port, until


@dataclass
class Cluster:
    """A server of our own in a folder of its own. PostgreSQL refuses to run as root."""

    bin: Path
    folder: Path
    port: int

    @classmethod
    def in_temporary_folder(cls) -> Cluster:
        """Create one and start it; `remove` ends it. Needs PostgreSQL's initdb."""
        found = programs.postgres_folder()
        assert found is not None, "needs PostgreSQL's initdb"
        # not among pytest's folders: those are closed to the user the server runs as
        made = cls(found, Path(tempfile.mkdtemp(prefix="faults-pg-")), free_port())
        try:
            if os.geteuid() == 0:
                shutil.chown(made.folder, "postgres")
            made._run("initdb", "--no-sync", "--auth", "trust", "--username", "root")
            made.start()
        except BaseException:
            shutil.rmtree(made.folder, ignore_errors=True)
            raise
        return made

    def copy(self) -> Cluster:
        """Another one with the same databases; neither runs."""
        folder = Path(tempfile.mkdtemp(prefix="faults-pg-"))
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        subprocess.run(
            [*self._become(), "cp", "-r", str(self.folder / "data"), str(folder)],
            check=True, cwd="/",
        )  # fmt: skip
        return Cluster(self.bin, folder, free_port())

    @property
    def url(self) -> str:
        return f"postgresql://root@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "--wait", "--log", log, "--options", f"{options} -F")

    def stop(self) -> None:
        """As an administrator does: every session is ended, nothing committed is lost."""
        self._run("pg_ctl", "stop", "--mode", "fast")

    def crash(self) -> None:
        """As a power cut would: no checkpoint, every session gone."""
        self._run("pg_ctl", "stop", "--mode", "immediate")

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def sessions(self) -> set[int]:
        """The server's processes that serve others than the caller."""
        with psycopg.connect(self.url, autocommit=True) as admin:
            found = admin.execute(
                "SELECT pid FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            return {pid for (pid,) in found}

    def end_sessions(self) -> None:
        """Hang up on everybody, as a firewall or an impatient administrator does."""
        ended = self.sessions()
        with psycopg.connect(self.url, autocommit=True) as admin:
            for pid in ended:
                admin.execute("SELECT pg_terminate_backend(%s)", [pid])
        until("they are gone", lambda: not ended & self.sessions())

    def remove(self) -> None:
        """End it, however it stands, and leave nothing behind."""
        try:
            if (self.folder / "data" / "postmaster.pid").exists():
                self.crash()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *options: str) -> None:
        subprocess.run(
            [
                *self._become(),
                *(str(self.bin / program), "--pgdata", str(self.folder / "data"), *options),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )

    @staticmethod
    def _become() -> list[str]:
        if os.geteuid() != 0:
            return []
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
