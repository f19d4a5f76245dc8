"""What a preflight answers: what would happen to a proposal now."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from approvals.api.output import (
    VERDICTS,
    GapOutput,
    ImpactOutput,
    MatchedRuleOutput,
    PolicyOutput,
    RequirementOutput,
)
from approvals.api.output_fields import BlankIsNull, moment
from approvals.services.dry_run import Foreseen
from audit.lib.canonical import JsonObject
from connectors.base import Preview
from policies.windows import Freeze


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
    escalated_to = None  # type: ignore[assignment]  # nothing has been
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
    begins_too_late = serializers.BooleanField(
        source="deadlines.begins_too_late",
        help_text="That moment is after `execute_by`: it would expire, whoever approved it.",
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
