"""Why what every rule allows may not run without people all the same."""

from __future__ import annotations

from dataclasses import dataclass

from policies.matrix import RUNS_BY_ITSELF, Cell, OperatingModel, Pattern

LOWEST_TIER_NEVER_ALLOWED = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """What the engine looks at by itself, in the order of READ_BY_THE_ENGINE."""

    action_type: str
    reversibility: str
    rate_known: bool
    preview_available: bool
    supervised: bool
    evidence_kinds: tuple[str, ...]
    evidence_flags: tuple[str, ...]
    sample: int = 99


@dataclass(frozen=True, slots=True)
class Objection:
    rule: str
    reason: str


def objection_to(
    tier: int, seen: Seen, cell: Cell, categories: tuple[str, ...]
) -> Objection | None:
    """The first reason against running without people; None when there is none."""
    missing = [kind for kind in cell.evidence if kind not in seen.evidence_kinds]
    is_irreversible = seen.reversibility == "irreversible"
    never = [
        (seen.supervised, "A person starts this and watches; it never runs by itself."),
        (tier >= LOWEST_TIER_NEVER_ALLOWED, f"Tier {tier} never runs without people."),
        (
            cell.operating_model not in RUNS_BY_ITSELF,
            f"This kind of action is {cell.operating_model}: it never runs by itself.",
        ),
        (
            cell.operating_model == OperatingModel.CONTROLLED_AUTONOMY and is_irreversible,
            "What cannot be undone never runs under controlled autonomy.",
        ),
        (bool(missing), f"Required evidence is missing: {', '.join(missing)}."),
    ]
    for holds, reason in never:
        if holds:
            return Objection("never-automatic", reason)
    if cell.pattern == Pattern.EXCEPTION_ONLY and (categories or seen.evidence_flags):
        found = ", ".join((*categories, *seen.evidence_flags))
        return Objection("exception", f"It runs by itself unless something is odd: {found}.")
    if cell.pattern == Pattern.SAMPLED and seen.sample < cell.sample_percent:
        share = f"{cell.sample_percent} in 100"
        return Objection("sampled", f"People look at {share} of what runs; this is one of them.")
    return None
