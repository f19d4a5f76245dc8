"""Evidence and policy's answers as stored: every string made visible, nothing cut, nothing trusted.

Text from outside passes `reveal` here, whoever supplied it: a customer's name in our own CRM was
typed by a customer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from approvals.choices import Origin
from approvals.inspection import Flag, inspect, misleading_links, reveal, stated_amounts
from approvals.models import EvidenceItem, PolicyDecision, TargetReading
from approvals.selectors.connections import through
from audit.lib.canonical import JsonObject, JsonValue, canonical
from audit.lib.money import Money
from connectors.base import FOREIGN
from policies.evaluate import ENGINE
from policies.services.traces import rules_in

DAMAGED = "What is stored of it is damaged: tell an auditor."

_FLAG_WORDS = {
    Flag.BIDI: "text direction tricks",
    Flag.INVISIBLE: "invisible characters",
    Flag.LOOK_ALIKE: "look-alike letters",
    Flag.INJECTION: "tries to give instructions",
    Flag.MARKUP: "holds HTML or an image, which acts where this text is sent",
    Flag.LINK: "holds an address that runs code or hides where it leads",
    Flag.LONG: "very long or padded",
    Flag.CONTRADICTION: "contradicts the action",
}


_MOST_LINKS = 5  # named beside one text


@dataclass(frozen=True, slots=True)
class Line:
    """One named value, complete."""

    key: str
    value: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One field of the target, as it is and as it would be."""

    key: str
    before: str
    after: str
    is_changed: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """The target as the system read it, or why it could not."""

    read_at: datetime
    through: str
    """The connection it was read through, and would be carried out through."""
    unavailable: str
    problem: str
    """What the target says is in the way; then there is no "after" to speak of."""
    changes: tuple[Change, ...]
    sentence: str
    """The effect with names the system read."""
    payee: str
    """Who gets the money or the right, by name; "" where nobody is named."""


@dataclass(frozen=True, slots=True)
class Source:
    """One evidence item. `lines` hold what the system read, `text` what somebody wrote."""

    is_system: bool
    is_foreign: bool
    """The system's own words about itself: read by us, and checked by nobody."""
    is_person: bool
    kind: str
    title: str
    link: str  # an https address, or ""
    host: str
    address: str  # as text, when it is no link
    authority: str
    retrieved_at: datetime | None
    sha256: str
    flags: tuple[str, ...]
    lines: tuple[Line, ...]
    text: str


def params_as_lines(params: JsonObject, amount: Money | None) -> tuple[Line, ...]:
    """Every param by key, whole; what is not a string in its canonical JSON."""
    return tuple(
        Line(
            reveal(key),
            shown_value(value),
            (
                *flag_words(inspect(_raw(value)), _raw(value)),
                *(f"speaks of {sum_}, not {amount}" for sum_ in other_amounts(_raw(value), amount)),
            ),
        )
        for key, value in params.items()
    )


def reading_shown(reading: TargetReading | None) -> Reading | None:
    """Before beside after, the changed fields first."""
    if reading is None:
        return None
    before = dict(leaves(stored_json(reading.before)))
    after = dict(leaves(stored_json(reading.after)))
    is_damaged = is_damaged_json(reading.before) or is_damaged_json(reading.after)
    problem = after.pop("problem", "") if set(after) == {"problem"} else ""
    changes = [
        Change(
            key=reveal(key),
            before=shown_value(before[key]) if key in before else "",
            after=shown_value(after[key]) if key in after else "",
            is_changed=not problem and before.get(key) != after.get(key),
        )
        for key in {**before, **after}
    ]
    return Reading(
        read_at=reading.read_at,
        through=through(reading.connection),
        unavailable=DAMAGED if is_damaged else reveal(reading.unavailable),
        problem=shown_value(problem),
        changes=tuple(sorted(changes, key=lambda change: not change.is_changed)),
        sentence=reveal(reading.sentence),
        payee=reveal(reading.payee),
    )


def source_shown(item: EvidenceItem) -> Source:
    """One item, with its link only where a link is safe to follow."""
    is_system = item.origin == Origin.SYSTEM
    link, host = _safe_link(item.uri)
    return Source(
        is_system=is_system,
        is_foreign=is_system and item.authority == FOREIGN,
        is_person=item.origin == Origin.PERSON,
        kind=reveal(item.kind),
        title=reveal(item.title),
        link=link,
        host=host,
        address="" if link else reveal(item.uri),
        authority=reveal(item.authority),
        retrieved_at=item.retrieved_at,
        sha256=item.sha256,
        flags=flag_words(item.flags, item.title, item.uri, item.body),
        lines=_body_lines(item.body) if is_system else (),
        text="" if is_system else reveal(item.body),
    )


def flag_words(flags: object, *texts: str) -> tuple[str, ...]:
    """The detectors' findings in words, with the hosts of links in the texts that mislead."""
    found = flags if isinstance(flags, list | tuple) else ()
    links = [link for text in texts for link in misleading_links(text)]
    named = (
        f"a link shows {reveal(link.shows)} but leads to {reveal(link.leads_to)}"
        for link in dict.fromkeys(links)
    )
    return (*(_FLAG_WORDS.get(flag, str(flag)) for flag in found), *islice(named, _MOST_LINKS))


def other_amounts(text: str, amount: Money | None) -> tuple[str, ...]:
    """Amounts with a currency in the agent's words that are not the action's amount.

    A hint and no more: "was 200.00 EUR before" is no contradiction, and people can tell.
    """
    if amount is None:
        return ()
    wanted = (Decimal(amount.decimal), amount.currency)
    others = (
        f"{number:,f} {code or 'dollars'}"
        for number, code in stated_amounts(text, currency=amount.currency)
        if (number, code or amount.currency) != wanted
    )
    return tuple(dict.fromkeys(others))


def stored_json(text: str) -> dict[str, Any]:
    """The stored object, or an empty one: records are read when things went wrong as well."""
    value = _loaded(text)
    return value if isinstance(value, dict) else {}


def stored_names(text: str) -> tuple[str, ...]:
    """The stored list of names, or an empty one."""
    value = _loaded(text)
    return tuple(map(str, value)) if isinstance(value, list) else ()


def is_damaged_json(text: str) -> bool:
    """Whether what is stored is no object any more; nothing at all was never one."""
    return bool(text) and not isinstance(_loaded(text), dict)


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _safe_link(uri: str) -> tuple[str, str]:
    if reveal(uri) != uri or not uri.isascii() or any(c in uri for c in "\\\r\n\t "):
        return "", ""
    try:
        parts = urlsplit(uri)
        host, user = parts.hostname or "", parts.username
    except ValueError:
        return "", ""
    if parts.scheme != "https" or not host or user is not None:
        return "", ""
    return uri, host


def _body_lines(body: str) -> tuple[Line, ...]:
    try:
        value = json.loads(body)
    except ValueError:
        return (Line("", reveal(body)),)
    return tuple(Line(reveal(key), shown_value(item)) for key, item in leaves(value))


def leaves(value: JsonValue, path: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Leaves by dotted path; an empty object or list is a leaf."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif path:
        yield path, value
    elif value not in ({}, None):
        yield "value", value


def _raw(value: JsonValue) -> str:
    return value if isinstance(value, str) else canonical(value)


def shown_value(value: JsonValue) -> str:
    """The value as people read it: strings as they are, the rest as canonical JSON; revealed."""
    return reveal(_raw(value))


@dataclass(frozen=True, slots=True)
class ClauseShown:
    text: str
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True)
class RuleShown:
    """One rule of the policy and how it fared; `is_near_miss`: all clauses but one held."""

    rule: str
    owner: str
    reason: str
    effect: str  # a Verdict; "" where the policy can no longer be read
    matched: bool
    is_near_miss: bool
    clauses: tuple[ClauseShown, ...]

    @property
    def effect_words(self) -> str:
        return self.effect.replace("_", " ")


@dataclass(frozen=True)
class PolicyShown:
    """One stored evaluation of policy, whatever of it can still be read."""

    decision: PolicyDecision

    @cached_property
    def _trace(self) -> JsonObject:
        return stored_json(self.decision.trace)

    @property
    def version(self) -> str:
        """The one that evaluated; "" when none was published."""
        return str(self._trace.get("version") or "")

    @property
    def problem(self) -> str:
        """Why not all of it can be shown; "" when it can."""
        return DAMAGED if is_damaged_json(self.decision.trace) else ""

    @cached_property
    def rules(self) -> tuple[RuleShown, ...]:
        """Every rule, in the policy's order."""
        return self._shown()

    @cached_property
    def matched(self) -> tuple[RuleShown, ...]:
        """Those that matched, without a look at the others."""
        return self._shown(matched_only=True)

    def _shown(self, *, matched_only: bool = False) -> tuple[RuleShown, ...]:
        one = self.decision
        found = rules_in(self._trace, one.policy_version, one.floor, matched_only=matched_only)
        return tuple(_rule(rule) for rule in found)

    @property
    def title(self) -> str:
        return f"What policy said at {self.decision.get_purpose_display().lower()}"

    @property
    def verdict(self) -> str:
        return self.decision.verdict

    @property
    def verdict_words(self) -> str:
        return self.verdict.replace("_", " ")

    @property
    def reasons(self) -> tuple[RuleShown, ...]:
        """The rules that matched, those that made the verdict first, the engine's own before them.

        The engine speaks where policy alone would have said something else.
        """
        return tuple(
            sorted(self.matched, key=lambda r: (r.effect != self.verdict, r.owner != ENGINE))
        )

    @property
    def others(self) -> tuple[RuleShown, ...]:
        return tuple(rule for rule in self.rules if not rule.matched)

    @property
    def by_closeness(self) -> tuple[RuleShown, ...]:
        """Those that matched first, then those that nearly did."""
        return tuple(sorted(self.rules, key=lambda r: (not r.matched, not r.is_near_miss)))

    @property
    def facts(self) -> tuple[Line, ...]:
        return tuple(
            Line(reveal(key), reveal(value if isinstance(value, str) else json.dumps(value)))
            for key, value in stored_json(self.decision.facts).items()
        )


def _rule(rule: dict[str, Any]) -> RuleShown:
    clauses = tuple(ClauseShown(c["text"], c["outcome"], c["detail"]) for c in rule["clauses"])
    failed = sum(1 for clause in clauses if clause.outcome != "true")
    return RuleShown(
        rule=rule["rule"],
        owner=rule["owner"],
        reason=rule["reason"],
        effect=str(rule["effect"]),
        matched=rule["matched"],
        is_near_miss=not rule["matched"] and failed == 1 and len(clauses) > 1,
        clauses=clauses,
    )
