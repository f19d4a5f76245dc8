"""What the rules of authority ask about accounts, as the database has it now.

Asked by `policies.authority` alone, which says what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q, QuerySet

from audit.lib.one_look import looks_once, once_a_page
from policies.authority_rules import Decider, Limit
from policies.models import ApprovalLimit, Delegation, User
from policies.roles import NEVER_DECIDE


@dataclass(frozen=True, slots=True)
class Member:
    """One account with everything the evaluation asks about it."""

    user: User
    decider: Decider
    limits: tuple[Limit, ...]


@once_a_page
def roles_of_account(user_id: str) -> tuple[bool, frozenset[str]]:
    """Whether the account is active, and the roles it is in."""
    rows = list(User.objects.filter(pk=user_id).values_list("is_active", "groups__name"))
    active = any(is_active for is_active, _ in rows)
    return active, frozenset(name for _, name in rows if name is not None)


def read_together(viewer_id: int, groups: Set[str], at: datetime) -> None:
    """Everybody a page is going to ask about, in one look; elsewhere it does nothing.

    The viewer, whoever may answer for these groups, and whoever delegates to somebody.
    """
    if not looks_once():
        return
    rows = _all_in_force(at)
    delegates = {row.delegate_id for row in rows}
    lenders = {row.lender_id for row in rows}
    wanted = Q(groups__name__in=groups) | Q(pk__in={viewer_id} | delegates | lenders)
    together = _read_together()
    together.groups |= groups
    for one in _members(User.objects.filter(wanted).distinct()):
        together.members[one.user.pk] = one


@dataclass(slots=True)
class _Together:
    """Accounts in hand, with everybody who is in these groups."""

    members: dict[int, Member] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)


@once_a_page
def _read_together() -> _Together:
    return _Together()


@once_a_page
def member(user_id: int) -> Member:
    """The account and its limits as the database has them now."""
    known = _read_together().members.get(user_id)
    return known or _members(User.objects.filter(pk=user_id))[0]


@once_a_page
def candidates(groups: frozenset[str], delegates: frozenset[int]) -> list[Member]:
    """Active accounts of these groups and those delegates, but nobody who never decides."""
    together = _read_together()
    if groups <= together.groups and delegates <= together.members.keys():
        found = (
            one
            for one in together.members.values()
            if one.user.is_active
            and (one.decider.groups & groups or one.user.pk in delegates)
            and not one.decider.elsewhere & NEVER_DECIDE
        )
        return sorted(found, key=lambda one: one.user.username)
    accounts = User.objects.filter(Q(groups__name__in=groups) | Q(pk__in=delegates), is_active=True)
    never = people_who_never_decide().values("person")
    return _members(accounts.exclude(person__in=never).order_by("username").distinct())


def delegations_in_force(
    delegates: frozenset[int] | None, at: datetime
) -> list[tuple[Delegation, Member]]:
    """Delegations and whose authority each is, oldest first; to anybody for None."""
    found = held_in_force(delegates, at)
    ids = {row.lender_id for row in found}
    known = _read_together().members
    lenders = {pk: known[pk] for pk in ids & known.keys()}
    if missing := ids - known.keys():
        asked = User.objects.filter(pk__in=missing)
        lenders |= {one.user.pk: one for one in _members(asked)}
    return [(row, lenders[row.lender_id]) for row in found]


def held_in_force(delegates: frozenset[int] | None, at: datetime) -> list[Delegation]:
    """Delegations to these accounts, oldest first; to anybody for None."""
    if looks_once():
        rows = _all_in_force(at)
        return [row for row in rows if delegates is None or row.delegate_id in delegates]
    found = _in_force(at)
    return list(found if delegates is None else found.filter(delegate__in=delegates))


@once_a_page
def _all_in_force(at: datetime) -> list[Delegation]:
    return list(_in_force(at))


def _in_force(at: datetime) -> QuerySet[Delegation]:
    return Delegation.objects.in_force(at).select_related("lender").order_by("pk")


def people_who_never_decide() -> QuerySet[User]:
    """Every account in a role that configures or audits."""
    return User.objects.filter(groups__name__in=NEVER_DECIDE)


def _members(accounts: QuerySet[User]) -> list[Member]:
    """The accounts as they are now, in three statements whatever their number."""
    users = list(accounts)
    of_account: dict[int, set[str]] = {}
    of_person: dict[str, set[str]] = {}
    of_people = User.objects.filter(person__in={user.person for user in users})
    for pk, person, name in of_people.values_list("pk", "person", "groups__name"):
        of_person.setdefault(person, set()).add(name or "")
        of_account.setdefault(pk, set()).update({name} if name else ())
    held = {user.pk: frozenset(of_account.get(user.pk, ())) for user in users}
    rows = ApprovalLimit.objects.filter(
        Q(user__in=[user.pk for user in users])
        | Q(group__name__in=frozenset[str]().union(*held.values())),
        valid=True,
    ).select_related("group")
    limits = list(rows) if users else []
    return [
        Member(
            user,
            Decider(
                user.person,
                user.is_active,
                held[user.pk],
                # whoever configures or audits with one account does not decide with another
                elsewhere=frozenset(of_person.get(user.person, ())),
            ),
            tuple(_limits(limits, user, held[user.pk])),
        )
        for user in users
    ]


def _limits(rows: Iterable[ApprovalLimit], user: User, held: Set[str]) -> list[Limit]:
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
        if row.user_id == user.pk or (row.group and row.group.name in held)
    ]
