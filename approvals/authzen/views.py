"""AuthZEN for agents that enforce: evaluation is `check`, a request `propose`, its use `redeem`.

A thin adapter, experimental like the draft it speaks (Access Request and Approval Profile, draft
1), and off unless AUTHZEN is set. The caller executes, so only action types agents carry out
themselves are ever allowed, and `decision: true` is given at most once for an approval: an
evaluation that used none says false and how to request it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from uuid6 import uuid7

from approvals.api.views import AgentView, agent_of, demand_key, signature_of_caller, valid
from approvals.authzen import references
from approvals.authzen.messages import (
    AccessRequestSerializer,
    ApprovalSerializer,
    Asked,
    EvaluationSerializer,
    in_its_words,
)
from approvals.authzen.tasks import PENDING, task_of
from approvals.exceptions import (
    AccessRequestRefused,
    GrantRefused,
    IdempotencyMismatch,
    IntegrityBroken,
    InvalidProposal,
    NotAllowedForAgent,
    NotFound,
    Paused,
)
from approvals.models import Agent
from approvals.selectors.agent_story import stories_of
from approvals.selectors.requests import request_of_agent
from approvals.services import agent_replies
from approvals.services.dry_run import check
from approvals.services.propose import propose
from approvals.services.redeem_once import redeem_once
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from connectors.registry import UnknownActionType, action_type, is_by_agent
from policies.verdicts import Verdict

CAPABILITY = "urn:openid:authzen:capability:access-request"
_ASKED_BEFOREHAND = "Asked beforehand."


class _WhileOn(APIView):
    """Nothing is here unless AUTHZEN is set."""

    schema = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.AUTHZEN:
            raise Http404
        return super().dispatch(request, *args, **kwargs)


class MetadataView(_WhileOn):
    """Where everything is (Authorization API 1.0, policy decision point metadata)."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()

    def get(self, request: Request) -> Response:
        return Response(
            {
                "policy_decision_point": settings.BASE_URL,
                "access_evaluation_endpoint": _address("evaluation"),
                "access_request_endpoint": _address("requests"),
                "capabilities": [CAPABILITY],
            }
        )


class EvaluationView(_WhileOn, AgentView):
    """May this be done? Yes once for an approval, and never without one."""

    def post(self, request: Request) -> Response:
        asked = Asked.of(valid(EvaluationSerializer, request).validated_data)
        agent = agent_of(request)
        said = _why_never(asked, agent)
        if said is None and "approval" in asked.context:
            said = _use(asked, agent)
        if said is None:
            said = _foresee(asked, request)
        answer = Response(said)
        answer["Cache-Control"] = "no-store"
        return answer


class AccessRequestsView(_WhileOn, AgentView):
    """Request what was denied."""

    def post(self, request: Request) -> Response:
        data = valid(AccessRequestSerializer, request).validated_data
        asked, denial, agent = Asked.of(data), data["denial"], agent_of(request)
        evaluation_id = references.demand_bound(
            denial["binding_token"], denial["expires_at"], asked, agent, at=db_clock.now()
        )
        if denial.get("evaluation_id", evaluation_id) != evaluation_id or _why_never(asked, agent):
            raise AccessRequestRefused("That denial could not be followed by a request.")
        key = demand_key(request.headers.get("Idempotency-Key") or f"authzen-{evaluation_id}")
        proposal = asked.proposal(agent, signature_of_caller(request))
        try:
            opened = propose(proposal, agent=agent, idempotency_key=key).request
        except IdempotencyMismatch as refused:
            raise AccessRequestRefused(refused.message, code="duplicate_request") from None
        except InvalidProposal as refused:
            raise in_its_words(refused) from None
        body = _told(opened.pk)
        is_pending = body["task"]["status"] == PENDING
        return Response(
            body,
            status=status.HTTP_202_ACCEPTED if is_pending else status.HTTP_201_CREATED,
            headers={"Location": body["task"]["status_endpoint"], "Cache-Control": "no-store"},
        )


class TaskView(_WhileOn, AgentView):
    """How a request stands."""

    def get(self, request: Request, request_id: UUID) -> Response:
        found = request_of_agent(request_id, agent_of(request))
        (story,) = stories_of([found.pk])
        headers = {"Cache-Control": "no-store"}
        if not story.final:
            headers["Retry-After"] = str(story.poll_after)
        return Response(task_of(story), headers=headers)


class CancelView(_WhileOn, AgentView):
    """Take a request back."""

    def post(self, request: Request, request_id: UUID) -> Response:
        agent = agent_of(request)
        found = request_of_agent(request_id, agent)
        agent_replies.withdraw(found.pk, agent=agent, reason="Cancelled over AuthZEN.")
        return Response(_told(found.pk))


def _why_never(asked: Asked, agent: Agent) -> JsonObject | None:
    """What could not be allowed whoever approved it; None otherwise."""
    if not asked.is_of(agent):
        return _no("not_this_subject", "Agents ask for themselves, or for a user.")
    try:
        kind = action_type(asked.action_type)
    except UnknownActionType:
        return _no("unknown_action", "There is no such action type here.")
    if not is_by_agent(kind.key):
        return _no(
            "executed_by_countersign", "Countersign carries this out itself: propose it instead."
        )
    return None


def _use(asked: Asked, agent: Agent) -> JsonObject:
    """Use the approval: true once, and only for exactly what was approved."""
    presented = ApprovalSerializer(data=asked.context["approval"])
    presented.is_valid(raise_exception=True)
    approval = references.approval_of(presented.validated_data["id"])
    if approval is None:
        return _no("not_approved", "That is no approval of ours.", next_action="request")
    try:
        grant = redeem_once(
            approval.request_id,
            agent=agent,
            grant_id=approval.grant_id,
            action_type=asked.action_type,
            params=asked.params,
            on_behalf_of=asked.on_behalf_of,
        )
    except NotFound as refused:
        return _no("not_approved", refused.message, next_action="request")
    except (GrantRefused, IntegrityBroken) as refused:
        waits = refused.code == "not_now"
        return _no(refused.code, refused.message, next_action="wait" if waits else "request")
    report = reverse("api:report", args=[approval.request_id])
    used: JsonObject = {
        "request": str(approval.request_id),
        "params": grant.params,
        "not_after": grant.not_after.isoformat(),
        "fence": grant.fence,
        "report_endpoint": f"{settings.BASE_URL}{report}",
    }
    return {"decision": True, "context": {"evaluation_id": str(uuid7()), "grant": used}}


def _foresee(asked: Asked, request: Request) -> JsonObject:
    """No, and whether it may be requested."""
    agent = agent_of(request)
    proposal = asked.proposal(agent, signature_of_caller(request), intent=_ASKED_BEFOREHAND)
    try:
        foreseen = check(proposal, agent=agent)
    except InvalidProposal as refused:
        raise in_its_words(refused) from None
    except (NotAllowedForAgent, Paused) as refused:
        return _no(refused.code, refused.message)
    kind, target = foreseen.candidate.type, foreseen.candidate.target
    if (asked.resource["type"], asked.resource["id"]) != (kind.system, target):
        meant: JsonObject = {"type": kind.system, "id": target}
        return _no("another_resource", "The properties mean another resource.", resource=meant)
    evaluation, at = foreseen.evaluation, db_clock.now()
    if evaluation.verdict is Verdict.DENY:
        return _no("denied", "Policy denies it.", rules=list(evaluation.denied_by))
    evaluation_id, expires_at = str(uuid7()), at + references.DENIAL_LASTS
    return _no(
        "approval_required",  # also where policy alone would approve it: that is for one use, too
        "Request it.",
        evaluation_id=evaluation_id,
        evaluated_at=at.isoformat(),
        access_request={
            "endpoint": _address("requests"),
            "expires_at": expires_at.isoformat(),
            "binding_token": references.bind(
                asked, agent, evaluation_id=evaluation_id, expires_at=expires_at
            ),
            "request_schema_url": f"{settings.BASE_URL}{reverse('api:action-types')}",
        },
    )


def _no(reason: str, message: str, **more: Any) -> JsonObject:
    context: JsonObject = {
        "evaluation_id": str(uuid7()),
        "reason": reason,
        "message": message,
        **more,
    }
    return {"decision": False, "context": context}


def _told(request_id: UUID) -> dict[str, Any]:
    (story,) = stories_of([request_id])
    return dict(task_of(story))


def _address(name: str) -> str:
    return f"{settings.BASE_URL}{reverse(f'authzen:{name}')}"
