"""What a case could become a rule of: exactly its kind, agent, party and at most its amount."""

from __future__ import annotations

from dataclasses import dataclass

from approvals.choices import DecisionVerdict
from approvals.models import ActionRequest
from approvals.selectors.case import amount_of
from approvals.selectors.evidence_view import PolicyShown, stored_json
from policies.evaluate import ENGINE, FLOOR
from policies.models import User
from policies.suggested_rules import clauses_of_scope
from policies.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class RuleFromCase:
    """An approval in advance as far as the case says it; its end and total somebody chooses."""

    id: str
    owner: str
    clauses: tuple[str, ...]
    instead_of: tuple[str, ...]
    reasons: tuple[str, ...]
    """Why people were asked, by the rules it would stand in for."""
    has_amount: bool


def rule_from_case(request: ActionRequest, asked: PolicyShown | None) -> RuleFromCase | None:
    """None where nothing can be said in advance.

    That is: where the engine or the floor asked, text was flagged, or it is part of something else.
    """
    if asked is None or request.plan_id is not None or request.compensates_id is not None:
        return None
    facts = stored_json(asked.decision.facts)
    asking = [rule for rule in asked.matched if rule.effect == Verdict.REQUIRE_APPROVAL]
    of_others = any(rule.owner == ENGINE or rule.rule.startswith(FLOOR) for rule in asking)
    if not asking or of_others or facts.get("evidence.flags"):
        return None
    party = "action.counterparty" if request.counterparty else "action.target"
    scope = [("action.type", request.action_type), ("agent.name", request.agent.name)]
    scope.append((party, request.counterparty or request.target))
    clauses = clauses_of_scope(scope)
    amount = amount_of(request)
    if amount is not None:
        limit = f'action.currency == "{amount.currency}" && action.amount <= {amount.minor}'
        clauses = (*clauses, limit)
    return RuleFromCase(
        id=f"always-{request.action_type}-{request.pk.hex[-8:]}",
        owner=asking[0].owner,
        clauses=clauses,
        instead_of=tuple(dict.fromkeys(rule.rule for rule in asking)),
        reasons=tuple(dict.fromkeys(rule.reason for rule in asking)),
        has_amount=amount is not None,
    )


def said_yes(request: ActionRequest, person: User) -> bool:
    """Whether the person approved the version that counts."""
    return any(
        one.verdict == DecisionVerdict.APPROVE
        and one.version == request.version
        and one.decider.person == person.person
        for one in request.decisions.all()
    )
