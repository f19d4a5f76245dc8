"""What a limit says, in numbers and in words, and when it allows more than another one."""

from __future__ import annotations

from dataclasses import dataclass

from audit.money import Money
from policies.models import ApprovalLimit


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose limit, for what, and how much (minor units)."""

    action_type: str
    currency: str
    each_minor: int
    per_day_minor: int | None
    user_id: int | None
    role: str


def allows_more(limit: ApprovalLimit | None, each_minor: int, per_day: int | None) -> bool:
    """Whether these amounts allow more than the limit does; a new limit always does."""
    if limit is None or each_minor > limit.each_minor:
        return True
    before = limit.per_day_minor
    return before is not None and (per_day is None or per_day > before)


def amounts(limit: ApprovalLimit | None) -> list[int | None] | None:
    """Each and per day, to be compared later; None for a limit that is not there."""
    return [limit.each_minor, limit.per_day_minor] if limit else None


def setting(limit: ApprovalLimit | None, terms: Terms, *, whose: str) -> str:
    """What setting these terms does, in one sentence."""
    now = said(terms.currency, terms.each_minor, terms.per_day_minor)
    before = f"it is {_of(limit)} now" if limit else "there is no such limit now"
    return f"Set the limit of {whose} for {_what(terms.action_type)} to {now}; {before}."


def removing(limit: ApprovalLimit, wider: ApprovalLimit, *, whose: str) -> str:
    """What removing the limit does where another one counts from then on, in one sentence."""
    return (
        f"Remove the limit of {whose} for {_what(limit.action_type)} ({_of(limit)}). "
        f"The one of {wider.holder} for {_what(wider.action_type)} counts then: {_of(wider)}."
    )


def _what(action_type: str) -> str:
    return "every action" if action_type == "*" else action_type


def said(currency: str, each_minor: int, per_day_minor: int | None) -> str:
    """ "500.00 EUR each, 2000.00 EUR in 24 hours"."""
    each = f"{Money(each_minor, currency)} each"
    if per_day_minor is None:
        return f"{each}, no daily sum"
    return f"{each}, {Money(per_day_minor, currency)} in 24 hours"


def _of(limit: ApprovalLimit) -> str:
    return said(limit.currency, limit.each_minor, limit.per_day_minor)
