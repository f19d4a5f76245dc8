"""A replay in the words and bars a risk owner needs: how many, how much, whose, which way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse

from audit.money import Money
from policies.models import Backtest, PolicyVersion
from policies.models.replays import BacktestStatus, Direction
from policies.replay.summary import Directed, Summary, Tally
from policies.services.publishable import in_force

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
    current = in_force()
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


def amount_of(tally: Tally) -> str:
    """A tally's sum; empty when none of it has an amount."""
    return money(tally.amount_base) if tally.unpriced < tally.count else ""


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
        notes.append(f"{summary.unknown_facts:,} were judged on facts this release does not know.")
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
    sum_of = Tally()
    for direction in FLIPS:
        tally = flips.of(direction)
        sum_of.count += tally.count
        sum_of.amount_base += tally.amount_base
        sum_of.unpriced += tally.unpriced
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


def _piece(direction: Direction, tally: Tally, longest: int) -> Piece:
    width = f"{max(tally.count * 100 / longest, 0.5):.2f}%"
    return Piece(direction.value, width, f"{tally.count:,}: {direction.label}")
