"""The answers' shapes, for the OpenAPI document only."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from approvals.choices import DecisionVerdict, ExecutionState, State
from policies.verdicts import Verdict

VERDICTS = [(v.value, v.value) for v in Verdict]


class Requirement(serializers.Serializer[Any]):
    group = serializers.CharField()
    quorum = serializers.IntegerField()
    minimum = serializers.CharField(
        allow_null=True, help_text='Amount a limit must cover, "2000.00 EUR".'
    )
    met = serializers.BooleanField()


class MatchedRule(serializers.Serializer[Any]):
    rule = serializers.CharField()
    reason = serializers.CharField()


class Policy(serializers.Serializer[Any]):
    version = serializers.CharField()
    matched = MatchedRule(many=True)


class Decided(serializers.Serializer[Any]):
    verdict = serializers.ChoiceField(choices=DecisionVerdict.choices)
    reason_code = serializers.CharField(allow_null=True)
    comment = serializers.CharField()
    edits = serializers.DictField(allow_null=True, help_text="Field to [before, after].")
    version = serializers.IntegerField()
    at = serializers.DateTimeField()


class Executed(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=ExecutionState.choices)
    receipt = serializers.CharField(allow_null=True)
    verified = serializers.BooleanField(allow_null=True)


class Action(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=State.choices)
    action_type = serializers.CharField()
    digest = serializers.CharField()
    version = serializers.IntegerField()
    effect = serializers.CharField()
    target = serializers.CharField()
    reversibility = serializers.CharField()
    risk_tier = serializers.IntegerField(allow_null=True, min_value=0, max_value=5)
    verdict = serializers.ChoiceField(choices=VERDICTS, allow_null=True)
    requirements = Requirement(many=True)
    policy = Policy(allow_null=True)
    decide_by = serializers.DateTimeField(allow_null=True)
    answer_by = serializers.DateTimeField(allow_null=True)
    execute_by = serializers.DateTimeField(allow_null=True)
    decisions = Decided(many=True)
    execution = Executed(allow_null=True)
    compensates = serializers.UUIDField(allow_null=True)
    status_url = serializers.URLField()
    review_url = serializers.URLField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TracedClause(serializers.Serializer[Any]):
    text = serializers.CharField()
    outcome = serializers.CharField()
    detail = serializers.CharField()


class TracedRule(serializers.Serializer[Any]):
    rule = serializers.CharField()
    effect = serializers.ChoiceField(choices=VERDICTS)
    matched = serializers.BooleanField()
    clauses = TracedClause(many=True)


class Foreseen(serializers.Serializer[Any]):
    action_type = serializers.CharField()
    digest = serializers.CharField()
    effect = serializers.CharField()
    reversibility = serializers.CharField()
    risk_tier = serializers.IntegerField(min_value=0, max_value=5)
    verdict = serializers.ChoiceField(choices=VERDICTS)
    requirements = Requirement(many=True)
    policy = Policy()
    trace = TracedRule(many=True)


class ActionTypeItem(serializers.Serializer[Any]):
    key = serializers.CharField()
    version = serializers.IntegerField()
    title = serializers.CharField()
    verb = serializers.CharField()
    system = serializers.CharField()
    reversibility = serializers.CharField()
    undo = serializers.CharField()
    supervised = serializers.BooleanField()
    schema = serializers.DictField()


class ActionTypeList(serializers.Serializer[Any]):
    results = ActionTypeItem(many=True)


class FieldProblem(serializers.Serializer[Any]):
    field = serializers.CharField()
    message = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]  # RFC 9457's name


PROBLEMS: dict[tuple[int, str], type[Problem]] = {
    (code, "application/problem+json"): Problem
    for code in (400, 401, 403, 404, 409, 413, 415, 422, 429, 503)
}
