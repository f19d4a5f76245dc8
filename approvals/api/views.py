"""What agents may call. Each view parses, makes one service call and answers."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import ParseError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from approvals.api import shapes
from approvals.api.filters import ActionFilter, ActionPagination
from approvals.api.serializers import (
    AnswerSerializer,
    ProposalSerializer,
    ReasonSerializer,
    StrictSerializer,
    supplied,
)
from approvals.api.waiting import LONGEST_WAIT, NOT_WAITED, wait_for_change
from approvals.choices import ENDED
from approvals.models import ActionRequest, Agent
from approvals.selectors.requests import request_of_agent
from approvals.selectors.story import requirement_specs, story_of, with_story
from approvals.services import answer as answering
from approvals.services.check import check
from approvals.services.propose import Proposed, propose
from approvals.services.undo import propose_undo
from connectors.configuration import is_configured
from connectors.registry import action_type

S = TypeVar("S", bound=StrictSerializer)

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description="One per action, kept as long as the request. 1 to 200 printable ASCII characters.",
)
WAIT = OpenApiParameter(
    "wait",
    OpenApiTypes.INT,
    description=f"Seconds to wait for a change, up to {LONGEST_WAIT:g}. One wait per agent at a "
    "time. When no place is free it is answered at once, with `Countersign-Waited: no` and "
    "`Retry-After`: wait that long before asking again.",
)


class ActionsView(ListAPIView[ActionRequest]):
    """Propose an action, or list one's own."""

    filterset_class = ActionFilter
    pagination_class = ActionPagination
    filter_backends = ActionFilter.backends

    def get_queryset(self) -> QuerySet[ActionRequest]:
        if getattr(self, "swagger_fake_view", False):
            return ActionRequest.objects.none()
        return with_story(ActionRequest.objects.filter(agent=agent_of(self.request)))

    @extend_schema(summary="List own requests", responses=shapes.Action(many=True))
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response([story_of(item) for item in page or ()])

    @extend_schema(
        summary="Propose an action",
        parameters=[IDEMPOTENCY_KEY],
        request=ProposalSerializer,
        responses={201: shapes.Action, 200: shapes.Action, **shapes.PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        key = _idempotency_key(request)
        body = valid(ProposalSerializer, request)
        return _proposed(propose(body.proposal(), agent=agent_of(request), idempotency_key=key))


class CheckView(APIView):
    """Preflight."""

    @extend_schema(
        summary="What would happen to this proposal? Stores nothing",
        request=ProposalSerializer,
        responses={200: shapes.Foreseen, **shapes.PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        body = valid(ProposalSerializer, request)
        foreseen = check(body.proposal(), agent=agent_of(request))
        evaluation, candidate = foreseen.evaluation, foreseen.candidate
        amount = candidate.amount
        return Response(
            {
                "action_type": candidate.type.key,
                "digest": candidate.digest,
                "effect": candidate.effect,
                "reversibility": candidate.type.reversibility.value,
                "risk_tier": evaluation.tier,
                "verdict": evaluation.verdict.value,
                "requirements": requirement_specs(
                    evaluation.requirements,
                    f"{amount.decimal} {amount.currency}" if amount else "",
                ),
                "policy": {
                    "version": evaluation.version,
                    "matched": [
                        {"rule": rule.rule, "reason": rule.reason} for rule in evaluation.matched
                    ],
                },
                "trace": [
                    {
                        "rule": rule.rule,
                        "effect": rule.effect.value,
                        "matched": rule.matched,
                        "clauses": [
                            {"text": c.text, "outcome": c.outcome, "detail": c.detail}
                            for c in rule.clauses
                        ],
                    }
                    for rule in evaluation.trace
                ],
            }
        )


class ActionView(APIView):
    """One of one's own requests."""

    @extend_schema(
        summary="Get one request, or wait for its next state",
        parameters=[WAIT],
        responses={200: shapes.Action, **shapes.PROBLEMS},
    )
    def get(self, request: Request, request_id: UUID) -> Response:
        found = request_of_agent(request_id, agent_of(request))
        seconds = _wait_of(request)
        waited = True
        if seconds and found.state not in ENDED:
            waited = wait_for_change(found.pk, found.state, seconds, agent_id=found.agent_id)
        return Response(_story(found.pk), headers=None if waited else NOT_WAITED)


class WithdrawView(APIView):
    """Take a proposal back."""

    @extend_schema(
        summary="Withdraw a request that has not begun",
        request=ReasonSerializer,
        responses={200: shapes.Action, **shapes.PROBLEMS},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        body = valid(ReasonSerializer, request)
        agent = agent_of(request)
        found = request_of_agent(request_id, agent)
        answering.withdraw(found.pk, agent=agent, reason=body.validated_data["reason"])
        return Response(_story(found.pk))


class AnswerView(APIView):
    """Answer a reviewer."""

    @extend_schema(
        summary="Answer a reviewer's question, with evidence if wanted",
        request=AnswerSerializer,
        responses={200: shapes.Action, **shapes.PROBLEMS},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        body = valid(AnswerSerializer, request)
        agent = agent_of(request)
        found = request_of_agent(request_id, agent)
        answering.answer(
            found.pk,
            agent=agent,
            body=body.validated_data["answer"],
            evidence=supplied(body.validated_data["evidence"]),
        )
        return Response(_story(found.pk))


class UndoView(APIView):
    """Propose the compensation."""

    @extend_schema(
        summary="Propose undoing a done action",
        request=ReasonSerializer,
        responses={201: shapes.Action, 200: shapes.Action, **shapes.PROBLEMS},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        body = valid(ReasonSerializer, request)
        found = request_of_agent(request_id, agent_of(request))
        return _proposed(
            propose_undo(
                found.pk,
                idempotency_key=_idempotency_key(request, required=False),
                reason=body.validated_data["reason"],
            )
        )


class ActionTypesView(APIView):
    """What this agent may propose."""

    @extend_schema(
        summary="Action types this agent may propose, with their JSON Schemas",
        responses={200: shapes.ActionTypeList, **shapes.PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        own = [action_type(key) for key in agent_of(request).action_types]
        return Response(
            {
                "results": [
                    {
                        "key": kind.key,
                        "version": kind.version,
                        "title": kind.title,
                        "verb": kind.verb.value,
                        "system": kind.system,
                        "reversibility": kind.reversibility.value,
                        "undo": kind.undo,
                        "supervised": kind.supervised,
                        "schema": kind.schema,
                    }
                    for kind in own
                    if is_configured(kind.system)
                ]
            }
        )


def agent_of(request: Request) -> Agent:
    """The authenticated agent; `IsAgent` has seen to it that there is one."""
    agent: Agent = request.auth.agent  # type: ignore[union-attr]
    return agent


def valid(kind: type[S], request: Request) -> S:
    """The body as that serializer, or every problem with it at once."""
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer


def _proposed(proposed: Proposed) -> Response:
    story = _story(proposed.request.pk)
    if proposed.replayed:
        return Response(story, headers={"Idempotency-Replayed": "true"})
    return Response(
        story, status=status.HTTP_201_CREATED, headers={"Location": story["status_url"]}
    )


def _story(request_id: UUID) -> dict[str, Any]:
    return story_of(with_story(ActionRequest.objects.filter(pk=request_id)).get())


def _idempotency_key(request: Request, *, required: bool = True) -> str:
    key: str = request.headers.get("Idempotency-Key", "")
    if not key and not required:
        return ""
    if not key:
        raise ParseError("Send an Idempotency-Key header.", code="idempotency_key_missing")
    if len(key) > 200 or not all("!" <= c <= "~" for c in key):
        raise ParseError(
            "The Idempotency-Key is 1 to 200 printable ASCII characters without spaces.",
            code="idempotency_key_invalid",
        )
    return key


def _wait_of(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ParseError("wait is a number of seconds, as in ?wait=30.", code="bad_wait")
    return float(text)
