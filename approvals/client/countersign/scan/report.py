"""What a run found, and what it could not see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

ALWAYS_UNSEEN = (
    "what other programs do with the credentials this agent can read",
    "libraries' own code, and code that is fetched or written while the agent runs",
    "tools a provider's service carries out by itself (hosted search, code, browsers)",
    "whether a call found here is ever made, and with what",
)
"""No reading of files can see these."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Draft:
    """The action type a finding could become, as an operation of a system's file (YAML)."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that acts without asking; `reason` is why somebody wants it so."""

    place: Place
    what: str
    does: str
    tool: str
    """The tool it is reached from; empty where no tool is known to lead to it."""
    draft: Draft
    reason: str = ""


@dataclass(slots=True)
class Report:
    """All of a run. `findings` are in the order of their places."""

    findings: list[Finding] = field(default_factory=list)
    suppressed: list[Finding] = field(default_factory=list)
    gated: list[str] = field(default_factory=list)
    """Tools and functions that go through Countersign."""
    harmless: list[str] = field(default_factory=list)
    """Tools in which nothing with consequences was seen."""
    files: int = 0
    unseen: dict[str, list[str]] = field(default_factory=dict)
    """What could not be seen, and where."""

    def unsee(self, what: str, where: str) -> None:
        """Note something that could not be seen."""
        self.unseen.setdefault(what, []).append(where)

    def as_json(self) -> str:
        """For machines: findings, suppressed, gated, harmless, files, unseen, always_unseen."""
        told: dict[str, Any] = asdict(self) | {"always_unseen": ALWAYS_UNSEEN}
        return json.dumps(told, indent=2, sort_keys=True)

    def lines(self) -> Iterator[str]:
        """For people."""
        for finding in self.findings:
            via = f", reached from the tool {finding.tool}" if finding.tool else ""
            yield f"{finding.place}: {finding.what} {finding.does}{via}."
            yield f"    could be the action type {finding.draft.key}"
        if self.findings:
            yield ""
        yield (
            f"{len(self.findings)} without approval, {len(self.suppressed)} suppressed, "
            f"{len(self.gated)} through Countersign; tools in which nothing with consequences was "
            f"seen: {len(self.harmless)}; files read: {self.files}."
        )
        for finding in self.suppressed:
            yield f"  suppressed: {finding.place}: {finding.what}: {finding.reason}"
        yield ""
        yield "What this run could not see:"
        for what, places in sorted(self.unseen.items()):
            more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
            yield f"  - {what}: {', '.join(places[:_SHOWN])}{more}"
        for what in ALWAYS_UNSEEN:
            yield f"  - {what}"


_SHOWN = 5
