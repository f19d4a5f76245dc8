"""The keys of one machine are written once."""

from __future__ import annotations

import stat
from pathlib import Path

from config.local_env import write_local_env


def test_keys_are_random_private_and_never_replaced(tmp_path: Path) -> None:
    one, other = write_local_env(tmp_path / "one"), write_local_env(tmp_path / "other")
    assert one is not None
    assert other is not None
    first = one.read_text()

    again = write_local_env(tmp_path / "one")

    assert again is None
    assert one.read_text() == first != other.read_text()
    assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert [path.name for path in one.parent.iterdir()] == ["countersign.env"]


def test_the_two_keys_differ(tmp_path: Path) -> None:
    written = write_local_env(tmp_path)
    assert written is not None

    values = dict(line.split("=", 1) for line in written.read_text().splitlines() if "=" in line)

    assert len(values["SECRET_KEY"]) >= 48
    assert values["SECRET_KEY"] != values["AUDIT_KEY"]
