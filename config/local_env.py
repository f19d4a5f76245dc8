"""`python -m config.local_env`: gives an installation on one machine its own random keys, once.

They stay in var/countersign.env: a second run changes nothing, because new keys would end every
session and make the trail unverifiable.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from config.env import VAR_DIR

FILE_NAME = "countersign.env"


def write_local_env(var_dir: Path) -> Path | None:
    """Write the file with mode 0600, whole or not at all; None when there is one already."""
    var_dir.mkdir(parents=True, exist_ok=True)
    var_dir.chmod(0o700)  # databases, mail and keys of this installation
    path = var_dir / FILE_NAME
    draft = var_dir / f"{FILE_NAME}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(_values())
            file.flush()
            os.fsync(file.fileno())
        os.link(
            draft, path
        )  # fails when the file exists: two first starts agree on one set of keys
    except FileExistsError:
        return None
    finally:
        draft.unlink()
    return path


def _values() -> str:
    return (
        "# Written once for this machine. The real environment wins over it.\n"
        "# Losing AUDIT_KEY makes the trail written so far unverifiable.\n"
        f"SECRET_KEY={secrets.token_urlsafe(48)}\n"
        f"AUDIT_KEY={secrets.token_urlsafe(48)}\n"
        f"CREDENTIALS_KEY={secrets.token_urlsafe(48)}\n"
        "DEBUG=0\n"
        "DEMO=1\n"
        "LOG_LEVEL=WARNING\n"
        f"EMAIL_URL=file:///{(VAR_DIR / 'notices').resolve()}\n"  # a file per mail
    )


if __name__ == "__main__":
    written = write_local_env(VAR_DIR)
    sys.stdout.write(f"Keys written to {written}.\n" if written else "Keys are there already.\n")
