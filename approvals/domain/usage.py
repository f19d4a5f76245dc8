"""Cumulative counters: what was proposed before, counted under locks so that nobody slips between.

A request is counted once, when policy evaluates it, in the four counters it belongs to: its
target, its customer, its agent and the agent's owner. Their rows are locked first, always in the
order of scope and key, and after the request's own: two requests that share a counter are
evaluated one after the other, each seeing what the other became, and no two wait for each
other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, reduce
from operator import or_

from django.db import connection, models
from django.db.models import F, Q, Sum
from django.db.models.expressions import RawSQL

from approvals.choices import State
from approvals.domain.derivation import Candidate
from approvals.models import ActionRequest, CountedRequest, VelocityBucket, VelocityCounter
from approvals.models.usage import VelocityScope
from audit.lib import db
from audit.lib.canonical import digest_of
from audit.lib.prepared import Given, Prepared, Question
from audit.lib.writes import Insert, write_together
from connectors.base import Preview
from policies.facts import VelocityFacts

_NEXT_NUMBER = RawSQL(  # noqa: S611 - an expression of the ORM's may not look at the table inserted into
    f"(SELECT COALESCE(MAX(number), 0) + 1 FROM {CountedRequest._meta.db_table})",  # noqa: S608 - our own names
    [],
)
"""Two who share no counter may get the same; who shares one waits for the other's."""

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
    """The locked counters of one candidate, and of what it was in an earlier version."""

    keys: Mapping[VelocityScope, str]
    counters: Mapping[int, VelocityCounter]

    @property
    def ids(self) -> tuple[int, ...]:
        """The candidate's own."""
        own = (
            (pk, self.keys.get(VelocityScope(c.scope)) == c.key) for pk, c in self.counters.items()
        )
        return tuple(sorted(pk for pk, is_own in own if is_own))

    def asked(self, at: datetime) -> Question:
        """What `usage` asks."""
        return _sums_asked(self.counters, at)

    def usage(self, at: datetime) -> UsageCount:
        """What they hold without what the request itself added before."""
        return UsageCount(_windows(self.counters, self.keys, at), self.ids)


def usage_now(candidate: Candidate, preview: Preview, *, at: datetime) -> UsageCount:
    """The counters as they stand, locking and changing nothing."""
    keys = keys_of(candidate, preview)
    found = {c.pk: c for c in VelocityCounter.objects.filter(_any_of(keys))}
    return UsageCount(_windows(found, keys, at))


def hold(
    candidate: Candidate, preview: Preview, *, at: datetime, request: ActionRequest
) -> HeldCounters:
    """Lock the candidate's counters, to be read after that.

    The caller has locked the request; until its transaction ends nobody else is evaluated who
    shares a counter. What the request added in an earlier version is out from here on.
    """
    keys = keys_of(candidate, preview)
    rows = [VelocityCounter(scope=scope, key=keys[scope]) for scope in sorted(keys)]
    write_together(Insert(rows, unless_there=True))
    before = _counted(request) if request.state != State.REQUESTED else None
    if before is None:
        held = {counter.pk: counter for counter in _HELD.all(**keys)}
    else:
        held = _locked(_any_of(keys) | Q(pk__in=before.counters))
        _take_out(before, at)
    return HeldCounters(keys, held)


def count(
    request: ActionRequest,
    usage_count: UsageCount,
    *,
    base_minor: int | None,
    allowed: bool,
    at: datetime,
) -> None:
    """Add the request to the counters of `usage_count`; money without a rate adds nothing to sums.

    It comes after everybody who was counted before, in an earlier version of its own as well.
    """
    counted = CountedRequest(
        request=request,
        counters=list(usage_count.ids),
        number=_NEXT_NUMBER,
        hour=hour_of(at),
        amount_base=base_minor or 0,
        allowed=allowed,
        taken_out_at=None,
    )
    CountedRequest.objects.bulk_create(
        [counted],
        update_conflicts=True,
        unique_fields=["request"],
        update_fields=["counters", "number", "hour", "amount_base", "allowed", "taken_out_at"],
    )
    _add(usage_count.ids, hour_of(at), 1, base_minor or 0, (base_minor or 0) if allowed else 0)


def take_out(request: ActionRequest, *, at: datetime) -> None:
    """The request ended without effect: take what it added out of its hour, once."""
    counted = _counted(request)
    if counted is not None:
        _locked(Q(pk__in=counted.counters))
        _take_out(counted, at)


def take_out_all(requests: Sequence[ActionRequest], *, at: datetime) -> None:
    """`take_out` for many, in few statements; the caller has locked the requests."""
    counted = list(CountedRequest.objects.filter(request__in=requests, taken_out_at=None))
    if not counted:
        return
    _locked(Q(pk__in={pk for one in counted for pk in one.counters}))
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
    _locked(Q(pk__in=counted.counters))
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


def _lock(which: Q) -> models.QuerySet[VelocityCounter]:
    """The counters, to be locked in the one order everybody uses."""
    found = VelocityCounter.objects.select_for_update(no_key=True).filter(which)
    return found.order_by("scope", "key")


def _locked(which: Q) -> dict[int, VelocityCounter]:
    return {counter.pk: counter for counter in _lock(which)}


_HELD = Prepared(lambda: _lock(_any_of({scope: Given(scope.value) for scope in VelocityScope})))
"""The four of a candidate."""


def _windows(
    counters: Mapping[int, VelocityCounter], keys: Mapping[VelocityScope, str], at: datetime
) -> dict[VelocityScope, Window]:
    if not counters:
        return {}
    found = {}
    for pk, *figures in _sums_asked(counters, at).all():
        counter = counters[pk]
        scope = VelocityScope(counter.scope)
        if keys.get(scope) == counter.key:
            found[scope] = Window(*(int(figure) for figure in figures))
    return found


def _sums_asked(counters: Iterable[int], at: datetime) -> Question:
    places = {f"counter{place}": pk for place, pk in enumerate(counters)}
    return _sums(len(places)).asking(**places, day=since(DAY, at), month=since(MONTH, at))


@cache
def _sums(counters: int) -> Prepared[tuple[int, ...]]:
    """What so many counters hold, a row each."""
    any_of = reduce(or_, (Q(counter=Given(f"counter{place}")) for place in range(counters)))
    day = Q(hour__gte=Given("day"))
    return Prepared(
        lambda: (
            VelocityBucket.objects.filter(any_of, hour__gte=Given("month"))
            .order_by()
            .values_list("counter_id")
            .annotate(
                count_24h=Sum("count", filter=day, default=0),
                sum_24h=Sum("sum_base", filter=day, default=0),
                allowed_24h=Sum("allowed_base", filter=day, default=0),
                count_30d=Sum("count", default=0),
                sum_30d=Sum("sum_base", default=0),
            )
        )
    )


def _add(
    counters: Iterable[int], hour: datetime, number: int, base_minor: int, allowed: int
) -> None:
    """One statement for all of them; the counters are held, so nobody else adds meanwhile."""
    rows = [(pk, hour, number, base_minor, allowed) for pk in counters]
    table = VelocityBucket._meta.db_table
    own = connection.ops.quote_name("count")
    values = ", ".join(["(%s, %s, %s, %s, %s)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (counter_id, hour, {own}, sum_base, allowed_base)"  # noqa: S608 - our own names
            f" VALUES {values} ON CONFLICT (counter_id, hour) DO UPDATE SET"
            f" {own} = {table}.{own} + excluded.{own},"
            f" sum_base = {table}.sum_base + excluded.sum_base,"
            f" allowed_base = {table}.allowed_base + excluded.allowed_base",
            [
                connection.ops.adapt_datetimefield_value(value)
                if isinstance(value, datetime)
                else value
                for row in rows
                for value in row
            ],
        )
