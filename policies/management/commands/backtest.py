"""`manage.py backtest FILE`: a draft policy over past requests; exit 0, or 1 when it is broken."""

from __future__ import annotations

import heapq
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit.lib.canonical import canonical
from audit.lib.money import Money
from policies.document import Document
from policies.parsing.parser import parse_document
from policies.parsing.yaml_source import DocumentError
from policies.replay.backtest import Flip, Replay
from policies.replay.summary import FlipCount, Summary
from policies.services.backtests import MOST_CASES, past_cases
from policies.services.publishable import check_document, document_in_force
from policies.static_analysis.findings import Finding

LARGEST = 10
"""How many of the largest flips are shown."""


class Command(BaseCommand):
    help = "Replay past requests against a policy document: what would have changed, which way."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="A policy document (YAML).")
        parser.add_argument(
            "--limit", type=int, default=MOST_CASES, help="The newest N requests (default 100000)."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, file: Path, limit: int, json: bool, **options: Any) -> None:
        if limit < 1:
            raise CommandError("--limit must be at least 1.", returncode=2)
        document, text = _read(file)
        findings = check_document(document, document_in_force(), text=text)
        began = time.perf_counter()
        summary, largest = _replayed(document, limit)
        seconds = time.perf_counter() - began
        if json:
            self.stdout.write(_as_json(summary, findings))
            return
        for line in _lines(summary, largest, findings, seconds):
            self.stdout.write(line)


def _read(file: Path) -> tuple[Document, str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}", returncode=2) from error
    try:
        return parse_document(text), text
    except DocumentError as error:
        raise CommandError(f"{file} is not a policy.\n{error}") from error


def _replayed(document: Document, limit: int) -> tuple[Summary, list[Flip]]:
    past = past_cases()
    replay = Replay(document, past=past, base_currency=settings.BASE_CURRENCY)
    largest: list[Flip] = []
    for batch in past.newest(limit):
        largest = heapq.nlargest(LARGEST, [*largest, *replay.over(batch)], key=_size)
    return replay.finished(), largest


def _size(flip: Flip) -> int:
    return flip.amount_base or 0


def _as_json(summary: Summary, findings: tuple[Finding, ...]) -> str:
    found = [finding.as_json() for finding in findings]
    return f'{{"findings":{canonical(found)},"replay":{summary.as_json()}}}'


def _lines(
    summary: Summary, largest: list[Flip], findings: tuple[Finding, ...], seconds: float
) -> list[str]:
    flips = summary.flips
    lines = [
        f"{summary.total:,} requests replayed in {seconds:.1f} s, {flips.count:,} would differ.",
        f"  fewer people asked: {_shown(flips.looser)}",
        f"  more people asked: {_shown(flips.stricter)}",
        f"  other people asked: {_shown(flips.rerouted)}",
        f"  newly automatic: {_shown(summary.newly_automatic)}",
        f"  no longer automatic: {_shown(summary.no_longer_automatic)}",
    ]
    for title, groups in (
        ("By agent", summary.by_agent),
        ("By action type", summary.by_action_type),
    ):
        if groups:
            lines.append(f"{title}:")
        for name, found in sorted(groups.items(), key=lambda item: -item[1].count):
            lines.append(
                f"  {name or '(none)'}: {found.looser.count:,} fewer, {found.stricter.count:,} "
                f"more, {found.rerouted.count:,} other people asked"
            )
    if largest:
        lines.append("Largest:")
    lines += [f"  {_one(flip)}" for flip in largest]
    if summary.never_matched:
        lines.append(f"Rules that matched none: {', '.join(summary.never_matched)}")
    if summary.failed_closed:
        lines.append(f"Policy could not tell, so people would: {summary.failed_closed:,} requests")
    if findings:
        lines.append("Findings:")
    lines += [f"  {finding}" for finding in findings]
    return lines


def _shown(flip_count: FlipCount) -> str:
    return f"{flip_count.count:,} ({Money(flip_count.amount_base, settings.BASE_CURRENCY)})"


def _one(flip: Flip) -> str:
    amount = "" if flip.amount_minor is None else f", {Money(flip.amount_minor, flip.currency)}"
    before, after = flip.before, flip.after
    return (
        f"{flip.subject_id} {flip.action_type}{amount}: {before.verdict} "
        f"({', '.join(before.asked) or 'nobody'}) to {after.verdict} "
        f"({', '.join(after.asked) or 'nobody'})"
    )
