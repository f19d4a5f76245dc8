"""Who may answer for a team, in values a list keeps for seconds. Nothing is decided by them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from policies.accounts_asked import candidates
from policies.authority import delegated_to
from policies.authority_rules import (
    Authority,
    Case,
    Decider,
    DelegatedAuthority,
    Limit,
    Refusal,
    authorise,
)
from policies.verdicts import HIGHEST_TIER, RequirementSpec


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who may answer for a team, as lists tell of them: values, to be kept some seconds.

    Nothing is decided by it.
    """

    user_id: int
    name: str
    spellings: frozenset[str]
    """What an agent may call them, without regard to case."""
    decider: Decider
    limits: tuple[Limit, ...]
    delegated: tuple[DelegatedAuthority, ...] = ()


def colleagues_of(groups: frozenset[str], *, at: datetime) -> tuple[Colleague, ...]:
    """Everybody who may answer for these groups now, themselves or for somebody, by user name."""
    delegated = delegated_to(None, _NO_CASE, at)
    return tuple(
        Colleague(
            one.user.pk,
            one.user.get_full_name() or one.user.get_username(),
            frozenset(
                text.casefold()
                for text in (one.user.get_username(), one.user.email, one.user.person)
                if text
            ),
            one.decider,
            one.limits,
            tuple(delegated.get(one.user.pk, ())),
        )
        for one in candidates(groups, frozenset(delegated))
    )


def could_answer(
    colleague: Colleague, case: Case, requirement: RequirementSpec
) -> Authority | Refusal:
    """`may_decide`, as far as is known of them; amounts of a day aside."""
    return authorise(
        colleague.decider,
        colleague.limits,
        case,
        requirement,
        spent_today=0,
        delegated=colleague.delegated,
    )


_NO_CASE = Case(action_type="", amount=None, tier=HIGHEST_TIER)
