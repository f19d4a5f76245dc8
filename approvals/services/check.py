"""Preflight: what would happen to this proposal now? Stores nothing."""

from __future__ import annotations

from dataclasses import dataclass

from approvals.exceptions import Paused
from approvals.models import Agent
from approvals.proposal import Proposal
from approvals.selectors import clock
from approvals.selectors.pauses import what_stops
from approvals.services.derive import Candidate, derive
from approvals.services.evidence import read_target
from approvals.services.judge import judge
from policies.verdicts import Evaluation


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What policy would say, and about what."""

    candidate: Candidate
    evaluation: Evaluation


def check(proposal: Proposal, *, agent: Agent) -> Foreseen:
    """Judge the proposal as intake would. Raises what `propose` raises for a bad one."""
    candidate = derive(proposal, agent=agent)
    stop = what_stops(candidate.type.key, candidate.type.system, agent)
    if stop is not None:
        raise Paused(stop.for_agents)
    preview = read_target(candidate.action)
    return Foreseen(candidate, judge(candidate, preview, now=clock.now()).evaluation)
