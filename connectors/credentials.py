"""Credentials of connections: looked up where they are kept, never stored and never shown.

Only variables made for it and files in one folder are read. Otherwise two ops admins could name
the key of the trail as the credential of a system of their own.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from django.conf import settings

from connectors.models import CredentialSource

VARIABLE = re.compile(r"\ACREDENTIAL_[A-Z0-9_]{1,80}\Z", re.ASCII)
FILE = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9._-]{0,80}\Z", re.ASCII)
_LONGEST = 16 * 1024  # bytes of a file


class CredentialMissing(Exception):
    """The credential cannot be read now. The sentence names where it was looked for, not it."""


def why_unusable(source: str, name: str) -> str:
    """What is wrong with that name of a credential, in a sentence; empty when nothing is.

    Whether there is such a variable or file now is not asked: they come and go.
    """
    if source == CredentialSource.NONE:
        return "Say where the credential is, or leave the name empty." if name else ""
    if source == CredentialSource.ENVIRONMENT:
        if VARIABLE.match(name):
            return ""
        return "Name an environment variable that begins with CREDENTIAL_, in capitals."
    if not settings.CREDENTIALS_DIR:
        return "There is no folder of credentials here: set CREDENTIALS_DIR first."
    if not FILE.match(name) or ".." in name:
        return "Name a file in the folder of credentials: no path, only letters, digits and ._-"
    return ""


def read_credential(source: str, name: str) -> str:
    """The secret as it is kept now, without spaces around it; "" where none is needed.

    Raises CredentialMissing.
    """
    if source == CredentialSource.NONE:
        return ""
    if problem := why_unusable(source, name):
        raise CredentialMissing(problem)
    is_variable = source == CredentialSource.ENVIRONMENT
    found = os.environ.get(name, "") if is_variable else _in_folder(name)
    if not found.strip():
        where = "variable" if is_variable else "file"
        raise CredentialMissing(f"The {where} {name} holds no credential.")
    return found.strip()


def credential_for_reading(source: str, name: str) -> str:
    """Its twin that may only read, `CREDENTIAL_EU_READ` or the file `eu.read`; "" without one."""
    twin = f"{name}_READ" if source == CredentialSource.ENVIRONMENT else f"{name}.read"
    try:
        return read_credential(source, twin) if name else ""
    except CredentialMissing:
        return ""


def _in_folder(name: str) -> str:
    """Links are followed inside the folder, as mounted secrets have them, and not out of it."""
    try:
        folder = Path(settings.CREDENTIALS_DIR).resolve(strict=True)
        file = (folder / name).resolve(strict=True)
        if not file.is_relative_to(folder) or not file.is_file():
            raise CredentialMissing(f"The file {name} is not in the folder of credentials.")
        with file.open("rb") as opened:
            return opened.read(_LONGEST).decode()
    except (OSError, ValueError, RuntimeError) as error:
        raise CredentialMissing(
            f"The file {name} cannot be read ({type(error).__name__})."
        ) from None
