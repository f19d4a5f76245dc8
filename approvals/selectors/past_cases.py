"""Past policy decisions for replays; `settings.POLICY_PAST_CASES` names this module."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import TypeAlias
from uuid import UUID

from django.db.models import F

from approvals.models import ActionRequest, PolicyDecision, Requirement
from approvals.selectors.prior_requests import MONTH, first_id_at
from audit.lib import db_clock
from policies.patterns import EVERY
from policies.replay.backtest import LAID_OVER, PastCase, Said
from policies.verdicts import Verdict

BATCH = 5_000
"""How many are read at once."""

_MOST_COUNTED = 20_000
"""Of more requests than that in a month only the newest are counted."""

_INTAKE = PolicyDecision.objects.filter(purpose=PolicyDecision.Purpose.INTAKE).order_by("-id")


def how_many(most: int) -> int:
    """How many policy decisions at intake there are, `most` at the most."""
    return _INTAKE.values("pk")[:most].count()


def newest(most: int) -> Iterator[Sequence[PastCase]]:
    """Judgements at intake, the newest first, in batches; two statements each."""
    before: int | None = None
    left = most
    while left > 0:
        rows = _INTAKE if before is None else _INTAKE.filter(pk__lt=before)
        batch = list(
            rows.values_list("pk", "request_id", "verdict", "tier", "facts", "created_at")[
                : min(BATCH, left)
            ]
        )
        if not batch:
            return
        before, left = batch[-1][0], left - len(batch)
        asked = _asked(first=before, last=batch[0][0])
        yield [
            PastCase(str(request_id), facts, _said(verdict, tier, asked.get(pk, ())), created_at)
            for pk, request_id, verdict, tier, facts, created_at in batch
        ]


def newly_within(
    action_type: str, currency: str, *, above: int, up_to: int, groups: Set[str]
) -> int:
    """How many of the last 30 days asked these groups for a limit between the two, minor units."""
    recent = ActionRequest.objects.filter(id__gte=first_id_at(db_clock.now() - MONTH))
    asked = Requirement.objects.filter(
        request__in=recent.order_by("-id").values("pk")[:_MOST_COUNTED],
        group__in=groups,
        within_limit=True,
        request__currency=currency,
        request__amount_minor__gt=above,
        request__amount_minor__lte=up_to,
    )
    if action_type != EVERY:
        prefix = action_type.removesuffix("*")
        lookup = "startswith" if action_type.endswith("*") else "exact"
        asked = asked.filter(**{f"request__action_type__{lookup}": prefix})
    return asked.order_by().values("request").distinct().count()


def laid_over(subject_ids: Sequence[str]) -> Mapping[str, Verdict]:
    """Of these requests, the verdict of whatever intake laid over policy's own answer.

    Traces are long; only those of the few that would become looser are read.
    """
    result: dict[str, Verdict] = {}
    for start in range(0, len(subject_ids), BATCH):
        ids = [UUID(subject_id) for subject_id in subject_ids[start : start + BATCH]]
        rows = _INTAKE.filter(request_id__in=ids).values_list("request_id", "trace")
        for request_id, trace in rows:
            effects = [
                Verdict(entry["effect"])
                for entry in json.loads(trace)["rules"]
                if entry["rule"] in LAID_OVER
            ]
            if effects:
                result[str(request_id)] = max(effects, key=list(Verdict).index)
    return result


_Asked: TypeAlias = "tuple[tuple[str, int], ...]"
"""Groups, and how many of each must say yes."""


def _asked(*, first: int, last: int) -> Mapping[int, _Asked]:
    """Whom the decisions of that range asked, by decision.

    By range and join: naming thousands of requests costs more than reading what they asked.
    """
    of = "request__policy_decisions"
    rows = Requirement.objects.filter(
        **{f"{of}__pk__range": (first, last), f"{of}__purpose": PolicyDecision.Purpose.INTAKE},
        version=F(f"{of}__version"),
    ).order_by()
    found: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for decision, group, quorum in rows.values_list(f"{of}__pk", "group", "quorum"):
        found[decision].append((group, quorum))
    return {decision: tuple(asked) for decision, asked in found.items()}


@lru_cache(maxsize=1_000)
def _said(verdict: str, tier: int, asked: _Asked) -> Said:
    """The same few answers again and again."""
    if verdict != Verdict.REQUIRE_APPROVAL:
        return Said(Verdict(verdict), tier)
    groups = sorted({group for group, _ in asked})
    return Said(Verdict(verdict), tier, tuple(groups), sum(quorum for _, quorum in asked))
