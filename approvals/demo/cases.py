"""The scripted agents' cases, read from cases.yaml.

Keys and sessions are fixed, so a restart finds the cases again and opens none twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One proposal, and the state it stands in a minute later."""

    key: str
    agent: str
    title: str
    becomes: str
    body: dict[str, Any]
    decide_within_seconds: int = 0  # for the case that is left to expire
    after: str = ""  # the key of the case that must have been rejected first

    def message(self) -> dict[str, Any]:
        """The body as it is sent; a time limit is counted from now."""
        body = {**self.body, "session": self.key}
        if self.decide_within_seconds:
            limit = timedelta(seconds=self.decide_within_seconds)
            body["decide_by"] = (datetime.now(UTC) + limit).isoformat()
        return body


CASES: tuple[Case, ...] = tuple(
    Case(**case) for case in yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())
)
