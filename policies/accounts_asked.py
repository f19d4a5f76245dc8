"""What the rules of authority ask about accounts, as the database has it now.

Asked by `policies.authority`, which says what follows from it, and by `policies.colleagues`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet

from audit.lib.one_look import looks_once, once_a_page
from audit.lib.prepared import Given, Prepared, Question
from policies.authority_rules import Decider, Limit
from policies.models import ApprovalLimit, Delegation, User
from policies.roles import NEVER_DECIDE
from policies.team_names import persons_in


@dataclass(frozen=True, slots=True)
class Member:
    """One account with everything the evaluation asks about it."""

    user: User
    decider: Decider
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class AccountRoles:
    """The roles one account is in, teams among them."""

    person: str
    is_active: bool
    roles: frozenset[str]
    made_teams: frozenset[str]


@once_a_page
def roles_of_account(user_id: str) -> AccountRoles:
    """The account's roles as the database has them now; nothing for one that is not there."""
    asked = User.objects.filter(pk=user_id)
    rows = list(asked.values_list("person", "is_active", "groups__name", "groups__team__code"))
    return AccountRoles(
        person=next((person for person, *_ in rows), ""),
        is_active=any(is_active for _, is_active, _, _ in rows),
        roles=frozenset(role for _, _, role, _ in rows if role),
        made_teams=frozenset(team for *_, team in rows if team),
    )


def read_together(viewer_id: int, groups: Set[str], at: datetime) -> None:
    """Everybody a page is going to ask about, in one look; elsewhere it does nothing.

    The viewer, whoever may answer for these groups, and whoever delegates to somebody.
    """
    if not looks_once():
        return
    rows = _all_in_force(at)
    delegates = {row.delegate_id for row in rows}
    lenders = {row.lender_id for row in rows}
    wanted = _answering(groups) | Q(pk__in={viewer_id} | delegates | lenders)
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
    if known is not None:
        return known
    (user,) = _ACCOUNT.all(pk=user_id)
    roles, limits = _ROLES_OF_PERSON.all(person=user.person), _LIMITS.all(pk=user_id)
    return _assembled([user], roles, limits)[0]


def account_asked(user: User) -> list[Question]:
    """What `member` asks about an account."""
    pk = user.pk
    return [
        _ACCOUNT.asking(pk=pk),
        _ROLES_OF_PERSON.asking(person=user.person),
        _LIMITS.asking(pk=pk),
    ]


_ACCOUNT = Prepared(lambda: User.objects.filter(pk=Given("pk")))
_ROLES = ("pk", "person", "groups__name", "groups__team__code")
RoleRow = tuple[int, str, str | None, str | None]
_ROLES_OF_PERSON: Prepared[RoleRow] = Prepared(
    lambda: User.objects.filter(person=Given("person")).values_list(*_ROLES)
)
_LIMITS = Prepared(
    lambda: ApprovalLimit.objects.filter(
        Q(user=Given("pk")) | Q(group__in=Group.objects.filter(user=Given("pk")).values("pk")),
        valid=True,
    ).select_related("group")
)
"""The account's own and those of its roles."""


@once_a_page
def candidates(groups: frozenset[str], delegates: frozenset[int]) -> list[Member]:
    """Active accounts of these groups and those delegates, but nobody who never decides."""
    together, asked = _read_together(), persons_in(groups)
    if groups <= together.groups and delegates <= together.members.keys():
        found = (
            one
            for one in together.members.values()
            if one.user.is_active
            and (
                one.decider.groups & groups or one.user.person in asked or one.user.pk in delegates
            )
            and not one.decider.elsewhere & NEVER_DECIDE
        )
        return sorted(found, key=lambda one: one.user.username)
    accounts = User.objects.filter(_answering(groups) | Q(pk__in=delegates), is_active=True)
    never = people_who_never_decide().values("person")
    return _members(accounts.exclude(person__in=never).order_by("username").distinct())


def _answering(groups: Set[str]) -> Q:
    """Whoever is in one of these teams, or is asked by name."""
    members, asked = Q(groups__name__in=groups), persons_in(groups)
    return members | Q(person__in=asked) if asked else members


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
    of_people = User.objects.filter(person__in={user.person for user in users})
    roles = list(of_people.values_list(*_ROLES))
    held = {name for _, _, name, _ in roles if name is not None}
    limits = ApprovalLimit.objects.filter(
        Q(user__in=[user.pk for user in users]) | Q(group__name__in=held), valid=True
    ).select_related("group")
    return _assembled(users, roles, list(limits) if users else ())


def _assembled(
    users: Sequence[User],
    roles: Iterable[RoleRow],
    limits: Collection[ApprovalLimit],
) -> list[Member]:
    """The accounts with the roles that they and the same people's others hold, and their limits."""
    of_account: dict[int, set[str]] = {}
    of_person: dict[str, set[str]] = {}
    teams: set[str] = set()
    for pk, person, name, team in roles:
        of_person.setdefault(person, set()).add(name or "")
        of_account.setdefault(pk, set()).update({name} if name else ())
        teams.update({team} if team else ())
    held = {user.pk: frozenset(of_account.get(user.pk, ())) for user in users}
    return [
        Member(
            user,
            Decider(
                user.person,
                user.is_active,
                held[user.pk],
                made_teams=held[user.pk] & teams,
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
