"""The evaluation behind "may this person?", pure: frozen values in, grounds or a refusal out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from audit.lib.money import Money
from policies import patterns
from policies.models import User
from policies.roles import BREAK_GLASS, DECIDING_ROLES, NEVER_DECIDE
from policies.team_names import asked_personally, spoken
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
    """Persons who have decided on this request already, or delegated their authority to it."""
    abstained: frozenset[str] = frozenset()
    """Persons who left it to others."""
    spent_today: SpentToday = 0
    """What the decider approved in the last 24 hours, in minor units of `amount`'s currency."""
    at: datetime | None = None
    """When. Delegated authority has a window: without a time, only one's own counts."""


@dataclass(frozen=True, slots=True)
class Decider:
    """One account, as far as authority is concerned."""

    person: str
    is_active: bool
    groups: frozenset[str]
    made_teams: frozenset[str] = frozenset()
    """Those of the groups that are teams a company made; the built-in ones are known by name."""
    elsewhere: frozenset[str] = frozenset()
    """What the person's other accounts are in: it excludes them, and opens nothing."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One approval limit; `group` is empty for a personal one."""

    id: int
    group: str
    action_type: str
    currency: str
    each_minor: int
    per_day_minor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegatedAuthority:
    """Authority somebody delegated to the decider, with the delegator as they are now."""

    id: int
    lender: Decider
    limits: tuple[Limit, ...]  # the delegator's own and their groups'
    starts_at: datetime
    ends_at: datetime
    revoked: bool = False
    group: str = ""  # the role delegated; "" for every deciding role of the delegator
    action_type: str = patterns.EVERY
    cap: Money | None = None
    spent_today: int = 0  # the delegator's day, with what others approved on their behalf

    def is_in_force(self, at: datetime | None) -> bool:
        return at is not None and not self.revoked and self.starts_at <= at < self.ends_at


@dataclass(frozen=True, slots=True)
class Authority:
    """On what grounds somebody may decide."""

    group: str
    limit_minor: int | None  # None where no limit was asked for
    limit_id: int | None
    on_behalf_of: str = ""  # the person who delegated the authority; "" for one's own
    delegation_id: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody may not; the message is for them to read."""

    code: str
    message: str


def authorise(
    decider: Decider,
    limits: Iterable[Limit],
    case: Case,
    requirement: RequirementSpec,
    *,
    spent_today: int,
    delegated: Iterable[DelegatedAuthority] = (),
) -> Authority | Refusal:
    """Their own authority first, then what was delegated. `limits` are their own and groups'."""
    own = authorise_own(decider, limits, case, requirement, spent_today=spent_today)
    if isinstance(own, Authority):
        return own
    refusal = own
    for one in delegated:
        answer = authorise_delegated(decider, one, case, requirement)
        if isinstance(answer, Authority):
            return answer
        if refusal.code == "not_in_group" and answer.code != "not_lent":
            refusal = answer
    return refusal


def authorise_own(
    decider: Decider,
    limits: Iterable[Limit],
    case: Case,
    requirement: RequirementSpec,
    *,
    spent_today: int,
) -> Authority | Refusal:
    """What they may by themselves."""
    group = _group(decider, requirement)
    return (
        _barred(decider, requirement)
        or (None if group else _wrong_group(requirement))
        or _separation(decider, case)
        or _within_limit(limits, case, requirement, group, spent_today)
    )


def authorise_delegated(
    decider: Decider, delegated: DelegatedAuthority, case: Case, requirement: RequirementSpec
) -> Authority | Refusal:
    """What they may on the delegator's behalf: never more than the delegator could do now.

    Both must be free of the case, and the smaller of the delegator's limit and the cap counts. The
    delegator's own groups count and nothing delegated to them: authority is delegated once.
    """
    covered = tuple(g for g in requirement.groups if delegated.group in ("", g))
    if (
        not delegated.is_in_force(case.at)
        or not patterns.applies(delegated.action_type, case.action_type)
        or not covered
        or delegated.lender.person == decider.person
    ):
        return Refusal("not_lent", "Nobody has delegated authority for this to you.")
    asked = replace(requirement, group=covered[0], alternatives=covered[1:])
    group = _group(delegated.lender, asked)
    lender = delegated.lender.person
    refusal = _barred(decider, asked) or _separation(decider, case)
    if refusal:
        return refusal
    if not group or _barred(delegated.lender, asked):
        return Refusal(
            "lender_may_not", f"{lender}, who delegated authority to you, may not decide this."
        )
    if lender in case.involved:
        return Refusal(
            "lender_four_eyes",
            f"{lender}, who delegated authority to you, took part in this request "
            f"({case.involved[lender]}), so it does not count here.",
        )
    if lender in case.abstained:
        return Refusal(
            "lender_abstained",
            f"{lender}, who delegated authority to you, abstained from this.",
        )
    if lender in case.decided:
        return Refusal(
            "lender_decided",
            f"{lender}, who delegated authority to you, has decided on this already.",
        )
    if delegated.cap is not None and case.amount is not None:
        if delegated.cap.currency != case.amount.currency:
            return Refusal(
                "over_cap",
                f"What was delegated to you is for {delegated.cap.currency} "
                f"(up to {delegated.cap}); this is in {case.amount.currency}.",
            )
        if case.amount.minor > delegated.cap.minor:
            return Refusal(
                "over_cap", f"This is above what was delegated to you ({delegated.cap})."
            )
    answer = _within_limit(delegated.limits, case, asked, group, delegated.spent_today)
    if isinstance(answer, Refusal):
        return Refusal(
            f"lender_{answer.code}", f"{lender}, who delegated authority to you: {answer.message}"
        )
    limit = answer.limit_minor
    if limit is not None and delegated.cap is not None:
        limit = min(limit, delegated.cap.minor)
    return replace(answer, limit_minor=limit, on_behalf_of=lender, delegation_id=delegated.id)


def authorise_break_glass(decider: Decider, case: Case) -> Authority | Refusal:
    """Whether they may approve alone in an emergency: the role, and no hand in it."""
    return (
        _barred(decider, RequirementSpec(BREAK_GLASS))
        or (None if BREAK_GLASS in decider.groups else _wrong_group(RequirementSpec(BREAK_GLASS)))
        or _separation(decider, case)
        or Authority(BREAK_GLASS, None, None)
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


def _group(decider: Decider, requirement: RequirementSpec) -> str:
    """The first of the groups asked that they are in; "" for none."""
    held = decider.groups & frozenset(DECIDING_ROLES) | decider.made_teams
    held |= {asked_personally(decider.person)}
    return next((group for group in requirement.groups if group in held), "")


def _barred(decider: Decider, requirement: RequirementSpec) -> Refusal | None:
    if not decider.is_active:
        return Refusal("inactive", "This account is deactivated.")
    held = decider.groups | decider.elsewhere
    for role in sorted(held & NEVER_DECIDE):
        return Refusal("never_decides", f"Members of {role} configure or read; they never decide.")
    for role in sorted(held & frozenset(requirement.excludes)):
        return Refusal("excluded", f"Members of {role} do not count here; somebody else decides.")
    return None


def _wrong_group(requirement: RequirementSpec) -> Refusal:
    groups = " or ".join(map(spoken, requirement.groups))
    return Refusal("not_in_group", f"Only {groups} decides this.")


def _separation(decider: Decider, case: Case) -> Refusal | None:
    role = case.involved.get(decider.person)
    if role is not None:
        return Refusal(
            "four_eyes", f"You took part in this request ({role}), so somebody else decides it."
        )
    if decider.person in case.decided:
        return Refusal("already_decided", "You have decided on this request already.")
    if decider.person in case.abstained:
        return Refusal("abstained", "You abstained from this, so others decide it.")
    return None


def _within_limit(
    limits: Iterable[Limit], case: Case, requirement: RequirementSpec, group: str, spent_today: int
) -> Authority | Refusal:
    amount = case.amount
    if not requirement.within_limit or amount is None:
        return Authority(group, None, None)
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
    return Authority(group, limit.each_minor, limit.id)
