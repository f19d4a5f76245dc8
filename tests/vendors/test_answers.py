"""What each vendor's answers prove, by answers as the vendor documents them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.base import ConnectorError, OutcomeUnknown
from connectors.declared.expressions import Values
from connectors.declared.file import AnswerRule, Meaning
from tests.vendors.catalogue import SUBJECTS, VENDORS, Described
from tests.vendors.conftest import KEY, Bench, Starter, connected

RECORDED = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Recorded:
    """One answer to a write; without an operation it may be that to any."""

    vendor: Described
    status: int
    means: Meaning
    operation: str
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    text: str = ""
    retry_after: int | None = None

    def __str__(self) -> str:
        return f"{self.vendor.name}-{self.operation}-{self.status}-{self.means.value}"

    @property
    def rules(self) -> tuple[AnswerRule, ...]:
        own = self.vendor.operation(self.operation).write.answers
        return (*own, *self.vendor.file.answers.rules)

    @property
    def rule(self) -> AnswerRule | None:
        """The line of the table that it meets; None where it meets none."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.body if self.body is not None else {}
        values = Values({}, status=self.status, headers=headers, body=body)
        return next((one for one in self.rules if one.when.of(values)), None)


def _of(vendor: Described) -> list[Recorded]:
    found = yaml.safe_load((RECORDED / f"{vendor.name}.yaml").read_text())
    usual = vendor.cases[0].operation
    return [
        Recorded(
            vendor,
            **{"operation": usual, **one, "means": Meaning(one["means"])},
        )
        for one in found
    ]


ALL = [one for vendor in VENDORS.values() for one in _of(vendor)]


@pytest.mark.parametrize("recorded", ALL, ids=str)
def test_a_documented_answer_means_what_it_proves(recorded: Recorded, vendor_at: Starter) -> None:
    vendor = recorded.vendor
    running = vendor_at(vendor)
    (subject,) = (
        one for one in SUBJECTS if one.vendor is vendor and one.case.operation == recorded.operation
    )
    subject.case.prepared(running.system)
    connector = connected(vendor, running.url, running.system.credential)
    bench = Bench(subject, running.system, running.url, connector)
    guard = bench.guard()
    body = recorded.text or ("" if recorded.body is None else json.dumps(recorded.body))
    running.system.plan("answer", status=recorded.status, headers=recorded.headers, body=body)

    means, pause = _meaning(bench, guard)

    assert means is recorded.means
    assert pause == (recorded.retry_after and timedelta(seconds=recorded.retry_after))


def _meaning(bench: Bench, guard: str) -> tuple[Meaning, timedelta | None]:
    try:
        receipt = bench.connector.execute(bench.action, idempotency_key=KEY, guard=guard)
    except OutcomeUnknown:
        return Meaning.UNKNOWN, None
    except ConnectorError as error:
        if not error.permanent:
            return Meaning.BUSY, error.retry_after
        return (Meaning.CONFLICT if error.code == "conflict" else Meaning.REFUSED), None
    return (Meaning.ALREADY_SO if receipt.reference == "already so" else Meaning.DONE), None


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_every_line_of_the_tables_has_a_documented_answer(vendor: Described) -> None:
    own = [rule for one in vendor.file.operations for rule in one.write.answers]
    lines = {rule.when.text for rule in (*own, *vendor.file.answers.rules)}

    met = {one.rule.when.text for one in ALL if one.vendor is vendor and one.rule is not None}

    assert lines - met == set()
