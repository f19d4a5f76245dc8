"""One thing a static check has to say about a document."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from audit.lib.canonical import JsonObject


class Severity(StrEnum):
    """How much it matters: an error stops saving and publishing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, where, and what to do about it."""

    severity: Severity
    code: str  # stable
    what: str  # "rule refund-clean", "tier 3 for refund.*"
    sentence: str
    line: int = 0  # of the document, counted from 1; 0 when it is about no line

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line else ""
        return f"{self.severity}: {self.what}{where}: {self.sentence}"

    def as_json(self) -> JsonObject:
        return {
            "severity": self.severity.value,
            "code": self.code,
            "what": self.what,
            "sentence": self.sentence,
            "line": self.line,
        }
