"""Preflight: what would happen to this proposal now? Stores nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from approvals.domain.derivation import Candidate
from approvals.domain.fact_builder import evidence_held
from approvals.domain.intake import decide_by_of, without_what_cannot_be_used
from approvals.domain.policy_check import PolicyCheck, check_policy
from approvals.domain.proposal_check import CheckedProposal, check_proposal
from approvals.domain.routing import alarms_foreseen, concern_of
from approvals.domain.target_reader import read_or_go_without
from approvals.models import ActionRequest, Agent
from approvals.proposal import Proposal
from approvals.selectors.authority import case_for_all
from approvals.selectors.evidence_gaps import Gap, case_gaps, together
from approvals.selectors.impact import Impact, impact_of
from approvals.selectors.prior_requests import open_twins
from approvals.selectors.request_view import RequirementShown, minimum_of
from audit.lib import db_clock
from audit.lib.canonical import canonical
from connectors.base import Preview
from policies.document import freezes_on
from policies.models import PolicyVersion
from policies.owners import Asked, resolved
from policies.services.evaluation import document_of, held_by
from policies.team_names import person_in, spoken
from policies.verdicts import Evaluation, Verdict
from policies.windows import Freeze


@dataclass(frozen=True, slots=True)
class ForeseenDeadlines:
    """The times a request would get. None where it has none: what is denied has none at all."""

    decide_by: datetime | None
    execute_by: datetime | None
    """At the latest: as if people decided in their last moment."""
    may_begin_at: datetime | None
    """The earliest moment change windows and freezes leave, if it were decided now."""

    @property
    def begins_too_late(self) -> bool:
        """Whether it could never run in time, whoever approved it."""
        at, latest = self.may_begin_at, self.execute_by
        return latest is not None and (at is None or at >= latest)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What the target and policy would say, and about what."""

    candidate: Candidate
    preview: Preview
    evaluation: Evaluation
    evidence_gaps: tuple[Gap, ...]
    """What would keep people from approving it."""
    impact: Impact | None
    deadlines: ForeseenDeadlines
    freezes: tuple[Freeze, ...]
    """Those on now that hold this kind of action back."""
    already_open: bool
    """Somebody has proposed the same and it has not ended."""
    duplicate_of: UUID | None
    """The agent's own newest of these."""

    asked: tuple[tuple[Asked, str], ...]
    """Who would decide, and why too few of them may."""

    @property
    def requirements(self) -> tuple[RequirementShown, ...]:
        """What people would be asked; nobody has met any of it."""
        return tuple(
            RequirementShown(
                group=one.asked_as if person_in(spec.group) else spec.group,
                quorum=spec.quorum,
                stage=spec.stage,
                minimum=minimum_of(spec, self.candidate.amount),
                within_limit=spec.within_limit,
                alternatives=tuple(map(spoken, spec.alternatives)),
                alarm=alarm,
                excludes=spec.excludes,
            )
            for one, alarm in self.asked
            for spec in [one.spec]
        )


def check(proposal: Proposal, *, agent: Agent) -> Foreseen:
    """What intake would make of the proposal. Raises what `propose` raises for a bad one.

    The counters are looked at as they are: what it would replace is still among them.
    """
    checked = check_proposal(proposal, agent=agent)
    preview = read_or_go_without(checked.candidate.action)
    return without_what_cannot_be_used(preview, partial(_foresee, proposal, checked))


def _foresee(proposal: Proposal, checked: CheckedProposal, preview: Preview) -> Foreseen:
    _demand_json(preview)
    candidate, at = checked.candidate, db_clock.now()
    said = check_policy(candidate, preview, now=at)
    evaluation = said.evaluation
    replaced = checked.supersedes.pk if checked.supersedes else None
    twins = open_twins(candidate.business_key, but=replaced)
    own = twins.filter(agent=candidate.agent).values_list("pk", flat=True).first()
    return Foreseen(
        candidate,
        preview,
        evaluation,
        impact=impact_of(said.facts.flat()),
        evidence_gaps=_gaps(said, candidate, preview, at=at),
        deadlines=_deadlines(proposal, candidate, said.policy, evaluation, at),
        freezes=_freezes(said.policy, candidate, at),
        already_open=own is not None or twins.exists(),
        duplicate_of=own,
        asked=_asked(candidate, proposal, evaluation, at),
    )


def _gaps(
    said: PolicyCheck, candidate: Candidate, preview: Preview, *, at: datetime
) -> tuple[Gap, ...]:
    held = evidence_held(candidate, said.facts, now=at)
    return together(
        case_gaps(
            unavailable=preview.unavailable,
            after=preview.after,
            is_conflicting=said.facts.evidence.conflicting,
        ),
        held.gaps(said.evaluation.evidence_required, at=at),
    )


def _asked(
    candidate: Candidate, proposal: Proposal, evaluation: Evaluation, at: datetime
) -> tuple[tuple[Asked, str], ...]:
    """Whom intake would ask, and why too few of them may decide; "" where enough may."""
    amount = candidate.amount
    unsaved = ActionRequest(
        agent=candidate.agent,
        on_behalf_of=proposal.on_behalf_of,
        action_type=candidate.type.key,
        system=candidate.type.system,
        target=candidate.target,
        amount_minor=amount.minor if amount else None,
        currency=amount.currency if amount else "",
        risk_tier=evaluation.tier,
        created_at=at,
    )
    asked = resolved(evaluation.requirements, concern_of(unsaved))
    alarms = alarms_foreseen(case_for_all(unsaved, at=at), asked) if asked else []
    return tuple(zip(asked, alarms, strict=True))


def _demand_json(preview: Preview) -> None:
    """Raise for what an adapter read that could be neither stored nor told."""
    canonical([preview.before, preview.after, *(item.content for item in preview.evidence)])


def _deadlines(
    proposal: Proposal,
    candidate: Candidate,
    policy: PolicyVersion | None,
    evaluation: Evaluation,
    at: datetime,
) -> ForeseenDeadlines:
    if evaluation.verdict == Verdict.DENY:
        return ForeseenDeadlines(None, None, None)
    decide_by = None
    if evaluation.verdict == Verdict.REQUIRE_APPROVAL:
        decide_by = decide_by_of(evaluation, asked=proposal.decide_by, at=at)
    return ForeseenDeadlines(
        decide_by,
        execute_by=(decide_by or at) + evaluation.deadlines.execute_by,
        may_begin_at=held_by(policy, evaluation.window, candidate.type.key, at),
    )


def _freezes(
    policy: PolicyVersion | None, candidate: Candidate, at: datetime
) -> tuple[Freeze, ...]:
    document = document_of(policy) if policy else ""
    return () if isinstance(document, str) else freezes_on(document, candidate.type.key, at)
