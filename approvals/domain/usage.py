"""Cumulative counters: what was proposed before, counted under locks so that nobody slips between.

A request is counted once, when policy evaluates it, in the four counters it belongs to: its
target, its customer, its agent and the agent's owner. Their rows are locked first, always in the
order of scope and key, and after the request's own: two requests that share a counter are
evaluated one after the other, each seeing what the other became, and no two wait for each
other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db import models
from django.db.models import F, Q, Sum

from approvals.choices import State
from approvals.domain.derivation import Candidate
from approvals.models import ActionRequest, CountedRequest, VelocityBucket, VelocityCounter
from approvals.models.usage import VelocityScope
from audit.lib import db
from audit.lib.canonical import digest_of
from audit.lib.prepared import Given, Prepared, Question
from audit.lib.writes import Insert, Write, write_together
from connectors.base import Preview
from policies.facts import VelocityFacts

DAY = timedelta(hours=24)
MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Window:
    """What one counter holds, without the request being evaluated; money in the base currency."""

    count_24h: int = 0
    sum_24h: int = 0
    allowed_24h: int = 0
    count_30d: int = 0
    sum_30d: int = 0


@dataclass(frozen=True, slots=True)
class UsageCount:
    """The four counters of one candidate as they stand. `ids` only where they are held."""

    windows: Mapping[VelocityScope, Window] = field(default_factory=dict)
    ids: tuple[int, ...] = ()
    number: int = 0
    """Higher than that of everybody counted before, where they are held."""

    def facts(self, own: int) -> VelocityFacts:
        """With the request itself, of `own`, on top."""
        target, customer, agent, owner = (
            self.windows.get(scope, Window())
            for scope in (
                VelocityScope.TARGET,
                VelocityScope.CUSTOMER,
                VelocityScope.AGENT,
                VelocityScope.OWNER,
            )
        )
        return VelocityFacts(
            target_count_24h=target.count_24h + 1,
            target_sum_24h=target.sum_24h + own,
            target_count_30d=target.count_30d + 1,
            target_sum_30d=target.sum_30d + own,
            customer_count_24h=customer.count_24h + 1,
            customer_sum_24h=customer.sum_24h + own,
            customer_count_30d=customer.count_30d + 1,
            customer_sum_30d=customer.sum_30d + own,
            agent_count_24h=agent.count_24h + 1,
            agent_sum_24h=agent.sum_24h + own,
            agent_allowed_24h=agent.allowed_24h + own,
            agent_count_30d=agent.count_30d + 1,
            agent_sum_30d=agent.sum_30d + own,
            owner_count_24h=owner.count_24h + 1,
            owner_sum_24h=owner.sum_24h + own,
            owner_allowed_24h=owner.allowed_24h + own,
            owner_count_30d=owner.count_30d + 1,
            owner_sum_30d=owner.sum_30d + own,
        )


def hour_of(at: datetime) -> datetime:
    """The hour a moment is counted in."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def since(window: timedelta, at: datetime) -> datetime:
    """The first hour of a window that ends now: a whole hour more, never less than the window."""
    return hour_of(at) - window


def keys_of(candidate: Candidate, preview: Preview) -> dict[VelocityScope, str]:
    """What the candidate is counted under. The customer is whoever the system of record names.

    Without one it is the counterparty, and without that the target stands for it.
    """
    kind = candidate.type.key
    known = preview.facts.get("customer.id")
    customer = (
        {"type": kind, "customer": known}
        if known
        else {"type": kind, "counterparty": candidate.counterparty or candidate.target}
    )
    return {
        VelocityScope.TARGET: digest_of({"type": kind, "target": candidate.target}),
        VelocityScope.CUSTOMER: digest_of(customer),
        VelocityScope.AGENT: digest_of({"agent": candidate.agent.pk}),
        VelocityScope.OWNER: digest_of({"owner": candidate.agent.owner.person}),
    }


@dataclass(frozen=True, slots=True)
class HeldCounters:
    """The locked counters of one candidate, by what it is counted under."""

    keys: Mapping[VelocityScope, str]

    def asked(self, at: datetime) -> tuple[Question, ...]:
        """What `usage` asks."""
        return self._ids(), _sums_asked(self.keys, at), _LAST_NUMBER.asking()

    def usage(self, at: datetime) -> UsageCount:
        """What they hold without what the request itself added before."""
        ids: list[tuple[int]] = self._ids().all()
        (last,) = _LAST_NUMBER.first() or (None,)
        return UsageCount(
            _windows(self.keys, at), tuple(sorted(pk for (pk,) in ids)), (last or 0) + 1
        )

    def _ids(self) -> Question:
        return _IDS.asking(**_by_name(self.keys))


_LAST_NUMBER: Prepared[tuple[int | None]] = Prepared(
    lambda: (
        CountedRequest.objects.filter(number__isnull=False)
        .order_by("-number")
        .values_list("number")[:1]
    )
)
"""Two who share no counter may get the same after it; who shares one waits for the other's."""


def usage_now(candidate: Candidate, preview: Preview, *, at: datetime) -> UsageCount:
    """The counters as they stand, locking and changing nothing."""
    return UsageCount(_windows(keys_of(candidate, preview), at))


def usage_without(
    request: ActionRequest, candidate: Candidate, preview: Preview, *, at: datetime
) -> UsageCount:
    """The counters as they stand but for what the request itself added; locks and changes nothing.

    What `hold` and `usage` would find for the same candidate, had they been called instead.
    """
    now, counted = usage_now(candidate, preview, at=at), _counted(request)
    if counted is None or counted.hour < since(MONTH, at):
        return now
    is_of_today, own = counted.hour >= since(DAY, at), counted.amount_base
    shared = VelocityCounter.objects.filter(_any_of(keys_of(candidate, preview)))
    windows = dict(now.windows)
    for scope in shared.filter(pk__in=counted.counters).values_list("scope", flat=True):
        window = windows[VelocityScope(scope)]
        windows[VelocityScope(scope)] = Window(
            count_24h=window.count_24h - is_of_today,
            sum_24h=window.sum_24h - own * is_of_today,
            allowed_24h=window.allowed_24h - own * (is_of_today and counted.allowed),
            count_30d=window.count_30d - 1,
            sum_30d=window.sum_30d - own,
        )
    return UsageCount(windows)


def hold(
    candidate: Candidate, preview: Preview, *, at: datetime, request: ActionRequest
) -> HeldCounters:
    """Lock the candidate's counters, to be read after that.

    The caller has locked the request; until its transaction ends nobody else is evaluated who
    shares a counter. What the request added in an earlier version is out from here on.
    """
    keys = keys_of(candidate, preview)
    rows = [VelocityCounter(scope=scope, key=keys[scope]) for scope in sorted(keys)]
    before = _counted(request) if request.state != State.REQUESTED else None
    if before is None:
        write_together(Insert(rows, unless_there=True, or_else=_LOCK_IT))
    else:
        write_together(Insert(rows, unless_there=True))
        _lock(_any_of(keys) | Q(pk__in=before.counters))
        _take_out(before, at)
    return HeldCounters(keys)


_LOCK_IT = (
    f"ON CONFLICT (scope, key) DO UPDATE SET id = {VelocityCounter._meta.db_table}.id WHERE FALSE"
)
"""Locks what is there, in the order of the rows, and changes nothing: one statement, not two. The
key is the one column our role on the database may name, for locking."""


def count(
    request: ActionRequest,
    usage_count: UsageCount,
    *,
    base_minor: int | None,
    allowed: bool,
    at: datetime,
    write: Callable[[Write], None] = write_together,
) -> None:
    """Add the request to the counters of `usage_count`; money without a rate adds nothing to sums.

    It comes after everybody who was counted before, in an earlier version of its own as well. The
    counters are held, so nobody else adds meanwhile. `write` is for a caller who writes it all
    together later.
    """
    hour, base = hour_of(at), base_minor or 0
    counted = CountedRequest(
        request=request,
        counters=list(usage_count.ids),
        number=usage_count.number,
        hour=hour,
        amount_base=base,
        allowed=allowed,
        taken_out_at=None,
    )
    added = [
        VelocityBucket(
            counter_id=pk, hour=hour, count=1, sum_base=base, allowed_base=base if allowed else 0
        )
        for pk in usage_count.ids
    ]
    write(Insert([counted], or_else=_COUNT_AGAIN))
    write(Insert(added, or_else=_ADD_TO_IT))


def _on_conflict(model: type[models.Model], by: str, change: str, *names: str) -> str:
    """What becomes of a row that is there: `change` for each of these columns."""
    table = model._meta.db_table
    sets = (f'"{name}" = ' + change.format(own=f'{table}."{name}"', new=f'excluded."{name}"')
            for name in names)  # fmt: skip
    return f"ON CONFLICT ({by}) DO UPDATE SET {', '.join(sets)}"


_COUNT_AGAIN = _on_conflict(
    *(CountedRequest, "request_id", "{new}"),
    *("counters", "number", "hour", "amount_base", "allowed", "taken_out_at"),
)
_ADD_TO_IT = _on_conflict(
    *(VelocityBucket, "counter_id, hour", "{own} + {new}"),
    *("count", "sum_base", "allowed_base"),
)


def take_out(request: ActionRequest, *, at: datetime) -> None:
    """The request ended without effect: take what it added out of its hour, once."""
    counted = _counted(request)
    if counted is not None:
        _lock(Q(pk__in=counted.counters))
        _take_out(counted, at)


def take_out_all(requests: Sequence[ActionRequest], *, at: datetime) -> None:
    """`take_out` for many, in few statements; the caller has locked the requests."""
    counted = list(CountedRequest.objects.filter(request__in=requests, taken_out_at=None))
    if not counted:
        return
    _lock(Q(pk__in={pk for one in counted for pk in one.counters}))
    CountedRequest.objects.filter(pk__in=[one.pk for one in counted]).update(taken_out_at=at)
    sums: dict[tuple[int, datetime], list[int]] = {}
    for one in counted:
        for pk in one.counters:
            total = sums.setdefault((pk, one.hour), [0, 0, 0])
            total[0] += 1
            total[1] += one.amount_base
            total[2] += one.amount_base if one.allowed else 0
    db.update_rows(
        VelocityBucket,
        [(*which, *total) for which, total in sums.items()],
        by=("counter", "hour"),
        moves=dict.fromkeys(("count", "sum_base", "allowed_base"), "{own} - {given}"),
    )


def no_longer_unseen(request: ActionRequest) -> None:
    """People look at it after all: it is none of what policy allowed without a person."""
    counted = _counted(request)
    if counted is None or not counted.allowed:
        return
    _lock(Q(pk__in=counted.counters))
    counted.allowed = False
    counted.save(update_fields=["allowed"])
    _of(counted).update(allowed_base=F("allowed_base") - counted.amount_base)


def _counted(request: ActionRequest) -> CountedRequest | None:
    return CountedRequest.objects.filter(request=request, taken_out_at=None).first()


def _take_out(counted: CountedRequest, at: datetime) -> None:
    counted.taken_out_at = at
    counted.save(update_fields=["taken_out_at"])
    allowed = counted.amount_base if counted.allowed else 0
    _of(counted).update(
        count=F("count") - 1,
        sum_base=F("sum_base") - counted.amount_base,
        allowed_base=F("allowed_base") - allowed,
    )


def _of(counted: CountedRequest) -> models.QuerySet[VelocityBucket]:
    return VelocityBucket.objects.filter(counter__in=counted.counters, hour=counted.hour)


def _any_of(keys: Mapping[VelocityScope, str | Given]) -> Q:
    which = Q()
    for scope, key in keys.items():
        which |= Q(scope=scope, key=key)
    return which


def _lock(which: Q) -> None:
    """Lock the counters, in the one order everybody uses."""
    found = VelocityCounter.objects.select_for_update(no_key=True).filter(which)
    list(found.order_by("scope", "key").values_list("pk"))


_OF_A_CANDIDATE = {scope: Given(scope.value) for scope in VelocityScope}

_IDS: Prepared[tuple[int]] = Prepared(
    lambda: VelocityCounter.objects.filter(_any_of(_OF_A_CANDIDATE)).values_list("pk")
)


def _by_name(keys: Mapping[VelocityScope, str]) -> dict[str, str]:
    return {scope.value: key for scope, key in keys.items()}


def _windows(keys: Mapping[VelocityScope, str], at: datetime) -> dict[VelocityScope, Window]:
    return {
        VelocityScope(scope): Window(*(int(figure) for figure in figures))
        for scope, *figures in _sums_asked(keys, at).all()
    }


def _sums_asked(keys: Mapping[VelocityScope, str], at: datetime) -> Question:
    return _SUMS.asking(**_by_name(keys), day=since(DAY, at), month=since(MONTH, at))


def _sums() -> models.QuerySet[VelocityBucket, Any]:
    """What the counters of a candidate hold, a row each."""
    day = Q(hour__gte=Given("day"))
    of_candidate = reduce(
        or_,
        (Q(counter__scope=scope, counter__key=key) for scope, key in _OF_A_CANDIDATE.items()),
    )
    return (
        VelocityBucket.objects.filter(of_candidate, hour__gte=Given("month"))
        .order_by()
        .values_list("counter__scope")
        .annotate(
            count_24h=Sum("count", filter=day, default=0),
            sum_24h=Sum("sum_base", filter=day, default=0),
            allowed_24h=Sum("allowed_base", filter=day, default=0),
            count_30d=Sum("count", default=0),
            sum_30d=Sum("sum_base", default=0),
        )
    )


_SUMS: Prepared[tuple[str, int, int, int, int, int]] = Prepared(_sums)
