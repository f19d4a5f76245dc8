"""The case authority is asked about: what, how much, and who had a hand in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Set
from datetime import datetime, timedelta
from functools import cache, reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from approvals.choices import DecisionVerdict
from approvals.models import ActionRequest, Agent, Decision
from approvals.selectors.requests import contents_of, decisions_of, policy_decisions_of
from audit.events import AuditCode
from audit.lib.money import Money
from audit.lib.one_look import looks_once, once_a_page
from audit.lib.prepared import Given, Prepared, Question
from audit.models import AuditEvent
from audit.selectors import events_about
from policies.authority import Case
from policies.authorship import versions_behind, wrote_in
from policies.evaluate import FLOOR
from policies.models import Delegation, PolicyVersion, User
from policies.models.people import person_key

_DAY = timedelta(hours=24)
_SKEW = timedelta(minutes=5)
"""How far the clocks of hosts that wrote history, before the database's did, may have been off."""
_LONGEST_LINE = 20
"""How far back a line of requests that supersede or undo each other is followed."""


def amount_of(request: ActionRequest) -> Money | None:
    """The request's amount, when it moves money."""
    if request.amount_minor is None:
        return None
    return Money(request.amount_minor, request.currency)


def case_of(request: ActionRequest, *, at: datetime, edited_to: Money | None = None) -> Case:
    """The case as authority sees it, with everybody who had a hand in it and may not decide.

    `edited_to` is the amount an edit leads to: the larger of the two counts, and an amount in
    another currency always counts as larger.
    """
    amount = amount_of(request)
    if edited_to is not None and (
        amount is None or edited_to.currency != amount.currency or edited_to.minor > amount.minor
    ):
        amount = edited_to
    currency = amount.currency if amount else ""

    def spent_today(user: User) -> int:
        if looks_once():  # a page asks about everybody who could decide
            spent = approved_today_by_person(currency, now=at, excluding=request)
            return spent.get(user.person, 0)
        return approved_today(user.person, currency, now=at, excluding=request)

    return Case(
        action_type=request.action_type,
        amount=amount,
        tier=request.effective_tier,
        involved=involved_in(request),
        abstained=abstained_from(request),
        spent_today=spent_today,
        at=at,
    )


def abstained_from(request: ActionRequest) -> frozenset[str]:
    """The persons who left it to others, whichever version they looked at."""
    return abstaining(decisions_of(request))


def abstaining(said: Iterable[Decision]) -> frozenset[str]:
    """The persons among those who said something who abstained, as they were and are called.

    Whoever did with delegated authority abstained for themselves alone.
    """
    left = (one for one in said if one.verdict == DecisionVerdict.ABSTAIN)
    return frozenset(person for one in left for person in (one.person, one.decider.person))


@once_a_page
def involved_in(request: ActionRequest) -> dict[str, str]:
    """Everybody who had a hand in it, by person, with what that was: they never decide it.

    What it undoes or supersedes counts as well: whoever asked for that, it was for, or edited it.
    """
    owners, versions = _owners_since(request), versions_behind(_evaluated(request))
    people = _owning_or_writing(owners, versions)
    involved = {person: "an author of the policy it falls under" for _, person in people}
    for earlier in _line_of(request):
        for person, role in _involved_directly(earlier).items():
            involved[person] = f"{role}, in the request this one follows"
    involved |= {person: "the agent's owner" for pk, person in people if pk in owners}
    return involved | _involved_directly(request)


def _owning_or_writing(owners: Set[int], versions: Set[int]) -> set[tuple[int, str]]:
    """The accounts among these owners, and those that wrote in these versions; with the persons."""
    values = {f"owner{n}": pk for n, pk in enumerate(sorted(owners))}
    values |= {f"version{n}": pk for n, pk in enumerate(sorted(versions))}
    return set(_so_many(len(owners), len(versions)).all(**values))


@cache
def _so_many(owners: int, versions: int) -> Prepared[tuple[int, str]]:
    owns = Q(pk__in=[Given(f"owner{n}") for n in range(owners)])
    wrote = (wrote_in(Given(f"version{n}")) for n in range(versions))
    people = User.objects.filter(reduce(or_, wrote, owns)).order_by()
    return Prepared(lambda: people.values_list("pk", "person"))


def _involved_directly(request: ActionRequest) -> dict[str, str]:
    involved: dict[str, str] = {}
    if request.on_behalf_of:
        involved[person_key(request.on_behalf_of)] = "the person it was requested for"
        # the agent spells it; no spelling of an account, and no name it had, leads around four-eyes
        named = (
            Q(username__iexact=request.on_behalf_of)
            | Q(email__iexact=request.on_behalf_of)
            | Q(person=person_key(request.on_behalf_of))
        )
        once = User.history.filter(named).values("id")
        for person in User.objects.filter(named | Q(pk__in=once)).values_list("person", flat=True):
            involved[person] = "the person it was requested for"
    if request.requested_by is not None:
        involved[request.requested_by.person] = "the person who opened it"
    for content in contents_of(request):
        if content.edited_by is not None:
            involved[content.edited_by.person] = "the person who edited it"
        if content.supplied_by is not None:
            involved[content.supplied_by.person] = "the person who supplied evidence for it"
    return involved


def _line_of(request: ActionRequest) -> list[ActionRequest]:
    """What it undoes or supersedes, what that undoes or supersedes, and so on."""
    line: dict[UUID, ActionRequest] = {}
    ahead = [request]
    while ahead and len(line) < _LONGEST_LINE:
        one = ahead.pop()
        for earlier in (one.compensates, one.supersedes):
            if earlier is not None and earlier.pk not in line:
                line[earlier.pk] = earlier
                ahead.append(earlier)
    return list(line.values())


def _evaluated(request: ActionRequest) -> dict[PolicyVersion, set[str]]:
    """The versions that evaluated it, and which of their rules matched."""
    evaluated: dict[PolicyVersion, set[str]] = {}
    for said in policy_decisions_of(request):
        if said.policy_version is not None:
            rules = json.loads(said.trace).get("rules", ())
            named = (rule["rule"] for rule in rules if rule.get("matched"))
            # whoever wrote the floor can only have asked for more people
            matched = (rule for rule in named if not rule.startswith(FLOOR))
            evaluated.setdefault(said.policy_version, set()).update(matched)
    return evaluated


def _owners_since(request: ActionRequest) -> set[int]:
    """The accounts that owned the agent when it asked, or have since: handing it over frees nobody.

    What came after is found by the agent's own sequence, which the request noted at its birth: no
    clock can be wrong about it.
    """
    agent = request.agent
    told = _OWNERSHIP.all(request=str(request.pk), agent=str(agent.pk))
    asked: dict[str, Any] = next(
        (json.loads(data) for code, _, data in told if code == AuditCode.REQUESTED), {}
    )
    if "agent_seq" not in asked:  # made before requests noted it
        return _owners_by_time(request)
    owners = {asked["owner"], agent.owner_id}
    for code, seq, data in told:
        if code == AuditCode.AGENT_CHANGED and seq > asked["agent_seq"]:
            owners.add(json.loads(data)["to"].get("owner_id", agent.owner_id))
    return owners


def ownership_asked(request: ActionRequest) -> Question:
    """What `involved_in` asks about the agent's owners."""
    return _OWNERSHIP.asking(request=str(request.pk), agent=str(request.agent_id))


def day_asked(person: str, request: ActionRequest, *, at: datetime) -> list[Question]:
    """What `approved_today` asks about a person, to decide on this request."""
    values = {"currency": request.currency, "since": at - _DAY, "excluding": request.pk}
    return [_FORMER_NAMES.asking(person=person), _SPENT.asking(person=person, **values)]


def _told_of_ownership() -> QuerySet[AuditEvent, Any]:
    born = events_about(ActionRequest, Given("request")).filter(code=AuditCode.REQUESTED)
    changed = events_about(Agent, Given("agent")).filter(code=AuditCode.AGENT_CHANGED)
    return (born | changed).values_list("code", "seq", "data")


_OWNERSHIP: Prepared[tuple[str, int, str]] = Prepared(_told_of_ownership)


def _owners_by_time(request: ActionRequest) -> set[int]:
    owners = {request.agent.owner_id}
    earlier = request.agent.history.order_by("-history_id")
    for changed_at, owner in earlier.values_list("history_date", "owner"):
        owners.add(owner)
        if changed_at <= request.created_at - _SKEW:
            break
    return owners


@once_a_page
def approved_today(person: str, currency: str, *, now: datetime, excluding: ActionRequest) -> int:
    """What was approved on the person's authority in 24 hours in that currency, minor units.

    Their own approvals, and those others gave on their behalf; what they approved on somebody
    else's behalf is in that somebody's day.
    """
    former = set(_FORMER_NAMES.all(person=person))
    if not former:
        values = {"currency": currency, "since": now - _DAY, "excluding": excluding.pk}
        spent = _SPENT.all(person=person, **values)
    else:  # another name does not begin another day
        accounts, names = zip(*former, strict=True)
        delegated = Delegation.objects.filter(lender__in=accounts)
        theirs = _of_person(person)
        theirs |= Q(person__in=names, decider__in=accounts, on_behalf_of="")
        theirs |= Q(on_behalf_of__in=names, delegation__in=delegated)
        approved = _approved(currency, since=now - _DAY, excluding=excluding.pk)
        spent = list(_in_all(approved.filter(theirs)))
    return sum(int(total or 0) for _, total in spent)


def _of_person(person: str | Given) -> Q:
    return Q(person=person, on_behalf_of="") | Q(on_behalf_of=person)


def _in_all(approved: QuerySet[Decision]) -> QuerySet[Decision, Any]:
    """The currency and the sum; no row when nothing was approved."""
    return approved.order_by().values_list("currency").annotate(total=Sum("amount_minor"))


def _former_names() -> QuerySet[Any, Any]:
    accounts = User.objects.filter(person=Given("person")).values("pk")
    known_as = User.history.filter(id__in=accounts).exclude(person=Given("person"))
    return known_as.order_by().values_list("id", "person")


_FORMER_NAMES: Prepared[tuple[int, str]] = Prepared(_former_names)


@once_a_page
def approved_today_by_person(
    currency: str, *, now: datetime, excluding: ActionRequest
) -> dict[str, int]:
    """The same for everybody at once, minor units by person."""
    spent = (
        _approved(currency, since=now - _DAY, excluding=excluding.pk)
        .order_by()
        .values_list("person", "on_behalf_of", "decider__person", "delegation__lender__person")
        .annotate(total=Sum("amount_minor"))
    )
    result: dict[str, int] = {}
    for person, lender, person_now, delegator_now, total in spent:
        for of in {lender or person, delegator_now or person_now}:
            result[of] = result.get(of, 0) + int(total or 0)
    return result


def _approved(
    currency: str | Given, *, since: datetime | Given, excluding: UUID | Given
) -> QuerySet[Decision]:
    return Decision.objects.filter(
        verdict__in=[DecisionVerdict.APPROVE, DecisionVerdict.BREAK_GLASS],
        currency=currency,
        created_at__gte=since,
    ).exclude(request=excluding)


def _spent() -> QuerySet[Decision, Any]:
    approved = _approved(Given("currency"), since=Given("since"), excluding=Given("excluding"))
    return _in_all(approved.filter(_of_person(Given("person"))))


_SPENT: Prepared[tuple[str, int | None]] = Prepared(_spent)
