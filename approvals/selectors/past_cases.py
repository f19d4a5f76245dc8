"""Past judgements for replays: what `settings.POLICY_PAST_CASES` names. Read, never changed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from approvals.models import PolicyDecision, Requirement
from policies.replay.backtest import LAID_OVER, PastCase, Said
from policies.verdicts import Verdict

BATCH = 5_000
"""How many are read at once."""

_INTAKE = PolicyDecision.objects.filter(purpose=PolicyDecision.Purpose.INTAKE).order_by("-id")


def how_many(most: int) -> int:
    """How many judgements at intake there are, `most` at the most."""
    return _INTAKE.values("pk")[:most].count()


def newest(most: int) -> Iterator[Sequence[PastCase]]:
    """Judgements at intake, the newest first, in batches; two statements each."""
    before: int | None = None
    left = most
    while left > 0:
        rows = _INTAKE if before is None else _INTAKE.filter(pk__lt=before)
        batch = list(
            rows.values_list(
                "pk", "request_id", "version", "verdict", "tier", "facts", "created_at"
            )[: min(BATCH, left)]
        )
        if not batch:
            return
        before, left = batch[-1][0], left - len(batch)
        asked = _asked([(row[1], row[2]) for row in batch if row[3] == Verdict.REQUIRE_APPROVAL])
        yield [
            PastCase(
                subject_id=str(request_id),
                facts=facts,
                said=Said(Verdict(verdict), tier, *asked.get((request_id, version), ((), 0))),
                at=created_at,
            )
            for _, request_id, version, verdict, tier, facts, created_at in batch
        ]


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


def _asked(keys: list[tuple[UUID, int]]) -> dict[tuple[UUID, int], tuple[tuple[str, ...], int]]:
    """Whom these versions of these requests asked: groups by name, and how many people."""
    wanted = set(keys)
    groups: defaultdict[tuple[UUID, int], set[str]] = defaultdict(set)
    people: defaultdict[tuple[UUID, int], int] = defaultdict(int)
    rows = Requirement.objects.filter(request_id__in=[key[0] for key in keys]).order_by()
    for request_id, version, group, quorum in rows.values_list(
        "request_id", "version", "group", "quorum"
    ):
        key = (request_id, version)
        if key in wanted:
            groups[key].add(group)
            people[key] += quorum
    return {key: (tuple(sorted(groups[key])), people[key]) for key in groups}
