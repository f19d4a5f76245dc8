"""The demo's retailer: who works there, what they may approve, its agents and their cases.

The scripted agents' cases are read from cases.yaml. Keys and sessions are fixed, so a restart finds
the cases again and opens none twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

PASSWORD = "countersign-demo"  # noqa: S105 - printed on purpose; demo systems bind to loopback


@dataclass(frozen=True, slots=True)
class Person:
    """One account of the demo."""

    username: str
    first_name: str
    last_name: str
    groups: tuple[str, ...]
    limit: str = ""  # largest single approval in EUR, as a decimal string; empty: the group's


@dataclass(frozen=True, slots=True)
class DemoAgent:
    """One agent of the demo."""

    name: str
    owner: str
    team: str
    model: str
    action_types: tuple[str, ...]
    ceiling: str = ""  # EUR


@dataclass(frozen=True, slots=True)
class DemoDraft:
    """A change of the policy in force somebody has begun."""

    author: str
    before: str
    after: str
    reason: str
    shadow_reason: str


DRAFT = DemoDraft(
    "rita",
    "refund_automatic: 25000",
    "refund_automatic: 40000",
    "Clean refunds up to 400.00 EUR run by themselves; finance keeps the unusual ones.",
    "See for a week what it would have let through.",
)


@dataclass(frozen=True, slots=True)
class DemoTeam:
    """A team of the retailer, and the targets it answers for."""

    code: str
    name: str
    escalates_to: str
    hours: str
    system: str
    target: str


TEAMS = (
    DemoTeam(
        "dispatch", "Dispatch", "operations", "Mon-Sun 00:00-23:59", "logistics", "shipment *"
    ),
)

PEOPLE = (
    Person("fiona", "Fiona", "Finance", ("finance",)),
    Person("felix", "Felix", "Finance", ("finance",)),
    Person("sven", "Sven", "Security", ("security",)),
    Person("sara", "Sara", "Security", ("security",)),
    Person("susi", "Susi", "Support", ("support",)),
    Person("sam", "Sam", "Support", ("support",)),
    Person("omar", "Omar", "Operations", ("operations",)),
    Person("olive", "Olive", "Operations", ("operations",)),
    Person("dora", "Dora", "Dispatcher", ("dispatch",)),
    Person("lea", "Lea", "Legal", ("legal",)),
    Person("mona", "Mona", "Manager", ("manager",), limit="1000.00"),
    # the one person who may use break-glass
    Person("max", "Max", "Director", ("manager", "break-glass"), limit="20000.00"),
    Person("erik", "Erik", "Executive", ("executive",), limit="100000.00"),
    Person("rita", "Rita", "Riskowner", ("risk owner",)),
    Person("rolf", "Rolf", "Riskowner", ("risk owner",)),
    # owns the refund agent and works in finance: the page tells her why she may not decide on it
    Person("olga", "Olga", "Owner", ("agent owner", "finance")),
    Person("anton", "Anton", "Owner", ("agent owner",)),
    Person("petra", "Petra", "Opsadmin", ("ops admin",)),
    Person("paul", "Paul", "Opsadmin", ("ops admin",)),
    Person("ada", "Ada", "Auditor", ("auditor",)),
)

GROUP_LIMITS = {"finance": "500.00", "manager": "1000.00"}

AGENTS = (
    DemoAgent(
        "refund-bot",
        "olga",
        "support",
        "support-llm 2026-09",
        ("refund.issue", "email.send", "draft.reply"),
        ceiling="5000.00",
    ),
    DemoAgent("sales-bot", "anton", "support", "sales-llm 2026-07", ("crm.update", "crm.tag")),
    DemoAgent(
        "invoice-bot",
        "anton",
        "finance",
        "invoice-llm 3.1",
        ("vendor.pay", "vendor.bank_account"),
        ceiling="50000.00",
    ),
    DemoAgent(
        "platform-bot",
        "anton",
        "security",
        "platform-llm 1.8",
        ("access.grant", "access.revoke", "config.change"),
    ),
    DemoAgent(
        "warehouse-bot",
        "anton",
        "operations",
        "logistics-llm 2.0",
        ("order.correct", "shipment.report", "shipment.reroute", "robot.run"),
    ),
)

RATES = {"USD": "0.9215", "GBP": "1.1740", "CHF": "1.0630", "JPY": "0.006120"}
"""Fictitious euros for one unit of each."""


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
