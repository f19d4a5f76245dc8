"""Plans, as agents call them: several actions proposed, looked up and withdrawn as one."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from approvals.api.output import PROBLEMS, PlanOutput
from approvals.api.serializers import PlanSerializer, ReasonSerializer
from approvals.api.views import (
    IDEMPOTENCY_KEY,
    AgentView,
    agent_of,
    idempotency_key,
    signature_of_caller,
    valid,
)
from approvals.selectors.agent_story import AgentPlan as Shown
from approvals.selectors.plans import plan_of_agent
from approvals.services.plans import propose_plan, withdraw_plan


class PlansView(AgentView):
    """Propose a plan."""

    @extend_schema(
        summary="Propose several actions, judged together and done in order",
        description="The highest tier of all steps governs each of them. No step begins before all "
        "are approved, and none before the one ahead of it is done and read back. When one fails, "
        "the rest is not done, and what was done is undone, newest first; each undo is a request "
        "of its own, approved as policy says.",
        parameters=[IDEMPOTENCY_KEY],
        request=PlanSerializer,
        responses={201: PlanOutput, 200: PlanOutput, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        key = idempotency_key(request)
        proposal = valid(PlanSerializer, request).proposal().signed(signature_of_caller(request))
        proposed = propose_plan(proposal, agent=agent_of(request), idempotency_key=key)
        body = PlanOutput(Shown(proposed.plan)).data
        if proposed.replayed:
            return Response(body, headers={"Idempotency-Replayed": "true"})
        headers = {"Location": body["status_url"]}
        return Response(body, status=status.HTTP_201_CREATED, headers=headers)


class PlanView(AgentView):
    """One of one's own plans."""

    @extend_schema(summary="Get one plan with its steps", responses={200: PlanOutput, **PROBLEMS})
    def get(self, request: Request, plan_id: UUID) -> Response:
        return Response(PlanOutput(Shown(plan_of_agent(plan_id, agent_of(request)))).data)


class WithdrawPlanView(AgentView):
    """Take a plan back."""

    @extend_schema(
        summary="Withdraw a plan: what has not begun is not done, what was done is undone",
        request=ReasonSerializer,
        responses={200: PlanOutput, **PROBLEMS},
    )
    def post(self, request: Request, plan_id: UUID) -> Response:
        body = valid(ReasonSerializer, request)
        agent = agent_of(request)
        plan = plan_of_agent(plan_id, agent)
        withdraw_plan(plan, agent=agent, reason=body.validated_data["reason"])
        return Response(PlanOutput(Shown(plan_of_agent(plan_id, agent))).data)
