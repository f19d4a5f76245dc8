"""The newest event, remembered outside the database: how a restored backup is noticed.

A backup that is put back carries the same first event and lacks the newest ones. A new database
has another first event, or none: nothing is remembered of it.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

from audit.models import AuditEvent

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Remembered:
    """One event by its id and its MAC, which no other event ever has."""

    id: int
    mac: str


def lost_event() -> Remembered | None:
    """The event remembered outside that the database lacks: it is older than it once was.

    None when it has it, and when nothing is remembered.
    """
    remembered = _read().get(_installation())
    if remembered is None:
        return None
    known = AuditEvent.objects.filter(pk=remembered.id, mac=remembered.mac).exists()
    return None if known else remembered


def remember_newest(*, also_older: bool = False) -> None:
    """Remember the newest event outside.

    One that is older than what is remembered is so only `also_older`: once people know.
    """
    row = AuditEvent.objects.order_by("-id").values_list("id", "mac").first()
    if row is None:
        return
    newest, known, installation = Remembered(*row), _read(), _installation()
    before = known.get(installation)
    if before == newest or (before and before.id > newest.id and not also_older):
        return
    _write({**known, installation: newest})


def _installation() -> str:
    """The MAC of the first event: the same in every backup of this database, and in no other."""
    first = AuditEvent.objects.order_by("id").values_list("mac", flat=True).first()
    return first or ""


def _read() -> dict[str, Remembered]:
    try:
        stored = json.loads(_file().read_text())
        return {name: Remembered(int(row["id"]), str(row["mac"])) for name, row in stored.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as problem:
        logger.warning("newest event unreadable outside", extra={"problem": str(problem)})
        return {}


def _write(known: dict[str, Remembered]) -> None:
    """In one step: whoever reads meanwhile reads the old file or the new one."""
    file = _file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
            json.dump({name: asdict(row) for name, row in known.items()}, new)
        os.replace(new.name, file)
    except OSError as problem:
        # a disk that is full must not stop the work; a restore is then noticed by people only
        logger.warning("newest event not remembered outside", extra={"problem": str(problem)})


def _file() -> Path:
    return Path(settings.NEWEST_EVENT_FILE)
