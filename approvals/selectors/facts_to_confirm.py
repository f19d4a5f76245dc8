"""What made policy ask people: the rules that decided, with the values of what they looked at.

Whoever approves an action of the higher tiers ticks each of them; the ticks are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from approvals.inspection import reveal
from approvals.models import PolicyDecision
from approvals.selectors.evidence_view import PolicyShown, RuleShown, stored_json
from audit.lib.money import Money, MoneyError
from policies.facts import CASE, declared
from policies.static_analysis.amounts import MONEY_FACTS

_MOST = 3
_SAYS_WHAT_IT_IS = frozenset({"action.type", "action.currency", "action.verb", "action.system"})
"""What the page says anyway."""
_LABELS = {
    "action.amount": "Amount",
    "action.amount_base": "Amount",
    "agent.confidence": "The agent's own confidence",
    "evidence.flags": "Found in its text",
    "velocity.first_for_counterparty": "First time for this recipient",
    "evidence.missing_purchase_order": "Invoice without a purchase order",
}
NO_RULE = "no-rule"


@dataclass(frozen=True, slots=True)
class ValueShown:
    """One fact a rule looked at, in words, and its value then."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class FactToConfirm:
    """One reason why people were asked; `key` is the rule's name."""

    key: str
    reason: str
    values: tuple[ValueShown, ...]

    @property
    def words(self) -> str:
        """ "The customer complained in the last 90 days. (Complaints of this customer: 3)"."""
        values = ", ".join(f"{one.label}: {one.value}" for one in self.values)
        return f"{self.reason} ({values})" if values else self.reason


def facts_to_confirm(policy: PolicyDecision) -> tuple[FactToConfirm, ...]:
    """The two or three that decided, the engine's own first."""
    return facts_of(PolicyShown(policy))


def facts_of(policy: PolicyShown) -> tuple[FactToConfirm, ...]:
    """The same of an evaluation that has been read."""
    facts = stored_json(policy.decision.facts)
    deciding = [rule for rule in policy.reasons if rule.effect == policy.verdict]
    found: dict[str, FactToConfirm] = {}
    for rule in deciding:
        # two rules that say the same, as the floor and a version may, are one reason
        found.setdefault(rule.reason, _fact(rule, facts))
    if not found:
        said = policy.problem or "No rule of the policy speaks of this, so people decide."
        return (FactToConfirm(NO_RULE, said, ()),)
    ordered = sorted(found.values(), key=lambda one: not one.values)
    return tuple(ordered[:_MOST])


def _fact(rule: RuleShown, facts: Mapping[str, Any]) -> FactToConfirm:
    names = dict.fromkeys(
        name for clause in rule.clauses if clause.outcome == "true" for name in _named(clause.text)
    )
    values = {one.label: one for name in names if (one := _value(name, facts))}
    return FactToConfirm(rule.rule, rule.reason, tuple(values.values())[:_MOST])


def _named(clause: str) -> Iterator[str]:
    """The facts a clause names, and fields of the case ("params.hours_late")."""
    word = "".join(c if c.isalnum() or c in "._" else " " for c in clause)
    for name in word.split():
        if name in _SAYS_WHAT_IT_IS:
            continue
        if name in declared() or name.partition(".")[0] in CASE:
            yield name


def _value(name: str, facts: Mapping[str, Any]) -> ValueShown | None:
    value = facts.get(name)
    if name.partition(".")[0] in CASE:
        value = facts
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if value is None or value == "" or isinstance(value, Mapping):
        return None
    return ValueShown(_label(name), _in_words(name, value, facts))


def _label(name: str) -> str:
    if name in _LABELS:
        return _LABELS[name]
    fact = declared().get(name)
    if fact is None:
        return reveal(name.rpartition(".")[2].replace("_", " ").capitalize())
    return fact.meaning.partition(";")[0].partition(":")[0].rstrip(".")


def _in_words(name: str, value: Any, facts: Mapping[str, Any]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in MONEY_FACTS and isinstance(value, int):
        own = str(facts.get("action.currency") or "")
        currency = own if name == "action.amount" and own else settings.BASE_CURRENCY
        try:
            return str(Money(value, currency))
        except MoneyError:
            return str(value)
    if name == "agent.confidence" and isinstance(value, int | float):
        return f"{value:.0%}"
    if isinstance(value, list):
        return reveal(", ".join(map(str, value))) or "none"
    return reveal(value if isinstance(value, str) else json.dumps(value))
