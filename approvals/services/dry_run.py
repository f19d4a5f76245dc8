"""Preflight: what would happen to this proposal now? Stores nothing."""

from __future__ import annotations

from dataclasses import dataclass

from approvals.domain.derivation import Candidate, derive
from approvals.domain.policy_check import check_policy
from approvals.domain.target_reader import read_or_go_without
from approvals.exceptions import Paused
from approvals.models import Agent
from approvals.proposal import Proposal
from approvals.selectors.pauses import what_stops
from approvals.selectors.request_view import RequirementShown, minimum_of
from audit.lib import db_clock
from policies.verdicts import Evaluation


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What policy would say, and about what."""

    candidate: Candidate
    evaluation: Evaluation

    @property
    def requirements(self) -> tuple[RequirementShown, ...]:
        """What people would be asked; nobody has met any of it."""
        return tuple(
            RequirementShown(spec.group, spec.quorum, minimum_of(spec, self.candidate.amount))
            for spec in self.evaluation.requirements
        )


def check(proposal: Proposal, *, agent: Agent) -> Foreseen:
    """What intake would make of the proposal. Raises what `propose` raises for a bad one."""
    candidate = derive(proposal, agent=agent)
    stop = what_stops(candidate.type.key, candidate.type.system, agent)
    if stop is not None:
        raise Paused(stop.for_agents)
    preview = read_or_go_without(candidate.action)
    return Foreseen(candidate, check_policy(candidate, preview, now=db_clock.now()).evaluation)
