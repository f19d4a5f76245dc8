"""One plan as it is shown: to reviewers and to its agent."""

from __future__ import annotations

from functools import cached_property

from approvals.inspection import Flag, inspect_all, reveal
from approvals.models import Plan
from approvals.selectors.plans import Standing, standing_of, steps_of
from approvals.selectors.request_view import RequestView, prefetched
from policies.facts import PlanFacts


class PlanView:
    """A plan with its steps, each as it is shown by itself."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def steps(self) -> tuple[RequestView, ...]:
        return tuple(RequestView(step) for step in prefetched(steps_of(self.plan)))

    @cached_property
    def facts(self) -> PlanFacts:
        """What policy knew of it."""
        return self.plan.facts_of_step(0)

    @property
    def standing(self) -> Standing:
        return standing_of(self.plan, [step.request.state for step in self.steps])

    @property
    def intent(self) -> str:
        """In the agent's words."""
        return reveal(self.plan.intent)

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What the detectors found in them."""
        return tuple(sorted(inspect_all([self.plan.intent])))
