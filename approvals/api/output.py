"""What agents are answered; the OpenAPI document is derived from these serializers."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.conf import settings
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from approvals.api.openings import OpeningOutput
from approvals.api.output_fields import BlankIsNull, moment, written
from approvals.choices import DecisionVerdict, ExecutionState, PlanOutcome, State
from approvals.models import Execution
from approvals.selectors.agent_story import AgentStory, Asked, Decided
from approvals.selectors.causes import problem_of
from approvals.selectors.evidence_gaps import Gap, Problem
from approvals.selectors.impact import Impact
from approvals.selectors.openings import opening_shown
from approvals.selectors.outcomes import Outcome
from approvals.selectors.pauses import Stop
from approvals.selectors.plan_view import PlanView
from approvals.selectors.plans import Standing
from approvals.selectors.request_view import RequestView
from connectors.catalogue import ActionType, CarriedOutBy
from policies.evidence import Supplier
from policies.verdicts import Verdict

VERDICTS = [(v.value, v.value) for v in Verdict]
OUTCOMES = [(o.value, o.value) for o in Outcome]


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
    stage = serializers.IntegerField(help_text="Stage 2 opens when stage 1 is met.")
    alternatives = serializers.ListField(
        child=serializers.CharField(), help_text="Groups whose members may answer as well."
    )
    escalated_to = BlankIsNull(help_text="Who may answer it too, since it was escalated.")
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
class DecisionOutput(serializers.Serializer[Decided]):
    verdict = serializers.ChoiceField(
        choices=[one for one in DecisionVerdict.choices if one[0] != DecisionVerdict.ABSTAIN]
    )
    reason_code = BlankIsNull()
    comment = serializers.CharField()
    edits = serializers.DictField(allow_null=True, help_text="Field to [before, after].")
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


@extend_schema_serializer(component_name="Question")
class QuestionOutput(serializers.Serializer[Asked]):
    """What a reviewer asks; answer it with answer/."""

    id = serializers.IntegerField()
    text = serializers.CharField()
    asked_at = serializers.DateTimeField(default_timezone=UTC, read_only=True)


@extend_schema_serializer(component_name="Paused")
class PausedOutput(serializers.Serializer[Stop]):
    """The pause that holds it."""

    reason = serializers.CharField(source="for_agents")
    since = moment("at", allow_null=False)
    resumed_by = serializers.CharField(help_text="Who can end it: a role, never a name.")


@extend_schema_serializer(component_name="Action")
class ActionOutput(serializers.Serializer[RequestView]):
    """A request, from GET, long poll, changes and webhook alike."""

    id = serializers.UUIDField(source="request.pk")
    state = serializers.ChoiceField(source="request.state", choices=State.choices)
    outcome = serializers.ChoiceField(
        source="outcome.value",
        choices=OUTCOMES,
        help_text="open: not done yet; needs_agent: answer the question, or redeem what is "
        "yours to do; done; refused: ended "
        "without effect; unclear: nobody knows yet, never repeat it.",
    )
    final = serializers.BooleanField(help_text="Nothing is left to wait for.")
    message = serializers.CharField(
        help_text="What it has come to and what to do next, for a model; made from facts alone."
    )
    poll_after = serializers.IntegerField(
        allow_null=True, help_text="In how many seconds to ask again; null for what is final."
    )
    question = QuestionOutput(allow_null=True)
    cause = BlankIsNull(help_text="Why it was denied, sent back to people or did not go well.")
    paused = PausedOutput(allow_null=True)
    action_type = serializers.CharField(source="request.action_type")
    params = serializers.DictField(
        source="shown_params",
        allow_null=True,
        help_text="What counts now, edits of reviewers included; secrets masked. Null where the "
        "stored bytes are damaged.",
    )
    on_behalf_of = BlankIsNull(source="request.on_behalf_of")
    digest = serializers.CharField(source="request.digest")
    version = serializers.IntegerField(source="request.version")
    effect = serializers.CharField(source="request.effect")
    target = serializers.CharField(source="request.target")
    reversibility = serializers.CharField(source="request.reversibility")
    carried_out_by = serializers.SerializerMethodField(
        help_text="countersign; or agent: you do it yourself, on a grant. That counts one risk "
        "tier higher, and is never verified."
    )
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
    opening = serializers.SerializerMethodField(
        help_text="What its execution waits for; null where that is nothing."
    )
    decisions = DecisionOutput(source="decided", many=True)
    execution = ExecutionOutput(allow_null=True)
    compensates = serializers.UUIDField(source="request.compensates_id", allow_null=True)
    duplicate_of = serializers.UUIDField(
        allow_null=True, help_text="This agent's request for the same within the day before."
    )
    supersedes = serializers.UUIDField(source="request.supersedes_id", allow_null=True)
    superseded_by = serializers.UUIDField(allow_null=True)
    plan = serializers.UUIDField(source="request.plan_id", allow_null=True)
    step = serializers.IntegerField(
        source="request.step", allow_null=True, help_text="Its place in the plan, from 1."
    )
    status_url = serializers.SerializerMethodField()
    review_url = serializers.SerializerMethodField()
    created_at = moment("request.created_at", allow_null=False)
    updated_at = moment("request.updated_at", allow_null=False)

    @extend_schema_field(serializers.ChoiceField(choices=["countersign", "agent"]))
    def get_carried_out_by(self, view: RequestView) -> str:
        return "agent" if view.is_by_agent else "countersign"

    @extend_schema_field(OpeningOutput(allow_null=True))
    def get_opening(self, view: RequestView) -> Any:
        shown = opening_shown(view)
        return written(OpeningOutput, shown) if shown else None

    def to_representation(self, view: RequestView) -> dict[str, Any]:
        return super().to_representation(AgentStory.of(view))

    @extend_schema_field(OpenApiTypes.URI)
    def get_status_url(self, view: RequestView) -> str:
        return f"{settings.BASE_URL}{reverse('api:action', args=[view.request.pk])}"

    @extend_schema_field(OpenApiTypes.URI)
    def get_review_url(self, view: RequestView) -> str:
        return f"{settings.BASE_URL}{reverse('review', args=[view.request.pk])}"


@extend_schema_serializer(component_name="Changes")
class ChangesOutput(serializers.Serializer[Any]):
    """One's own requests in the order of their last change."""

    results = ActionOutput(many=True)
    cursor = serializers.CharField(help_text="Send it as `after` next time.")
    more = serializers.BooleanField(help_text="There are further changes: ask again at once.")


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
    execution = serializers.ChoiceField(
        source="execution.value",
        choices=[(one.value, one.value) for one in CarriedOutBy],
        help_text="agent: you carry it out yourself, with redeem/ and report/, one tier higher.",
    )
    schema = serializers.DictField()
    example = serializers.DictField(help_text="Acceptable params; empty where none are given.")


@extend_schema_serializer(component_name="ActionTypeList")
class ActionTypesOutput(serializers.Serializer[Any]):
    results = ActionTypeOutput(many=True)


@extend_schema_serializer(component_name="Call")
class CallOutput(serializers.Serializer[Any]):
    method = serializers.CharField()
    url = serializers.CharField()
    does = serializers.CharField()


@extend_schema_serializer(component_name="Index")
class IndexOutput(serializers.Serializer[Any]):
    """What there is."""

    name = serializers.CharField()
    about = serializers.CharField()
    authentication = serializers.CharField()
    documentation = serializers.URLField()
    schema = serializers.URLField()
    calls = CallOutput(many=True)


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
    resumed_by = serializers.CharField(
        required=False, help_text="With the code paused: who can end the pause."
    )


PROBLEMS: dict[tuple[int, str], type[ProblemOutput]] = {
    (code, "application/problem+json"): ProblemOutput
    for code in (400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 503)
}
