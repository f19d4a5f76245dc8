"""The shadow's divergence per day, as bars of an SVG the server draws."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from policies.models import PolicyVersion, ShadowVerdict
from policies.models.replays import Direction
from policies.services.shadow import ShadowDay, divergence

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
    days = divergence(version, timezone.now() - timedelta(days=DAYS))[-DAYS:]
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
            words = f"{day.day:%-d %b}: {number:,} {Direction(kind).label}"
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
    return [(f"{_x(i):.1f}", f"{days[i].day:%-d %b}") for i in range(0, len(days), 7)]


def _x(index: int) -> float:
    return index * WIDTH / DAYS
