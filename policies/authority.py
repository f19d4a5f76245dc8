"""May this person? The only place that answers; superusers have no way around it.

The rules behind it are pure (`policies.authority_rules`) and work on frozen values; the functions
here fetch those values fresh from the database, so a cached account grants nothing.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime

from django.contrib.auth.models import Group
from django.db.models import QuerySet

from audit.actors import Actor, ActorKind
from audit.lib.money import Money
from policies.accounts_asked import (
    AccountRoles,
    Member,
    account_asked,
    candidates,
    delegations_in_force,
    held_in_force,
    member,
    people_who_never_decide,
    read_together,
    roles_of_account,
)
from policies.authority_rules import (
    Authority,
    Case,
    Decider,
    DelegatedAuthority,
    Limit,
    Refusal,
    authorise,
    authorise_break_glass,
    authorise_delegated,
    authorise_own,
    best_limit,
)
from policies.models import Ownership, User
from policies.roles import (
    AGENT_OWNER,
    AUDITOR,
    BREAK_GLASS,
    BREAK_GLASS_REVIEWERS,
    CONFIGURING_ROLE,
    DECIDING_ROLES,
    MANAGER,
    NEVER_DECIDE,
    RISK_OWNER,
    SECURITY,
)
from policies.team_names import asked_personally, person_in
from policies.verdicts import RequirementSpec

__all__ = [
    "Authority",
    "Case",
    "Decider",
    "DelegatedAuthority",
    "Limit",
    "Refusal",
    "account_asked",
    "authorise",
    "best_limit",
    "people_who_never_decide",
    "read_together",
]


def may_decide(user: User, case: Case, requirement: RequirementSpec) -> Authority | Refusal:
    """Whether this user may decide this case for one of this requirement's groups, on what grounds.

    Their own authority counts first, then what is delegated to them at the case's time. The
    caller has checked that the requirement is open. Being a superuser changes nothing.
    """
    account = member(user.pk)
    own = _authorise_own(account, case, requirement)
    if isinstance(own, Authority) or case.at is None:
        return own
    delegated = delegated_to(frozenset({user.pk}), case, case.at).get(user.pk, ())
    return authorise(
        account.decider,
        account.limits,
        case,
        requirement,
        spent_today=_spent(case, account.user),
        delegated=delegated,
    )


def still_may_decide(
    user: User, case: Case, requirement: RequirementSpec, *, delegation_id: int | None
) -> Authority | Refusal:
    """Whether a decision still stands on the very grounds it was given on.

    What was said on somebody's behalf falls with the delegation, whatever else they could say.
    """
    account = member(user.pk)
    if delegation_id is None:
        return _authorise_own(account, case, requirement)
    held = delegated_to(frozenset({user.pk}), case, case.at).get(user.pk, ()) if case.at else ()
    for one in held:
        if one.id == delegation_id:
            return authorise_delegated(account.decider, one, case, requirement)
    return Refusal("not_lent", "The authority delegated to them is no longer in force.")


def may_break_glass(user: User, case: Case) -> Authority | Refusal:
    """Whether this user may approve alone in an emergency; delegated authority never does."""
    return authorise_break_glass(member(user.pk).decider, case)


def limit_for(user: User, action_type: str, currency: str) -> Limit | None:
    """The limit that counts for this person: see `best_limit`."""
    return best_limit(member(user.pk).limits, action_type, currency)


def limits_of(user: User) -> tuple[Limit, ...]:
    """The person's own limits and their groups', as they are now."""
    return member(user.pk).limits


def deciders_for(case: Case, requirement: RequirementSpec) -> list[User]:
    """Everybody who may decide it now, by user name. Empty means: the route leads nowhere."""
    return [user for user, _ in deciders_with_authority(case, requirement)]


def deciders_with_authority(
    case: Case, requirement: RequirementSpec
) -> list[tuple[User, Authority]]:
    """Everybody who may decide it now and why, by user name."""
    delegated: dict[int, list[DelegatedAuthority]] = {}
    if case.at is not None:
        delegated = delegated_to(None, case, case.at)
    result = []
    for one in candidates(frozenset(requirement.groups), frozenset(delegated)):
        answer = authorise(
            one.decider,
            one.limits,
            case,
            requirement,
            spent_today=_spent(case, one.user),
            delegated=delegated.get(one.user.pk, ()),
        )
        if isinstance(answer, Authority):
            result.append((one.user, answer))
    return result


def groups_delegated_to(user: User, *, at: datetime) -> frozenset[str]:
    """What somebody delegates this account now: teams, and what is asked of them by name."""
    if never_decides(roles_of(user)) or not user.is_active:
        return frozenset()
    groups: set[str] = set()
    for delegated in held_in_force(frozenset({user.pk}), at):
        if delegated.lender.is_active:
            names = _inboxes(roles_of_account(str(delegated.lender_id)))
            groups |= names & ({delegated.group} if delegated.group else names)
    return frozenset(groups)


def may_configure(actor: Actor) -> Refusal | None:
    """Whether the actor may change roles, limits, people and policies. None means yes.

    Parts of the system may (installation, synchronisation); agents never; people as ops admin.
    """
    if actor.kind == ActorKind.SYSTEM:
        return None
    if CONFIGURING_ROLE in _roles_in_use(actor):
        return None
    return Refusal("not_ops_admin", "Only an ops admin changes roles, limits, people and policies.")


def may_stop(actor: Actor) -> Refusal | None:
    """Whether the actor may pause actions, connectors or everything. None means yes.

    Stopping is easy: managers may, as whoever may configure. Lifting takes the latter.
    """
    if may_configure(actor) is None or MANAGER in _roles_in_use(actor):
        return None
    return Refusal("may_not_pause", "Only a manager or an ops admin pauses.")


def may_write_policy(actor: Actor, *, floor: bool = False) -> Refusal | None:
    """Whether the actor may draft, edit, replay and publish policy. None means yes.

    Risk owners and whoever may configure; the floor below it is security's alone. Publishing one's
    own words is refused elsewhere.
    """
    if floor:
        if SECURITY in _roles_in_use(actor):
            return None
        return Refusal("not_security", "Only security writes the floor.")
    if may_configure(actor) is None or RISK_OWNER in _roles_in_use(actor):
        return None
    return Refusal("not_risk_owner", "Only a risk owner or an ops admin writes policy.")


def may_keep_agents_of(actor: Actor, *owner_ids: int) -> Refusal | None:
    """Whether the actor may register, change, pause or give keys to these owners' agents.

    An ops admin and parts of the system may; an agent owner for their own. None means yes.
    """
    if may_configure(actor) is None:
        return None
    keeps_them = {actor.id} == {str(owner) for owner in owner_ids}
    if keeps_them and AGENT_OWNER in _roles_in_use(actor):
        return None
    return Refusal("not_agent_keeper", "Only the agent's owner or an ops admin does that.")


# --- What roles open to read and to do; deciding is asked about above -----------------------------


def roles_of(user: User) -> frozenset[str]:
    """The roles the account is in now, whether or not it is active."""
    return roles_of_account(str(user.pk)).roles


def _roles_in_use(actor: Actor) -> frozenset[str]:
    """The roles of a person who may sign in; nobody else has any."""
    if actor.kind != ActorKind.HUMAN:
        return frozenset()
    account = roles_of_account(actor.id)
    return account.roles if account.is_active else frozenset()


def is_ops_admin(roles: Set[str]) -> bool:
    return CONFIGURING_ROLE in roles


def is_manager(roles: Set[str]) -> bool:
    return MANAGER in roles


def is_auditor(roles: Set[str]) -> bool:
    return AUDITOR in roles


def is_agent_owner(roles: Set[str]) -> bool:
    return AGENT_OWNER in roles


def never_decides(roles: Set[str]) -> bool:
    """Who configures or audits does not decide, whatever other role they hold."""
    return bool(roles & NEVER_DECIDE)


def teams_of(user: User) -> frozenset[str]:
    """The teams the account is in itself, whether or not it is active."""
    account = roles_of_account(str(user.pk))
    return account.roles & frozenset(DECIDING_ROLES) | account.made_teams


def may_be_asked(user: User) -> bool:
    """Whether something may be asked of them: of a team of theirs, or of them by name."""
    if teams_of(user):
        return True
    if never_decides(roles_of(user)):
        return False
    owns = Ownership.objects.filter(person__person=user.person, ended_at=None)
    return owns.exists() or User.objects.filter(line_manager__person=user.person).exists()


def inboxes_at(user: User, *, at: datetime) -> tuple[str, ...]:
    """The inboxes of this account now, its own and those of whoever delegates to it.

    First the teams, the built-in ones in the order they are declared in, then what is asked of a
    person by name.
    """
    if not user.is_active:
        return ()
    held = _inboxes(roles_of_account(str(user.pk))) | groups_delegated_to(user, at=at)
    built_in = tuple(role for role in DECIDING_ROLES if role in held)
    return (*built_in, *sorted(held - set(built_in), key=lambda one: (bool(person_in(one)), one)))


def _inboxes(account: AccountRoles) -> frozenset[str]:
    """The account's teams, and what it is asked by name unless it configures or audits."""
    teams = account.roles & frozenset(DECIDING_ROLES) | account.made_teams
    asked = frozenset({asked_personally(account.person)})
    return teams if never_decides(account.roles) else teams | asked


def only_reads(roles: Set[str]) -> bool:
    """No role, or the auditor's alone."""
    return not roles - {AUDITOR}


def watches_operations(roles: Set[str]) -> bool:
    """Who is shown what is wrong with the installation: auditors and ops admins."""
    return bool(roles & {AUDITOR, CONFIGURING_ROLE})


def answers_for_policy(roles: Set[str]) -> bool:
    """Who is shown what waits about policy: risk owners and ops admins."""
    return bool(roles & {RISK_OWNER, CONFIGURING_ROLE})


def has_break_glass(roles: Set[str]) -> bool:
    return BREAK_GLASS in roles


def reviews_break_glass(roles: Set[str]) -> bool:
    """Who reviews an emergency afterwards."""
    return bool(roles & {*BREAK_GLASS_REVIEWERS})


def roles_told_of_break_glass(user: User) -> QuerySet[Group]:
    """The roles of this account whose members are told of emergencies; for one query with more."""
    return user.groups.filter(name__in=[*BREAK_GLASS_REVIEWERS, CONFIGURING_ROLE, AUDITOR])


def is_shown_break_glass(roles: Set[str]) -> bool:
    """Who sees that emergencies wait for their review on the index page."""
    return reviews_break_glass(roles) or is_ops_admin(roles)


def delegated_to(
    accounts: frozenset[int] | None, case: Case, at: datetime
) -> dict[int, list[DelegatedAuthority]]:
    """Delegations in force now, oldest first, by the delegate's account; to anybody for None."""
    result: dict[int, list[DelegatedAuthority]] = {}
    for row, lender in delegations_in_force(accounts, at):
        delegated = DelegatedAuthority(
            id=row.pk,
            lender=lender.decider,
            limits=lender.limits,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            revoked=row.revoked_at is not None,
            group=row.group,
            action_type=row.action_type,
            cap=None if row.cap_minor is None else Money(row.cap_minor, row.cap_currency),
            spent_today=_spent(case, lender.user),
        )
        result.setdefault(row.delegate_id, []).append(delegated)
    return result


def _authorise_own(
    account: Member, case: Case, requirement: RequirementSpec
) -> Authority | Refusal:
    return authorise_own(
        account.decider,
        account.limits,
        case,
        requirement,
        spent_today=_spent(case, account.user),
    )


def _spent(case: Case, user: User) -> int:
    return case.spent_today(user) if callable(case.spent_today) else case.spent_today
