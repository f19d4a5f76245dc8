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

from approvals.choices import DecisionVerdict, ExecutionState, PlanOutcome, State
from approvals.models import Decision, Execution
from approvals.selectors.causes import problem_of
from approvals.selectors.evidence_gaps import Gap, Problem
from approvals.selectors.impact import Impact
from approvals.selectors.plan_view import PlanView
from approvals.selectors.plans import Standing
from approvals.selectors.request_view import RequestView
from approvals.services.dry_run import Foreseen
from audit.lib.canonical import JsonObject
from connectors.base import Preview
from connectors.catalogue import ActionType
from policies.evidence import Supplier
from policies.verdicts import Verdict
from policies.windows import Freeze

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


def moment(
    source: str, *, allow_null: bool = True, help_text: str | None = None
) -> serializers.DateTimeField:
    """A time in UTC, as in 2026-03-01T09:30:00Z (RFC 3339)."""
    return serializers.DateTimeField(
        source=source,
        allow_null=allow_null,
        default_timezone=UTC,
        read_only=True,
        help_text=help_text,
    )


@extend_schema_serializer(component_name="Requirement")
class RequirementOutput(serializers.Serializer[Any]):
    group = serializers.CharField(
        help_text="A team's code, or who was looked up as policy has it, such as owner:data."
    )
    quorum = serializers.IntegerField()
    minimum = serializers.CharField(
        allow_null=True, help_text='Amount a limit must cover, "2000.00 EUR".'
    )
    met = serializers.BooleanField()
    alarm = BlankIsNull(
        help_text="Why too few people may decide it; those who can put that right are told."
    )


@extend_schema_serializer(component_name="MatchedRule")
class MatchedRuleOutput(serializers.Serializer[Any]):
    rule = serializers.CharField()
    reason = serializers.CharField()
    effect = serializers.ChoiceField(choices=VERDICTS)


@extend_schema_serializer(component_name="Policy")
class PolicyOutput(serializers.Serializer[Any]):
    version = serializers.CharField()
    verdict = serializers.ChoiceField(choices=VERDICTS)
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
    problem = serializers.SerializerMethodField(
        help_text="What went wrong, in words for people; null where nothing did."
    )

    def get_verified(self, execution: Execution) -> bool | None:
        newest = max(execution.verifications.all(), key=lambda v: v.pk, default=None)
        return newest.matches if newest else None

    def get_problem(self, execution: Execution) -> str | None:
        return problem_of(execution) or None


@extend_schema_serializer(component_name="Gap")
class GapOutput(serializers.Serializer[Gap]):
    """One thing that keeps people from approving it."""

    kind = serializers.CharField(help_text='A kind of evidence, or "target".')
    problem = serializers.ChoiceField(choices=[(p.value, p.value) for p in Problem])
    by = serializers.ChoiceField(
        choices=[(s.value, s.value) for s in Supplier],
        help_text='Who may supply it; "anyone" includes the agent, by answer/.',
    )
    message = serializers.CharField(source="sentence")


@extend_schema_serializer(component_name="Impact")
class ImpactOutput(serializers.Serializer[Impact]):
    """What it would do and what a mistake would cost: an estimate from the facts of the case."""

    summary = serializers.CharField()
    cost_of_error = serializers.CharField()
    money_at_risk = serializers.SerializerMethodField(help_text='As in "1200.00 EUR".')

    def get_money_at_risk(self, impact: Impact) -> str | None:
        money = impact.money_at_risk
        return f"{money.decimal} {money.currency}" if money else None


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
    evidence_gaps = GapOutput(
        source="gaps", many=True, help_text="What keeps people from approving it, as read last."
    )
    impact = ImpactOutput(allow_null=True)
    decide_by = moment("request.decide_by")
    answer_by = moment("request.answer_by")
    execute_by = moment("request.execute_by")
    decisions = DecisionOutput(many=True)
    execution = ExecutionOutput(allow_null=True)
    compensates = serializers.UUIDField(source="request.compensates_id", allow_null=True)
    plan = serializers.UUIDField(source="request.plan_id", allow_null=True)
    step = serializers.IntegerField(
        source="request.step", allow_null=True, help_text="Its place in the plan, from 1."
    )
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


@extend_schema_serializer(component_name="Plan")
class PlanOutput(serializers.Serializer[PlanView]):
    """Several actions judged together and done in order."""

    id = serializers.UUIDField(source="plan.pk")
    state = serializers.ChoiceField(
        source="standing.value",
        choices=[(s.value, s.value) for s in Standing],
        help_text="open: people decide; running; stopped: nothing more is done, and what was done "
        "is being undone, newest first; over: see outcome.",
    )
    outcome = serializers.ChoiceField(
        source="plan.outcome", choices=PlanOutcome.choices, allow_blank=True
    )
    stop_reason = serializers.CharField(source="plan.stop_reason", allow_blank=True)
    intent = serializers.CharField(source="plan.intent")
    risk_tier = serializers.IntegerField(
        source="facts.highest_tier", help_text="The highest of all steps; it governs each."
    )
    verdict = serializers.ChoiceField(source="facts.verdict", choices=VERDICTS)
    steps = ActionOutput(many=True)
    status_url = serializers.SerializerMethodField()
    review_url = serializers.SerializerMethodField()
    created_at = moment("plan.created_at", allow_null=False)

    @extend_schema_field(OpenApiTypes.URI)
    def get_status_url(self, view: PlanView) -> str:
        return f"{settings.BASE_URL}{reverse('api:plan', args=[view.plan.pk])}"

    @extend_schema_field(OpenApiTypes.URI)
    def get_review_url(self, view: PlanView) -> str:
        return f"{settings.BASE_URL}{reverse('admin:approvals_plan_change', args=[view.plan.pk])}"


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


@extend_schema_serializer(component_name="ForeseenRequirement")
class ForeseenRequirementOutput(RequirementOutput):
    stage = serializers.IntegerField(help_text="Stage 2 opens when stage 1 is met.")
    alternatives = serializers.ListField(
        child=serializers.CharField(), help_text="Groups whose members may answer as well."
    )
    excludes = serializers.ListField(
        child=serializers.CharField(), help_text="Whoever is in one of these groups never counts."
    )
    within_limit = serializers.BooleanField(
        help_text="Only people whose approval limit covers the amount count."
    )


@extend_schema_serializer(component_name="ForeseenMatchedRule")
class ForeseenMatchedRuleOutput(MatchedRuleOutput):
    effect = serializers.ChoiceField(source="effect.value", choices=VERDICTS)


@extend_schema_serializer(component_name="ForeseenPolicy")
class ForeseenPolicyOutput(PolicyOutput):
    matched = ForeseenMatchedRuleOutput(many=True)


@extend_schema_serializer(component_name="Preview")
class PreviewOutput(serializers.Serializer[Preview]):
    """The target as it is and as it would be."""

    before = serializers.DictField()
    after = serializers.SerializerMethodField()
    unavailable = BlankIsNull(help_text="Why there is no preview; null when there is one.")
    problem = serializers.SerializerMethodField(
        help_text="Why the target would refuse it, as far as can be seen; null when nothing is."
    )

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_after(self, preview: Preview) -> JsonObject:
        return {name: value for name, value in preview.after.items() if name != "problem"}

    def get_problem(self, preview: Preview) -> str | None:
        return str(preview.after["problem"]) if "problem" in preview.after else None


@extend_schema_serializer(component_name="ForeseenEvidence")
class ForeseenEvidenceOutput(serializers.Serializer[Foreseen]):
    required = serializers.SerializerMethodField()  # type: ignore[assignment]
    missing = serializers.SerializerMethodField(
        help_text="Required kinds that are not there; nobody can approve without."
    )

    def get_required(self, foreseen: Foreseen) -> list[str]:
        return [demand.kind for demand in foreseen.evaluation.evidence_required]

    def get_missing(self, foreseen: Foreseen) -> list[str]:
        required = self.get_required(foreseen)
        return [gap.kind for gap in foreseen.evidence_gaps if gap.kind in required]


@extend_schema_serializer(component_name="Freeze")
class FreezeOutput(serializers.Serializer[Freeze]):
    name = serializers.CharField()
    reason = serializers.CharField()
    ends_at = serializers.DateTimeField(default_timezone=UTC)


@extend_schema_serializer(component_name="Foreseen")
class ForeseenOutput(serializers.Serializer[Foreseen]):
    """What would happen to a proposal now. What is paused is refused, as a proposal would be."""

    action_type = serializers.CharField(source="candidate.type.key")
    digest = serializers.CharField(source="candidate.digest")
    effect = serializers.CharField(source="candidate.effect")
    target = serializers.CharField(source="candidate.target")
    reversibility = serializers.CharField(source="candidate.type.reversibility.value")
    risk_tier = serializers.IntegerField(source="evaluation.tier", min_value=0, max_value=5)
    verdict = serializers.ChoiceField(source="evaluation.verdict.value", choices=VERDICTS)
    requirements = ForeseenRequirementOutput(many=True)
    policy = ForeseenPolicyOutput(source="evaluation")
    preview = PreviewOutput()
    evidence = ForeseenEvidenceOutput(source="*")
    evidence_gaps = GapOutput(
        many=True, help_text="Whatever would keep people from approving it, and what to do."
    )
    impact = ImpactOutput(allow_null=True)
    decide_by = moment("deadlines.decide_by")
    execute_by = moment(
        "deadlines.execute_by",
        help_text="At the latest: as if people decided in their last moment.",
    )
    may_begin_at = moment(
        "deadlines.may_begin_at",
        help_text="The earliest moment change windows and freezes leave, if it were decided now.",
    )
    window = BlankIsNull(source="evaluation.window", help_text="Change window it waits for.")
    freezes = FreezeOutput(many=True)
    already_open = serializers.BooleanField(
        help_text="The same has been proposed, by this agent or another, and has not ended."
    )
    duplicate_of = serializers.UUIDField(
        allow_null=True, help_text="This agent's newest request for the same that has not ended."
    )
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
