"""Versions that run beside the policy in force: what they would have said, kept and counted.

A shadow decides nothing. Whatever goes wrong in it is logged and never reaches the request it
watched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Count
from django.db.models.functions import TruncDate
from django.utils.timezone import localdate

from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record
from policies.exceptions import PolicyError
from policies.facts import Facts
from policies.models import PolicyVersion, ShadowVerdict
from policies.models.versions import VersionKind, VersionStatus
from policies.replay.backtest import LAID_OVER, Said, direction_of, with_floor
from policies.services.evaluation import InForce, evaluate_together, versions_in_force
from policies.services.publishable import UNPUBLISHED, open_version
from policies.verdicts import Evaluation, RuleTrace, Verdict

logger = logging.getLogger(__name__)

KNOWN_FOR = 5.0
"""Seconds for which a process takes what it knows about shadowing versions as true."""

_known: tuple[float, tuple[int, ...]] | None = None  # on this process's own monotonic clock


@dataclass(frozen=True, slots=True)
class ShadowDay:
    """How one day's requests fared in the shadow."""

    day: date
    same: int = 0
    looser: int = 0
    stricter: int = 0
    rerouted: int = 0

    @property
    def total(self) -> int:
        return self.same + self.looser + self.stricter + self.rerouted


def observe(
    *,
    facts: Facts,
    evaluation: Evaluation,
    subject_id: str,
    action_type: str,
    amount_base: int | None,
    at: datetime,
) -> None:
    """Keep what every shadowing draft says about a request the policy in force just evaluated.

    Called inside the intake's transaction, which it never disturbs: it writes under a savepoint,
    and nothing it raises comes out. Costs nothing while nothing shadows.
    """
    try:
        ids = _shadowing()
        if not ids:
            return
        with transaction.atomic():
            versions = PolicyVersion.objects.filter(pk__in=ids, shadowing_since__isnull=False)
            now = versions_in_force()
            said = Said.of(evaluation)
            floor = _floor(evaluation.trace)
            rows = []
            for version in versions.defer("document"):
                is_floor = version.kind == VersionKind.FLOOR
                asked = InForce(now.policy, version) if is_floor else InForce(version, now.floor)
                answer = Said.of(evaluate_together(asked, facts))
                shadow = with_floor(said, answer, floor)
                rows.append(
                    ShadowVerdict(
                        version=version,
                        digest=version.digest,
                        subject_id=subject_id,
                        action_type=action_type,
                        amount_base=amount_base,
                        direction=direction_of(said, shadow),
                        active_verdict=said.verdict.value,
                        active_tier=said.tier,
                        shadow_verdict=shadow.verdict.value,
                        shadow_tier=shadow.tier,
                        at=at,
                    )
                )
            ShadowVerdict.objects.bulk_create(rows)
    except Exception:
        # the last line of defence for the request: it was evaluated already, by the policy in force
        logger.exception("a shadow failed", extra={"action_id": subject_id})


def forget_shadows() -> None:
    """Look again at which versions shadow; called by whoever starts or ends one."""
    global _known
    _known = None


def divergence(
    version: PolicyVersion, since: datetime, *, until: datetime
) -> tuple[ShadowDay, ...]:
    """Day by day, how often the shadow differed from the policy in force, and which way."""
    rows = (
        ShadowVerdict.objects.filter(version=version, at__gte=since)
        .order_by()
        .annotate(day=TruncDate("at"))
        .values_list("day", "direction")
        .annotate(count=Count("pk"))
    )
    counts: dict[date, dict[str, int]] = {}
    for day, direction, count in rows:
        counts.setdefault(day, {})[direction] = count
    if not counts:
        return ()
    first, last = min(counts), max(*counts, localdate(until))
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return tuple(ShadowDay(day, **counts.get(day, {})) for day in days)


def _shadowing() -> tuple[int, ...]:
    global _known
    now, known = time.monotonic(), _known  # once: another thread may forget it at any moment
    if known is None or known[0] <= now:
        with transaction.atomic():
            found = PolicyVersion.objects.filter(
                shadowing_since__isnull=False,
                status__in=(VersionStatus.DRAFT, VersionStatus.PROPOSED),
            ).order_by("pk")
            _known = known = now + KNOWN_FOR, tuple(found.values_list("pk", flat=True))
    return known[1]


def _floor(trace: Iterable[RuleTrace]) -> Verdict | None:
    """What whoever asked laid over policy's answer, by its trace; None when nothing was."""
    laid = [entry.effect for entry in trace if entry.rule in LAID_OVER]
    return max(laid, key=list(Verdict).index, default=None)


MOST_SHADOWS = 3
"""How many versions run at once: each is asked again for every request."""


@transaction.atomic
def start_shadow(version_id: int, *, actor: Actor, reason: str) -> PolicyVersion:
    """From now on every new request is put to this version too, and the difference is kept.

    Raises PolicyError: unknown_version, not_risk_owner, reason_missing, not_a_draft,
    shadows_already, too_many_shadows.
    """
    version, _ = open_version(version_id, actor, reason)
    if version.status not in UNPUBLISHED:
        raise PolicyError("not_a_draft", "Only a version that is not in force runs in the shadow.")
    if version.shadowing_since is not None:
        raise PolicyError("shadows_already", f"Version {version.label} runs in the shadow already.")
    if PolicyVersion.objects.filter(shadowing_since__isnull=False).count() >= MOST_SHADOWS:
        raise PolicyError(
            "too_many_shadows", f"{MOST_SHADOWS} versions run in the shadow; end one of them first."
        )
    version.shadowing_since = db_clock.now()
    version.save(update_fields=["shadowing_since"])
    transaction.on_commit(forget_shadows)
    record(
        AuditCode.POLICY_SHADOWED,
        actor=actor,
        subject=version,
        state=version.status,
        data={"version": version.label, "digest": version.digest, "reason": reason},
    )
    return version


@transaction.atomic
def stop_shadow(version_id: int, *, actor: Actor, reason: str) -> PolicyVersion:
    """End its shadow; what it said stays on record.

    Raises PolicyError: unknown_version, not_risk_owner, reason_missing, no_shadow.
    """
    version, _ = open_version(version_id, actor, reason)
    if version.shadowing_since is None:
        raise PolicyError("no_shadow", f"Version {version.label} does not run in the shadow.")
    end_shadow(version, actor, reason=reason)
    return version


def end_shadow(version: PolicyVersion, actor: Actor, *, reason: str = "") -> None:
    """End the shadow of a locked version, if it has one. Saves."""
    if version.shadowing_since is None:
        return
    version.shadowing_since = None
    version.save(update_fields=["shadowing_since"])
    transaction.on_commit(forget_shadows)
    record(
        AuditCode.POLICY_SHADOW_ENDED,
        actor=actor,
        subject=version,
        state=version.status,
        data={"version": version.label, "digest": version.digest, "reason": reason},
    )
