"""The values policy answers with. Frozen, and the same wherever they travel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from policies.evidence import EvidenceDemand


class Verdict(StrEnum):
    """Policy allows, requires approval, or denies. The strictest wins, in this order."""

    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"


HIGHEST_TIER = 5


@dataclass(frozen=True, slots=True)
class RequirementSpec:
    """One thing people must say yes to: `quorum` distinct people of `group` or an alternative."""

    group: str  # a team by its code, or who is looked up: see policies.team_names
    quorum: int = 1
    stage: int = 1  # stage 2 opens when stage 1 is met
    within_limit: bool = False  # only people whose approval limit covers the amount count
    escalates_to: str = "manager"  # the team asked next; "" for the one above whoever is asked
    alternatives: tuple[str, ...] = ()  # OR: members of these groups may answer as well
    excludes: tuple[str, ...] = ()  # whoever is in one of these groups never counts here

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group that may answer it, the one it is named after first."""
        return (self.group, *self.alternatives)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long people have to decide, and how long the grant stays usable after."""

    decide_by: timedelta
    execute_by: timedelta


@dataclass(frozen=True, slots=True)
class Clause:
    """One CEL clause of one rule, with what it came to."""

    text: str
    outcome: str  # "true", "false", "error"
    detail: str = ""  # the error, when there was one


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """How one rule fared on these facts; rules that nearly matched are kept too."""

    rule: str
    owner: str
    reason: str
    effect: Verdict
    matched: bool
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything policy has to say about one set of facts."""

    verdict: Verdict
    tier: int
    requirements: tuple[RequirementSpec, ...]
    deadlines: Deadlines
    evidence_required: tuple[EvidenceDemand, ...]
    reason_required: bool  # approving needs a written reason too
    window: str  # name of the change window execution waits for, "" for none
    trace: tuple[RuleTrace, ...]
    version: str  # label of the policy version, "2026-11-20.1"
    categories: tuple[str, ...] = ()  # what kind of exception this is: "no purchase order"
    tier_reason: str = ""  # the sentence of the tier rule that set the tier
    operating_model: str = ""  # "in the loop", ...
    pattern: str = ""  # "single", "two groups", ...
    failed_closed: str = ""  # why nobody could tell and people must decide; "" when policy could
    standing: tuple[str, ...] = ()  # ids of the standing approvals this verdict rests on
    step_up: bool = True  # deciding takes a fresh proof of identity
    sign_off: bool = True  # an accountable person closes the record
    recall_seconds: int = 0  # how long an approval by people can be taken back
    floor: str = ""  # label of the floor evaluated with it, "" for none

    @property
    def matched(self) -> tuple[RuleTrace, ...]:
        return tuple(rule for rule in self.trace if rule.matched)

    @property
    def denied_by(self) -> list[str]:
        """The ids of the rules that deny it."""
        return [rule.rule for rule in self.matched if rule.effect == Verdict.DENY]
