"""Where this machine keeps the programs that some tests need."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """The system's Chromium, whatever its packagers call it."""
    return next((path for name in _CHROMIUM if (path := shutil.which(name))), None)


def redis_server() -> str | None:
    """The Redis server program."""
    return shutil.which("redis-server")


def postgres_folder() -> Path | None:
    """The folder with `initdb` and `postgres`: Debian keeps them off PATH."""
    if (initdb := shutil.which("initdb")) and shutil.which("postgres"):
        return Path(initdb).parent
    packaged = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: int(path.parts[-3]) if path.parts[-3].isdecimal() else 0,
    )
    return packaged[-1].parent if packaged else None


def slapd() -> str | None:
    """OpenLDAP's server: Debian keeps it off people's PATH."""
    return shutil.which("slapd") or shutil.which("slapd", path="/usr/sbin:/usr/libexec")


def mariadb() -> tuple[str, str] | None:
    """MariaDB's server, and what makes a folder of data for it."""
    server = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    install = shutil.which("mariadb-install-db")
    return (server, install) if server and install else None


def dovecot() -> str | None:
    """The IMAP server, with what serves IMAP."""
    return shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin")


def of_environment(name: str) -> str | None:
    """A program that came with a Python package."""
    program = Path(sys.executable).parent / name
    return str(program) if program.exists() else None
