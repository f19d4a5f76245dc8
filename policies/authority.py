"""May this person? The only place that answers; superusers have no way around it.

The judgement is pure (`judge`, `best_limit`) and works on frozen values; the functions that take a
user fetch those values fresh from the database, so a cached account grants nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from django.db.models import Q, QuerySet

from audit.actors import Actor, ActorKind
from audit.money import Money
from policies import patterns
from policies.models import ApprovalLimit, User
from policies.roles import (
    AGENT_OWNER,
    CONFIGURING_ROLE,
    DECIDING_ROLES,
    MANAGER,
    NEVER_DECIDE,
    RISK_OWNER,
)
from policies.verdicts import RequirementSpec

SpentToday: TypeAlias = "int | Callable[[User], int]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is to be decided, as far as authority is concerned."""

    action_type: str
    amount: Money | None
    tier: int
    involved: Mapping[str, str] = field(default_factory=dict)
    """Person -> what they had to do with it: "agent owner", "editor", "policy author", ..."""
    decided: frozenset[str] = frozenset()
    """Persons who have decided on this request already, for whatever group."""
    spent_today: SpentToday = 0
    """What the decider approved in the last 24 hours, in minor units of `amount`'s currency."""


@dataclass(frozen=True, slots=True)
class Decider:
    """One account, as far as authority is concerned."""

    person: str
    is_active: bool
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Limit:
    """One approval limit; `group` is empty for a personal one."""

    id: int
    group: str
    action_type: str
    currency: str
    each_minor: int
    per_day_minor: int | None


@dataclass(frozen=True, slots=True)
class Authority:
    """On what grounds somebody may decide."""

    group: str
    limit_minor: int | None  # None where no limit was asked for
    limit_id: int | None
    on_behalf_of: str = ""  # the person who lent the authority; "" for one's own


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody may not; the message is for them to read."""

    code: str
    message: str


def may_decide(user: User, case: Case, requirement: RequirementSpec) -> Authority | Refusal:
    """Whether this user may decide this case for this requirement's group, and on what grounds.

    The caller has checked that the requirement is open. Being a superuser changes nothing.
    """
    decider, limits = _fresh(user)
    spent = case.spent_today(user) if callable(case.spent_today) else case.spent_today
    return judge(decider, limits, case, requirement, spent_today=spent)


def limit_for(user: User, action_type: str, currency: str) -> Limit | None:
    """The limit that counts for this person: see `best_limit`."""
    _, limits = _fresh(user)
    return best_limit(limits, action_type, currency)


def deciders_for(case: Case, requirement: RequirementSpec) -> list[User]:
    """Everybody who may decide it now, by user name. Empty means: the route leads nowhere."""
    members = (
        User.objects.filter(is_active=True, groups__name=requirement.group)
        .exclude(person__in=User.objects.filter(groups__name__in=NEVER_DECIDE).values("person"))
        .prefetch_related("groups")
        .order_by("username")
        .distinct()
    )
    limits = list(ApprovalLimit.objects.filter(valid=True).select_related("group"))
    result = []
    for user in members:
        decider = _decider(user)
        own = _limits(limits, user, decider)
        spent = case.spent_today(user) if callable(case.spent_today) else case.spent_today
        if isinstance(judge(decider, own, case, requirement, spent_today=spent), Authority):
            result.append(user)
    return result


def may_configure(actor: Actor) -> Refusal | None:
    """Whether the actor may change roles, limits, people and policies. None means yes.

    Parts of the system may (installation, synchronisation); agents never; people as ops admin.
    """
    if actor.kind == ActorKind.SYSTEM:
        return None
    if actor.kind == ActorKind.HUMAN:
        accounts = User.objects.filter(pk=actor.id, is_active=True)
        if accounts.filter(groups__name=CONFIGURING_ROLE).exists():
            return None
    return Refusal("not_ops_admin", "Only an ops admin changes roles, limits, people and policies.")


def may_stop(actor: Actor) -> Refusal | None:
    """Whether the actor may pause actions, connectors or everything. None means yes.

    Stopping is easy: managers may, as whoever may configure. Lifting takes the latter.
    """
    if may_configure(actor) is None:
        return None
    if actor.kind == ActorKind.HUMAN:
        managers = User.objects.filter(pk=actor.id, is_active=True, groups__name=MANAGER)
        if managers.exists():
            return None
    return Refusal("may_not_pause", "Only a manager or an ops admin pauses.")


def may_write_policy(actor: Actor) -> Refusal | None:
    """Whether the actor may draft, edit, replay and publish policy. None means yes.

    Risk owners and whoever may configure. Publishing one's own words is refused elsewhere.
    """
    if may_configure(actor) is None:
        return None
    if actor.kind == ActorKind.HUMAN:
        owners = User.objects.filter(pk=actor.id, is_active=True, groups__name=RISK_OWNER)
        if owners.exists():
            return None
    return Refusal("not_risk_owner", "Only a risk owner or an ops admin writes policy.")


def may_keep_agents_of(actor: Actor, *owner_ids: int) -> Refusal | None:
    """Whether the actor may register, change, pause or give keys to these owners' agents.

    An ops admin and parts of the system may; an agent owner for their own. None means yes.
    """
    if may_configure(actor) is None:
        return None
    if actor.kind == ActorKind.HUMAN and {actor.id} == {str(owner) for owner in owner_ids}:
        owners = User.objects.filter(pk=actor.id, is_active=True, groups__name=AGENT_OWNER)
        if owners.exists():
            return None
    return Refusal("not_agent_keeper", "Only the agent's owner or an ops admin does that.")


def judge(
    decider: Decider,
    limits: Iterable[Limit],
    case: Case,
    requirement: RequirementSpec,
    *,
    spent_today: int,
) -> Authority | Refusal:
    """The judgement itself, pure. `limits` are the decider's own and their groups'."""
    return (
        _standing(decider, requirement)
        or _separation(decider, case)
        or _within_limit(limits, case, requirement, spent_today)
    )


def best_limit(limits: Iterable[Limit], action_type: str, currency: str) -> Limit | None:
    """A personal limit beats the groups'; of the groups' the largest counts.

    Of one holder's limits the narrowest pattern counts: a limit for refund.issue beats one for *.
    """
    narrowest: dict[str, Limit] = {}
    for limit in limits:
        if limit.currency != currency or not patterns.applies(limit.action_type, action_type):
            continue
        other = narrowest.get(limit.group)
        if other is None or _width(limit) > _width(other):
            narrowest[limit.group] = limit
    if "" in narrowest:
        return narrowest[""]
    return max(narrowest.values(), key=lambda limit: (limit.each_minor, -limit.id), default=None)


def _width(limit: Limit) -> int:
    return patterns.specificity(limit.action_type)


def _standing(decider: Decider, requirement: RequirementSpec) -> Refusal | None:
    if not decider.is_active:
        return Refusal("inactive", "This account is deactivated.")
    for role in sorted(decider.groups & NEVER_DECIDE):
        return Refusal("never_decides", f"Members of {role} configure or read; they never decide.")
    if requirement.group not in decider.groups or requirement.group not in DECIDING_ROLES:
        return Refusal("not_in_group", f"Only {requirement.group} decides this.")
    return None


def _separation(decider: Decider, case: Case) -> Refusal | None:
    role = case.involved.get(decider.person)
    if role is not None:
        return Refusal(
            "four_eyes", f"You took part in this request ({role}), so somebody else decides it."
        )
    if decider.person in case.decided:
        return Refusal("already_decided", "You have decided on this request already.")
    return None


def _within_limit(
    limits: Iterable[Limit], case: Case, requirement: RequirementSpec, spent_today: int
) -> Authority | Refusal:
    amount = case.amount
    if not requirement.within_limit or amount is None:
        return Authority(requirement.group, None, None)
    limit = best_limit(limits, case.action_type, amount.currency)
    if limit is None:
        return Refusal(
            "no_limit", f"You have no approval limit for {case.action_type} in {amount.currency}."
        )
    if amount.minor > limit.each_minor:
        shown = Money(limit.each_minor, limit.currency)
        return Refusal("over_limit", f"This is above your approval limit ({shown}).")
    if limit.per_day_minor is not None and spent_today + amount.minor > limit.per_day_minor:
        shown = Money(limit.per_day_minor, limit.currency)
        return Refusal(
            "over_daily_limit", f"This would exceed your approval limit for 24 hours ({shown})."
        )
    return Authority(requirement.group, limit.each_minor, limit.id)


def _fresh(user: User) -> tuple[Decider, list[Limit]]:
    """The account and its limits as the database has them now."""
    known = User.objects.prefetch_related("groups").get(pk=user.pk)
    decider = _decider(known)
    # whoever configures or audits with one account does not decide with another
    elsewhere = User.objects.filter(person=known.person, groups__name__in=NEVER_DECIDE)
    barred = frozenset(elsewhere.values_list("groups__name", flat=True)) & NEVER_DECIDE
    decider = replace(decider, groups=decider.groups | barred)
    rows: QuerySet[ApprovalLimit, Any] = ApprovalLimit.objects.filter(
        Q(user=known) | Q(group__name__in=decider.groups), valid=True
    ).select_related("group")
    return decider, _limits(rows, known, decider)


def _decider(user: User) -> Decider:
    groups = frozenset(group.name for group in user.groups.all())
    return Decider(user.person, user.is_active, groups)


def _limits(rows: Iterable[ApprovalLimit], user: User, decider: Decider) -> list[Limit]:
    return [
        Limit(
            row.pk,
            row.group.name if row.group else "",
            row.action_type,
            row.currency,
            row.each_minor,
            row.per_day_minor,
        )
        for row in rows
        if row.user_id == user.pk or (row.group and row.group.name in decider.groups)
    ]
