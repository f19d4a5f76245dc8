"""Plans: proposed as a whole, decided as a whole, withdrawn as a whole.

A step is a request like any other, with its own target, evidence, policy decision, requirements
and grant; no authority is asked for less than it would be alone. The highest tier and the
strictest verdict of all steps govern each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from approvals.choices import WITHDRAWABLE, DecisionVerdict, State
from approvals.domain import intake, integrity, plans
from approvals.domain.decision_context import record_refusal
from approvals.domain.derivation import Candidate
from approvals.domain.intake import NewRequest, Opened
from approvals.domain.proposal_check import check_proposal
from approvals.domain.target_reader import read_or_go_without
from approvals.exceptions import (
    FieldProblem,
    IdempotencyMismatch,
    IntegrityBroken,
    InvalidProposal,
    NotAuthorised,
    WrongState,
)
from approvals.models import ActionRequest, Agent, Decision, IntegrityIncident, Plan
from approvals.proposal import PlanProposal, Proposal
from approvals.selectors.plans import steps_of
from approvals.selectors.review_snapshot import ReviewedSnapshot
from approvals.services.agent_replies import withdraw
from approvals.services.decide import approve, reject
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import canonical, digest
from audit.services import record
from connectors.base import Preview
from policies.facts import PlanFacts
from policies.models import User
from policies.verdicts import Verdict

MOST_STEPS = 10
FEWEST_STEPS = 2

_STRICTNESS = {verdict.value: rank for rank, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True)
class ProposedPlan:
    """The plan, and whether this call opened it or an earlier one did."""

    plan: Plan
    replayed: bool


def propose_plan(proposal: PlanProposal, *, agent: Agent, idempotency_key: str) -> ProposedPlan:
    """Open a plan with all its steps, at most once per agent and key; or nothing at all.

    Every target is read before, with no transaction open. Raises what `propose` raises; the
    problems of a step begin with its place, as in "steps.0.params.amount".
    """
    body = canonical(proposal.body)
    if known := _known(agent, idempotency_key, digest(body)):
        return known
    candidates = _checked(proposal, agent)
    previews = [read_or_go_without(candidate.action) for candidate in candidates]

    def new_plan(facts: PlanFacts, at: datetime) -> Plan:
        kept = {f.name: getattr(facts, f.name) for f in fields(facts) if f.name != "step"}
        return Plan(
            agent=agent,
            intent=proposal.intent,
            session=proposal.session,
            idempotency_key=idempotency_key,
            body_digest=digest(body),
            facts=canonical({**kept, "systems": list(facts.systems)}),
            created_at=at,
        )

    try:
        plan, opened = _open(new_plan, list(zip(proposal.steps, candidates, previews, strict=True)))
    except IntegrityError:  # somebody with the same key was a moment faster; else a real error
        if known := _known(agent, idempotency_key, digest(body)):
            return known
        raise
    for step in opened:
        intake.stop_if_looping(step.request)
    return ProposedPlan(Plan.objects.get(pk=plan.pk), replayed=False)


def _known(agent: Agent, idempotency_key: str, body_digest: str) -> ProposedPlan | None:
    plan = Plan.objects.filter(agent=agent, idempotency_key=idempotency_key).first()
    if plan is None:
        return None
    if plan.body_digest != body_digest:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used with another body. Use a new key for a new plan."
        )
    return ProposedPlan(plan, replayed=True)


def _checked(proposal: PlanProposal, agent: Agent) -> list[Candidate]:
    """What the steps mean. Raises InvalidProposal with everything wrong with any of them."""
    candidates: list[Candidate] = []
    problems: list[FieldProblem] = []
    for number, step in enumerate(proposal.steps):
        try:
            candidates.append(check_proposal(step, agent=agent).candidate)
        except InvalidProposal as error:
            problems += [
                FieldProblem(f"steps.{number}.{one.field}", one.message) for one in error.problems
            ]
    if not problems:
        problems = [*_never_read_back(candidates), *_on_the_same_target(candidates)]
    if problems:
        raise InvalidProposal(problems)
    return candidates


def _never_read_back(candidates: Sequence[Candidate]) -> Iterator[FieldProblem]:
    """A plan goes on from what was read back, and undoes it: neither is possible here."""
    for number, candidate in enumerate(candidates):
        if candidate.type.is_read_back:
            continue
        why = (
            "The agent carries this out itself"
            if candidate.type.by_agent
            else "Nobody reads it back"
        )
        yield FieldProblem(
            f"steps.{number}.action_type",
            f"{why}, so nothing could follow it: propose it alone.",
        )


def _on_the_same_target(candidates: Sequence[Candidate]) -> Iterator[FieldProblem]:
    """What one step changes, the next would find changed since people looked at it."""
    first: dict[tuple[str, str], int] = {}
    for number, candidate in enumerate(candidates):
        if candidate.type.verb in plans.CHANGES_NOTHING or not candidate.target:
            continue
        before = first.setdefault((candidate.type.system, candidate.target), number)
        if before != number:
            yield FieldProblem(
                f"steps.{number}.params",
                f"It acts on the target of step {before + 1}, which would not be as approved "
                "any more. Do both in one action, or propose this one afterwards.",
            )


class _HigherThanAssumed(Exception):
    def __init__(self, facts: PlanFacts) -> None:
        super().__init__()
        self.facts = facts


NewPlan = Callable[[PlanFacts, datetime], Plan]
Step = tuple[Proposal, Candidate, Preview]


def _open(new_plan: NewPlan, steps: Sequence[Step]) -> tuple[Plan, list[Opened]]:
    """Store all of it. What one step comes to may raise the others: then all are judged again.

    That ends, because tier and verdict only rise.
    """
    facts = plans.facts_of([candidate for _, candidate, _ in steps], at=db_clock.now())
    while True:
        try:
            return _open_under(facts, new_plan, steps)
        except _HigherThanAssumed as found:
            facts = found.facts


@transaction.atomic
def _open_under(
    facts: PlanFacts, new_plan: NewPlan, steps: Sequence[Step]
) -> tuple[Plan, list[Opened]]:
    at = db_clock.now()
    plan = new_plan(facts, at)
    record(
        AuditCode.PLAN_PROPOSED,
        actor=Actor.agent(plan.agent),
        subject=plan,
        data={"steps": len(steps), "body_digest": plan.body_digest},
        at=at,
    )
    plan.save(force_insert=True)
    opened = intake.open_steps(
        [
            (
                NewRequest(
                    replace(candidate, plan=replace(facts, step=number), plan_id=plan.pk),
                    proposal,
                    f"step {number} of {plan.pk}",  # with spaces: no agent can have used it
                    plan=plan,
                    step=number,
                ),
                preview,
            )
            for number, (proposal, candidate, preview) in enumerate(steps, start=1)
        ]
    )
    tiers = [step.request.effective_tier for step in opened]
    verdicts = [step.request.verdict for step in opened]
    highest = max(facts.highest_tier, *tiers)
    strictest = max(facts.verdict, *verdicts, key=_STRICTNESS.__getitem__)
    if (highest, strictest) != (facts.highest_tier, facts.verdict):
        raise _HigherThanAssumed(replace(facts, highest_tier=highest, verdict=strictest))
    return plan, opened


def approve_plan(
    plan_id: UUID,
    *,
    decider: User,
    reviewed: Sequence[ReviewedSnapshot],
    reason_code: str = "",
    comment: str = "",
    proof: int | None = None,
) -> list[Decision]:
    """Approve every step the person was shown and may approve, all or none.

    Nothing is done before every step has everybody's yes. Raises what `approve` raises.
    """
    return _decide_each(
        plan_id,
        decider,
        reviewed,
        DecisionVerdict.APPROVE,
        lambda one: approve(
            one.request_id,
            decider=decider,
            reviewed=one,
            reason_code=reason_code,
            comment=comment,
            proof=proof,
            as_step=True,
        ),
    )


def reject_plan(
    plan_id: UUID,
    *,
    decider: User,
    reviewed: Sequence[ReviewedSnapshot],
    reason_code: str,
    comment: str = "",
) -> list[Decision]:
    """Say no to the plan: one authorised no to one step ends all of it."""
    return _decide_each(
        plan_id,
        decider,
        reviewed,
        DecisionVerdict.REJECT,
        lambda one: reject(
            one.request_id,
            decider=decider,
            reviewed=one,
            reason_code=reason_code,
            comment=comment,
            as_step=True,
        ),
    )


def _decide_each(
    plan_id: UUID,
    decider: User,
    reviewed: Sequence[ReviewedSnapshot],
    verdict: DecisionVerdict,
    decide: Callable[[ReviewedSnapshot], Decision],
) -> list[Decision]:
    """One verdict on each of these steps, in one transaction; what refused it stays on record."""
    given: list[Decision] = []
    own = sorted(reviewed, key=lambda one: one.request_id)
    try:
        with transaction.atomic():
            locked = [ActionRequest.objects.locked(one.request_id) for one in own]
            if not locked or any(step.plan_id != plan_id for step in locked):
                raise WrongState("There is nothing in this plan for you to decide now.")
            for one in own:
                given.append(decide(one))
    except NotAuthorised as refusal:
        record_refusal(own[len(given)].request_id, decider, verdict, refusal)
        raise
    except IntegrityBroken as broken:
        integrity.report(
            own[len(given)].request_id,
            broken,
            found_by=IntegrityIncident.FoundBy.DECISION,
            actor=Actor.human(decider),
        )
        raise
    return given


@transaction.atomic
def withdraw_plan(plan: Plan, *, agent: Agent, reason: str = "") -> None:
    """Take back what has not begun. What was done already is undone, as after a failure.

    Raises WrongState when there is nothing left to withdraw. Withdrawing twice is harmless.
    """
    steps = [ActionRequest.objects.locked(step.pk) for step in steps_of(plan)]
    left = [step for step in steps if step.state in WITHDRAWABLE]
    has_ended = plan.stopped_at is not None or plan.closed_at is not None
    if not left and not has_ended and all(step.state != State.WITHDRAWN for step in steps):
        raise WrongState("Too late to withdraw: every step has begun.")
    for step in left:
        withdraw(step.pk, agent=agent, reason=reason or "The plan was withdrawn.")
    plans.look_again(plan.pk, at=db_clock.now())
