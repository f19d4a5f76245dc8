"""What agents are answered; the OpenAPI document is derived from these serializers."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from django.conf import settings
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from approvals.choices import DecisionVerdict, ExecutionState, State
from approvals.models import Decision, Execution
from approvals.selectors.request_view import RequestView
from approvals.services.dry_run import Foreseen
from connectors.catalogue import ActionType
from policies.verdicts import Verdict

VERDICTS = [(v.value, v.value) for v in Verdict]


class BlankIsNull(serializers.CharField):
    """Text that is null where the database holds an empty string."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_representation(self, value: Any) -> Any:
        return str(value) or None


class StoredJson(serializers.DictField):
    """An object stored as canonical JSON; null where none is."""

    def to_representation(self, value: Any) -> Any:
        return json.loads(value) if value else None


def moment(source: str, *, allow_null: bool = True) -> serializers.DateTimeField:
    """A time in UTC, as in 2026-03-01T09:30:00Z (RFC 3339)."""
    return serializers.DateTimeField(
        source=source, allow_null=allow_null, default_timezone=UTC, read_only=True
    )


@extend_schema_serializer(component_name="Requirement")
class RequirementOutput(serializers.Serializer[Any]):
    group = serializers.CharField()
    quorum = serializers.IntegerField()
    minimum = serializers.CharField(
        allow_null=True, help_text='Amount a limit must cover, "2000.00 EUR".'
    )
    met = serializers.BooleanField()


@extend_schema_serializer(component_name="MatchedRule")
class MatchedRuleOutput(serializers.Serializer[Any]):
    rule = serializers.CharField()
    reason = serializers.CharField()


@extend_schema_serializer(component_name="Policy")
class PolicyOutput(serializers.Serializer[Any]):
    version = serializers.CharField()
    matched = MatchedRuleOutput(many=True)


@extend_schema_serializer(component_name="Decided")
class DecisionOutput(serializers.Serializer[Decision]):
    verdict = serializers.ChoiceField(choices=DecisionVerdict.choices)
    reason_code = BlankIsNull()
    comment = serializers.CharField()
    edits = StoredJson(allow_null=True, help_text="Field to [before, after].")
    version = serializers.IntegerField()
    at = moment("created_at", allow_null=False)


@extend_schema_serializer(component_name="Executed")
class ExecutionOutput(serializers.Serializer[Execution]):
    state = serializers.ChoiceField(choices=ExecutionState.choices)
    receipt = BlankIsNull(source="receipt_reference")
    verified = serializers.SerializerMethodField()

    def get_verified(self, execution: Execution) -> bool | None:
        newest = max(execution.verifications.all(), key=lambda v: v.pk, default=None)
        return newest.matches if newest else None


@extend_schema_serializer(component_name="Action")
class ActionOutput(serializers.Serializer[RequestView]):
    """A request, from GET, long poll and webhook alike."""

    id = serializers.UUIDField(source="request.pk")
    state = serializers.ChoiceField(source="request.state", choices=State.choices)
    action_type = serializers.CharField(source="request.action_type")
    digest = serializers.CharField(source="request.digest")
    version = serializers.IntegerField(source="request.version")
    effect = serializers.CharField(source="request.effect")
    target = serializers.CharField(source="request.target")
    reversibility = serializers.CharField(source="request.reversibility")
    risk_tier = serializers.IntegerField(
        source="request.risk_tier", allow_null=True, min_value=0, max_value=5
    )
    verdict = serializers.ChoiceField(choices=VERDICTS, allow_null=True)
    requirements = RequirementOutput(many=True)
    policy = PolicyOutput(allow_null=True)
    decide_by = moment("request.decide_by")
    answer_by = moment("request.answer_by")
    execute_by = moment("request.execute_by")
    decisions = DecisionOutput(many=True)
    execution = ExecutionOutput(allow_null=True)
    compensates = serializers.UUIDField(source="request.compensates_id", allow_null=True)
    status_url = serializers.SerializerMethodField()
    review_url = serializers.SerializerMethodField()
    created_at = moment("request.created_at", allow_null=False)
    updated_at = moment("request.updated_at", allow_null=False)

    @extend_schema_field(OpenApiTypes.URI)
    def get_status_url(self, view: RequestView) -> str:
        return f"{settings.BASE_URL}{reverse('api:action', args=[view.request.pk])}"

    @extend_schema_field(OpenApiTypes.URI)
    def get_review_url(self, view: RequestView) -> str:
        return f"{settings.BASE_URL}{reverse('review', args=[view.request.pk])}"


@extend_schema_serializer(component_name="TracedClause")
class TracedClauseOutput(serializers.Serializer[Any]):
    text = serializers.CharField()
    outcome = serializers.CharField()
    detail = serializers.CharField()


@extend_schema_serializer(component_name="TracedRule")
class TracedRuleOutput(serializers.Serializer[Any]):
    rule = serializers.CharField()
    effect = serializers.ChoiceField(source="effect.value", choices=VERDICTS)
    matched = serializers.BooleanField()
    clauses = TracedClauseOutput(many=True)


@extend_schema_serializer(component_name="Foreseen")
class ForeseenOutput(serializers.Serializer[Foreseen]):
    """What would happen to a proposal now."""

    action_type = serializers.CharField(source="candidate.type.key")
    digest = serializers.CharField(source="candidate.digest")
    effect = serializers.CharField(source="candidate.effect")
    reversibility = serializers.CharField(source="candidate.type.reversibility.value")
    risk_tier = serializers.IntegerField(source="evaluation.tier", min_value=0, max_value=5)
    verdict = serializers.ChoiceField(source="evaluation.verdict.value", choices=VERDICTS)
    requirements = RequirementOutput(many=True)
    policy = PolicyOutput(source="evaluation")
    trace = TracedRuleOutput(source="evaluation.trace", many=True)


@extend_schema_serializer(component_name="ActionTypeItem")
class ActionTypeOutput(serializers.Serializer[ActionType]):
    key = serializers.CharField()
    version = serializers.IntegerField()
    title = serializers.CharField()
    verb = serializers.CharField(source="verb.value")
    system = serializers.CharField()
    reversibility = serializers.CharField(source="reversibility.value")
    undo = serializers.CharField()
    supervised = serializers.BooleanField()
    schema = serializers.DictField()


@extend_schema_serializer(component_name="ActionTypeList")
class ActionTypesOutput(serializers.Serializer[Any]):
    results = ActionTypeOutput(many=True)


@extend_schema_serializer(component_name="FieldProblem")
class FieldProblemOutput(serializers.Serializer[Any]):
    field = serializers.CharField()
    message = serializers.CharField()


@extend_schema_serializer(component_name="Problem")
class ProblemOutput(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = FieldProblemOutput(many=True, required=False)  # type: ignore[assignment]


PROBLEMS: dict[tuple[int, str], type[ProblemOutput]] = {
    (code, "application/problem+json"): ProblemOutput
    for code in (400, 401, 403, 404, 409, 413, 415, 422, 429, 503)
}
