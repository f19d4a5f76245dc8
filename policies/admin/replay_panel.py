"""A replay and a shadow in the words and bars a risk owner needs: how many, how much, which way.

Their rows lead to the records of requests, for readers who may open them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format

from audit.lib import db_clock
from audit.lib.money import Money
from policies.models import Backtest, PolicyVersion, ShadowVerdict
from policies.models.replays import BacktestStatus, Direction
from policies.replay.summary import Directed, FlipCount, Summary
from policies.services.publishable import in_force
from policies.services.shadow import ShadowDay, divergence

_MOST_BARS = 12
FLIPS = (Direction.LOOSER, Direction.STRICTER, Direction.REROUTED)


@dataclass(frozen=True, slots=True)
class Piece:
    """One coloured part of a bar."""

    kind: str
    width: str  # per cent of the longest bar, as CSS takes it
    title: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a chart."""

    name: str
    query: str  # what the list of flips is filtered by
    pieces: tuple[Piece, ...]
    count: str
    amount: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of one kind; `left_out` says how many more there are."""

    title: str
    bars: tuple[Bar, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPanel:
    """One replay, as far as it has come."""

    replay: Backtest
    address: str
    progress_address: str
    percent: int
    is_running: bool
    is_done: bool
    is_of_this_text: bool
    is_against_current: bool
    sentence: str = ""
    notes: tuple[str, ...] = ()
    never_matched: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether it says anything about publishing the version now."""
        return self.is_done and self.is_of_this_text and self.is_against_current


def newest_panel(version: PolicyVersion) -> ReplayPanel | None:
    """The newest replay of the version, whichever text it was of."""
    replay = version.backtests.select_related("against", "requested_by").order_by("-id").first()
    return panel(replay, version) if replay else None


def panel(replay: Backtest, version: PolicyVersion) -> ReplayPanel:
    """Everything about one replay."""
    current = in_force(version.kind)
    is_done = replay.status == BacktestStatus.DONE
    summary = Summary.from_json(replay.summary) if is_done and replay.summary else None
    return ReplayPanel(
        replay=replay,
        address=reverse("admin:policies_backtest_change", args=[replay.pk]),
        progress_address=reverse("admin:policies_backtest_progress", args=[replay.pk]),
        percent=percent(replay),
        is_running=replay.status in (BacktestStatus.WAITING, BacktestStatus.RUNNING),
        is_done=is_done,
        is_of_this_text=replay.digest == version.digest,
        is_against_current=replay.against_id == (current.pk if current else None),
        sentence=sentence(summary) if summary else "",
        notes=_notes(summary) if summary else (),
        never_matched=summary.never_matched if summary and summary.total else (),
        charts=_charts(summary) if summary else (),
    )


def percent(replay: Backtest) -> int:
    """How far it has come, 0 to 100."""
    if replay.status == BacktestStatus.DONE:
        return 100
    return min(99, replay.done * 100 // replay.total) if replay.total else 0


def sentence(summary: Summary) -> str:
    """What would have changed, in one sentence."""
    total = summary.total
    if not total:
        return "There are no past requests to replay yet."
    if not summary.flips.count:
        if total == 1:
            return "The one past request would have been answered the same."
        return f"All {total:,} past requests would have been answered the same."
    free, bound = summary.newly_automatic, summary.no_longer_automatic
    request = "past request" if total == 1 else "past requests"
    if not free.count and not bound.count:
        return (
            f"Of {total:,} {request} none would have gone through automatically that did not, or "
            f"the other way round; {summary.flips.count:,} would have met other people or tiers."
        )
    said = f"Of {total:,} {request} {_none(free.count)} would have gone through automatically"
    if free.count and free.unpriced < free.count:
        said += f", {money(free.amount_base)} in all"
    return f"{said}; {_none(bound.count)} would have needed people."


def money(minor: int) -> str:
    """An amount of the base currency."""
    return str(Money(minor, settings.BASE_CURRENCY))


def amount_of(flip_count: FlipCount) -> str:
    """A tally's sum; empty when none of it has an amount."""
    return money(flip_count.amount_base) if flip_count.unpriced < flip_count.count else ""


def _none(count: int) -> str:
    return f"{count:,}" if count else "none"


def _notes(summary: Summary) -> tuple[str, ...]:
    notes = []
    unpriced = summary.newly_automatic.unpriced
    if unpriced:
        notes.append(f"{unpriced:,} of them without an amount, or without an exchange rate.")
    if summary.unreadable:
        notes.append(
            f"The facts of {summary.unreadable:,} cannot be used any more: people would decide."
        )
    if summary.unknown_facts:
        notes.append(
            f"{summary.unknown_facts:,} were evaluated on facts this release does not know."
        )
    return tuple(notes)


def _charts(summary: Summary) -> tuple[Chart, ...]:
    if not summary.flips.count:
        return ()
    return (
        _by_direction(summary.flips),
        _by_name("By agent", "agent", summary.by_agent),
        _by_name("By action type", "action_type", summary.by_action_type),
    )


def _by_direction(flips: Directed) -> Chart:
    longest = max(flips.of(direction).count for direction in FLIPS)
    return Chart(
        "By direction",
        tuple(
            Bar(
                str(direction.label),
                f"direction={direction.value}",
                (_piece(direction, flips.of(direction), longest),),
                f"{flips.of(direction).count:,}",
                amount_of(flips.of(direction)),
            )
            for direction in FLIPS
            if flips.of(direction).count
        ),
    )


def _by_name(title: str, parameter: str, found: Mapping[str, Directed]) -> Chart:
    ordered = sorted(found.items(), key=lambda item: (-item[1].count, item[0]))
    longest = ordered[0][1].count
    return Chart(
        title,
        tuple(_bar(name, parameter, flips, longest) for name, flips in ordered[:_MOST_BARS]),
        max(0, len(ordered) - _MOST_BARS),
    )


def _bar(name: str, parameter: str, flips: Directed, longest: int) -> Bar:
    sum_of = FlipCount()
    for direction in FLIPS:
        flip_count = flips.of(direction)
        sum_of.count += flip_count.count
        sum_of.amount_base += flip_count.amount_base
        sum_of.unpriced += flip_count.unpriced
    return Bar(
        name or "unnamed",
        f"{parameter}={name}",
        tuple(
            _piece(direction, flips.of(direction), longest)
            for direction in FLIPS
            if flips.of(direction).count
        ),
        f"{flips.count:,}",
        amount_of(sum_of),
    )


def _piece(direction: Direction, flip_count: FlipCount, longest: int) -> Piece:
    width = f"{max(flip_count.count * 100 / longest, 0.5):.2f}%"
    return Piece(direction.value, width, f"{flip_count.count:,}: {direction.label}")


class RecordSite(Protocol):
    """An admin site that knows where records are."""

    def record_page(self, request: HttpRequest) -> str: ...


@dataclass(frozen=True, slots=True)
class RecordLinks:
    """From a request's id to its record; to nothing for readers who may not open records."""

    page: str  # the address's name; "" for these readers

    @classmethod
    def for_reader(cls, request: HttpRequest, site: RecordSite) -> RecordLinks:
        return cls(site.record_page(request))

    def to(self, subject_id: str) -> str:
        """The record's address; "" when there is none for this reader."""
        return reverse(self.page, args=[subject_id]) if self.page else ""


DAYS = 30
WIDTH, HEIGHT, FOOT = 720, 120, 18
_KINDS = ("looser", "stricter", "rerouted", "same")


@dataclass(frozen=True, slots=True)
class Block:
    """One segment of one day, in the chart's own units."""

    kind: str
    x: str
    y: str
    width: str
    height: str
    title: str


@dataclass(frozen=True, slots=True)
class ShadowChart:
    """A month of the shadow, and what it came to."""

    blocks: tuple[Block, ...]
    marks: tuple[tuple[str, str], ...]
    total: int
    differing: int
    counts: tuple[tuple[str, str, int], ...]  # kind, words, count
    newest: tuple[ShadowVerdict, ...]
    width: int = WIDTH
    base: int = HEIGHT
    height: int = HEIGHT + FOOT
    text_y: int = HEIGHT + 14


def shadow_chart(version: PolicyVersion) -> ShadowChart | None:
    """The last thirty days; None for a version that never ran in the shadow."""
    now = db_clock.now()
    days = divergence(version, now - timedelta(days=DAYS), until=now)[-DAYS:]
    if not days and version.shadowing_since is None:
        return None
    counts = {kind: sum(getattr(day, kind) for day in days) for kind in _KINDS}
    return ShadowChart(
        blocks=tuple(_blocks(days)),
        marks=tuple(_marks(days)),
        total=sum(counts.values()),
        differing=sum(counts.values()) - counts["same"],
        counts=tuple((kind, str(Direction(kind).label), counts[kind]) for kind in _KINDS),
        newest=tuple(differing_from(version)[:5]),
    )


def differing_from(version: PolicyVersion) -> QuerySet[ShadowVerdict]:
    """What it answered differently, newest first."""
    return version.shadows.exclude(direction=Direction.SAME).order_by("-id")


def _blocks(days: tuple[ShadowDay, ...]) -> list[Block]:
    """Stacked: what differs below, what does not on top."""
    highest = max((day.total for day in days), default=0) or 1
    blocks = []
    for index, day in enumerate(days):
        top = float(HEIGHT)
        for kind in _KINDS:
            number = getattr(day, kind)
            if not number:
                continue
            tall = number / highest * (HEIGHT - 8)
            top -= tall
            words = f"{date_format(day.day)}: {number:,} {Direction(kind).label}"
            blocks.append(
                Block(
                    kind,
                    f"{_x(index) + 2:.1f}",
                    f"{top:.1f}",
                    f"{WIDTH / DAYS - 4:.1f}",
                    f"{tall:.1f}",
                    words,
                )
            )
    return blocks


def _marks(days: tuple[ShadowDay, ...]) -> list[tuple[str, str]]:
    return [
        (f"{_x(i):.1f}", date_format(days[i].day, "MONTH_DAY_FORMAT"))
        for i in range(0, len(days), 7)
    ]


def _x(index: int) -> float:
    return index * WIDTH / DAYS
