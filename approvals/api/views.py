"""What agents may call. Each view parses (lists by the filters here), makes one service call and
answers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound, ParseError, ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from approvals.api.datetime_fields import MomentFilter
from approvals.api.field_problems import field_problems
from approvals.api.output import PROBLEMS, ActionOutput, ActionTypesOutput
from approvals.api.output_fields import written
from approvals.api.preflight_output import ForeseenOutput
from approvals.api.serializers import (
    AnswerSerializer,
    ProposalSerializer,
    ReasonSerializer,
    StrictSerializer,
    supplied,
)
from approvals.api.waiting import LONGEST_WAIT, NOT_WAITED, wait_for_change
from approvals.choices import State
from approvals.models import ActionRequest, Agent
from approvals.proposal import Proposal, Signature
from approvals.selectors.agent_story import AgentStory, for_agents, stories_of
from approvals.selectors.requests import is_over, request_of_agent
from approvals.services import agent_replies as answering
from approvals.services.dry_run import check
from approvals.services.malformed import refuse_malformed
from approvals.services.propose import Proposed, propose
from approvals.services.undo import propose_undo
from audit.lib.canonical import JsonObject
from audit.lib.one_look import one_look
from connectors.registry import action_type, is_offered


class ActionFilter(filters.FilterSet):  # type: ignore[misc]
    """Filters on indexed columns; a bad value is a 400 that names the field."""

    backends: ClassVar[list[type[filters.DjangoFilterBackend]]] = [filters.DjangoFilterBackend]

    state = filters.MultipleChoiceFilter(choices=State.choices)
    action_type = filters.CharFilter(max_length=60)
    session = filters.CharFilter(max_length=100)
    target = filters.CharFilter(max_length=200)
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = ActionRequest
        fields: ClassVar[list[str]] = []


class ActionPagination(CursorPagination):
    """Newest first; ids sort by time, so a page is one index range at any depth."""

    page_size = 50
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            try:
                UUID(str(cursor.position))  # the database would be asked to compare it with ids
            except ValueError:
                raise NotFound(self.invalid_cursor_message) from None
        return cursor


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


class AgentView(APIView):
    """A call of an agent: a query parameter that nobody reads is refused, never ignored."""

    query_parameters: ClassVar[frozenset[str]] = frozenset()
    """What GET takes; no other method takes any."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        known = self.query_parameters if request.method == "GET" else frozenset()
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            takes = f"Known are: {', '.join(sorted(known))}." if known else "This call takes none."
            raise ValidationError({name: [f"Unknown parameter. {takes}"] for name in unknown})
        super().initial(request, *args, **kwargs)


class ActionsView(AgentView, ListAPIView[ActionRequest]):
    """Propose an action, or list one's own."""

    query_parameters = frozenset({*ActionFilter.base_filters, ActionPagination.cursor_query_param})
    filterset_class = ActionFilter
    pagination_class = ActionPagination
    filter_backends = ActionFilter.backends

    def get_queryset(self) -> QuerySet[ActionRequest]:
        if getattr(self, "swagger_fake_view", False):
            return ActionRequest.objects.none()
        return for_agents(ActionRequest.objects.filter(agent=agent_of(self.request)))

    @extend_schema(summary="List own requests", responses=ActionOutput(many=True))
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        with one_look():
            stories = [written(ActionOutput, AgentStory(item)) for item in page or ()]
        return self.get_paginated_response(stories)

    @extend_schema(
        summary="Propose an action",
        parameters=[IDEMPOTENCY_KEY],
        request=ProposalSerializer,
        responses={201: ActionOutput, 200: ActionOutput, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        key = idempotency_key(request)
        proposal = proposal_from(request.data, agent_of(request), signature_of_caller(request))
        proposed = propose(proposal, agent=agent_of(request), idempotency_key=key)
        return _proposed(proposed, proposal.params)


class CheckView(AgentView):
    """Preflight."""

    @extend_schema(
        summary="What would happen to this proposal? Stores nothing",
        request=ProposalSerializer,
        responses={200: ForeseenOutput, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        proposal = proposal_from(request.data, agent_of(request), signature_of_caller(request))
        return Response(ForeseenOutput(check(proposal, agent=agent_of(request))).data)


class ActionView(AgentView):
    """One of one's own requests."""

    query_parameters = frozenset({WAIT.name})

    @extend_schema(
        summary="Get one request, or wait for its next state",
        parameters=[WAIT],
        responses={200: ActionOutput, **PROBLEMS},
    )
    def get(self, request: Request, request_id: UUID) -> Response:
        found = request_of_agent(request_id, agent_of(request))
        seconds = wait_of(request)
        waited = True
        if seconds and not is_over(found):
            waited = wait_for_change(found.pk, found.state, seconds, agent_id=found.agent_id)
        return Response(story_body(found.pk), headers=None if waited else NOT_WAITED)


class WithdrawView(AgentView):
    """Take a proposal back."""

    @extend_schema(
        summary="Withdraw a request that has not begun",
        request=ReasonSerializer,
        responses={200: ActionOutput, **PROBLEMS},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        body = valid(ReasonSerializer, request)
        agent = agent_of(request)
        found = request_of_agent(request_id, agent)
        answering.withdraw(found.pk, agent=agent, reason=body.validated_data["reason"])
        return Response(story_body(found.pk))


class AnswerView(AgentView):
    """Answer a reviewer."""

    @extend_schema(
        summary="Answer a reviewer's question, with evidence if wanted",
        request=AnswerSerializer,
        responses={200: ActionOutput, **PROBLEMS},
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
        return Response(story_body(found.pk))


class UndoView(AgentView):
    """Propose the compensation."""

    @extend_schema(
        summary="Propose undoing a done action",
        request=ReasonSerializer,
        responses={201: ActionOutput, 200: ActionOutput, **PROBLEMS},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        body = valid(ReasonSerializer, request)
        found = request_of_agent(request_id, agent_of(request))
        return _proposed(
            propose_undo(
                found.pk,
                idempotency_key=idempotency_key(request, required=False),
                reason=body.validated_data["reason"],
                signature=signature_of_caller(request),
            )
        )


class ActionTypesView(AgentView):
    """What this agent may propose."""

    @extend_schema(
        summary="Action types this agent may propose, with their JSON Schemas",
        responses={200: ActionTypesOutput, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        own = [action_type(key) for key in agent_of(request).action_types]
        offered = [kind for kind in own if is_offered(kind)]
        return Response(ActionTypesOutput({"results": offered}).data)


def agent_of(request: Request) -> Agent:
    """The authenticated agent; `IsAgent` has seen to it that there is one."""
    agent: Agent = request.auth.agent  # type: ignore[union-attr]
    return agent


def signature_of_caller(request: Request) -> Signature | None:
    """The agent's verified signature of this message, if it signed it."""
    signature: Signature | None = request.auth.signature  # type: ignore[union-attr]
    return signature


def valid(kind: type[S], request: Request) -> S:
    """The body as that serializer, or every problem with it at once."""
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer


def proposal_from(body: Any, agent: Agent, signature: Signature | None = None) -> Proposal:
    """The proposal, or everything that is wrong with it at once, whoever finds it."""
    message = ProposalSerializer(data=body)
    if not message.is_valid():
        refuse_malformed(
            field_problems(message.errors),
            message.readable(),
            body=body if isinstance(body, dict) else {},
            agent=agent,
        )
    return replace(message.proposal(), signature=signature)


def _proposed(proposed: Proposed, params: JsonObject | None = None) -> Response:
    new = proposed.opened
    if new is None or params is None:
        body = story_body(proposed.request.pk)
    else:
        story = AgentStory.of_new(new.request, new.decision, new.requirements)
        body = answered(ActionOutput, AgentStory.of(story).born_with(params))
    if proposed.replayed:
        return Response(body, headers={"Idempotency-Replayed": "true"})
    return Response(body, status=status.HTTP_201_CREATED, headers={"Location": body["status_url"]})


def story_body(request_id: UUID) -> dict[str, Any]:
    (story,) = stories_of([request_id])
    return answered(ActionOutput, story)


def answered(kind: type[serializers.Serializer[Any]], shown: object) -> dict[str, Any]:
    """The body of an answer; what several of its parts ask for is looked up once."""
    with one_look():
        return written(kind, shown)


def idempotency_key(request: Request, *, required: bool = True) -> str:
    key: str = request.headers.get("Idempotency-Key", "")
    if not key and not required:
        return ""
    if not key:
        raise ParseError("Send an Idempotency-Key header.", code="idempotency_key_missing")
    return demand_key(key)


def demand_key(key: str) -> str:
    """The idempotency key, if it is one an agent may choose."""
    if not 1 <= len(key) <= 200 or not all("!" <= c <= "~" for c in key):
        raise ParseError(
            "The Idempotency-Key is 1 to 200 printable ASCII characters without spaces.",
            code="idempotency_key_invalid",
        )
    return key


def wait_of(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ParseError("wait is a number of seconds, as in ?wait=30.", code="bad_wait")
    return float(text)
