"""What a waiting change of a limit would do: for whoever is to agree to it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.contrib.auth.models import Group

from policies.authority import teams_of
from policies.models import AuthorityChange, User
from policies.services.backtests import past_cases
from policies.services.limits import SET, Terms, counting_limit, effective_words, limit_words


@dataclass(frozen=True, slots=True)
class LimitEffect:
    """What a waiting change of a limit would do, in words, and to how many recent cases."""

    before: str
    after: str
    cases: int
    """Requests of the last 30 days that would have come within it, and did not."""


def effect_of(change: AuthorityChange) -> LimitEffect | None:
    """The limit that counts now and the one that would; None for other kinds of change."""
    if change.kind != SET:
        return None
    terms = Terms(**json.loads(change.payload)["terms"])
    user = User.objects.filter(pk=terms.user_id).first() if terms.user_id else None
    group = Group.objects.filter(name=terms.role).first() if terms.role else None
    if user is None and group is None:
        return None
    counting = counting_limit(user, group, terms)
    teams = teams_of(user) if user is not None else frozenset({terms.role})
    return LimitEffect(
        before=effective_words(counting),
        after=limit_words(terms.currency, terms.each_minor, terms.per_day_minor),
        cases=past_cases().newly_within(
            terms.action_type,
            terms.currency,
            above=counting.each_minor if counting else 0,
            up_to=terms.each_minor,
            groups=teams,
        ),
    )
