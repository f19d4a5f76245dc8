"""What an action would do and what a mistake with it would cost, from the facts policy was given.

An estimate for people, never a rule: rules ask for the facts themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from approvals.inspection import reveal
from audit.lib.money import Money, MoneyError
from connectors.catalogue import Reversibility, Verb

_MOST_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Impact:
    """Sentences for people; `money_at_risk` is what would be lost at worst, where it is money."""

    summary: str
    cost_of_error: str
    money_at_risk: Money | None = None


def impact_of(facts: Mapping[str, Any]) -> Impact | None:
    """The estimate for facts as they are stored with a policy decision; None without facts."""
    if "action.type" not in facts:
        return None
    money = _money(facts.get("action.amount", 0), facts.get("action.currency", ""))
    said = [_what(facts, money), _whom(facts), _together(facts, money)]
    cost = _cost(facts, money)
    at_risk = None if _is(facts, Reversibility.READ_ONLY) else money
    return Impact(reveal(" ".join(filter(None, said))), reveal(cost), at_risk)


def _what(facts: Mapping[str, Any], money: Money | None) -> str:
    target = facts.get("action.target") or "the target"
    whom = facts.get("action.counterparty") or ""
    match facts.get("action.verb", ""):
        case _ if money is not None:
            return f"{money} for {whom or target}."
        case Verb.READ | Verb.DRAFT:
            return f"Nothing leaves the company; {target} is where it is kept."
        case Verb.SEND:
            return f"{whom or target} reads it."
        case Verb.GRANT:
            return f"The rights of {whom or 'a user'} change: {target}."
        case Verb.DELETE:
            return f"{target} is gone afterwards."
    if facts.get("action.supervised"):
        return f"Something moves in the physical world: {target}."
    return f"{_changed(facts)} of {target}."


def _changed(facts: Mapping[str, Any]) -> str:
    before, after = facts.get("before"), facts.get("after")
    if not isinstance(before, Mapping) or not isinstance(after, Mapping) or "problem" in after:
        return "An unknown part"
    names = sorted(name for name in after if before.get(name) != after[name])
    shown = ", ".join(names[:_MOST_FIELDS])
    more = f" and {len(names) - _MOST_FIELDS} more" if len(names) > _MOST_FIELDS else ""
    return f"{shown}{more}" if names else "Nothing"


def _whom(facts: Mapping[str, Any]) -> str:
    if not facts.get("customer.known"):
        return ""
    segment = facts.get("customer.segment") or "known"
    complaints = facts.get("customer.complaints_90d", 0)
    words = f"A {segment} customer"
    return f"{words} with {complaints} complaints in 90 days." if complaints else f"{words}."


def _together(facts: Mapping[str, Any], money: Money | None) -> str:
    """What it comes to with the others for the same customer or counterparty."""
    count = facts.get("velocity.customer_count_30d", 1)
    total = _money(facts.get("velocity.customer_sum_30d", 0), settings.BASE_CURRENCY)
    if count < 2 or money is None or total is None:
        return ""
    return f"The {count} of 30 days come to {total} together."


def _cost(facts: Mapping[str, Any], money: Money | None) -> str:
    if _is(facts, Reversibility.READ_ONLY):
        return "None: it changes nothing."
    if money is not None and not facts.get("action.rate_known", True):
        return f"Up to {money}; nobody knows how much that is in {settings.BASE_CURRENCY}."
    if _is(facts, Reversibility.REVERSIBLE):
        until = "What happens until it is undone"
        return f"{until}, and up to {money}." if money else f"{until}; then nothing."
    if _is(facts, Reversibility.EXTERNALLY_REVERSIBLE):
        until = "until others take it back, if they do"
        return f"Up to {money} {until}." if money else f"What happens {until}."
    if money is not None:
        return f"{money}, which nothing brings back."
    if facts.get("action.supervised"):
        return "Harm to people and goods nearby, which nothing takes back."
    return "It stays done: nothing takes it back."


def _is(facts: Mapping[str, Any], reversibility: Reversibility) -> bool:
    return facts.get("action.reversibility") == reversibility.value


def _money(minor: int, currency: str) -> Money | None:
    try:
        return Money(minor, currency) if currency and minor else None
    except MoneyError:
        return None
