"""The shape of what agents send: every field known, of exactly its type, within its size."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from approvals.api.datetime_fields import MomentField
from approvals.proposal import PlanProposal, Proposal, ReadableParts, SuppliedEvidence
from approvals.services.plans import FEWEST_STEPS, MOST_STEPS
from audit.lib import db_clock

_ASCII_ID = r"\A[\x21-\x7e]*\Z"
_CLOCK_SKEW = timedelta(minutes=5)
"""How far an agent's clock may be ahead of ours."""

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"
one_person = RegexValidator(
    rf"\A([A-Za-z0-9._-]{{1,150}}|{_LOCAL}@{_LABEL}(\.{_LABEL})+)\Z",
    "Name one person by user name (ASCII letters, digits, dot, underscore, hyphen) or by plain "
    'e-mail address, as in "mona" or "mona@retailer.example"; or leave it out.',
)
"""Four-eyes finds the account by this text, so nothing may make two texts of one person: no
display name, no +tag, no space, no invisible character."""


class Text(serializers.CharField):
    """A JSON string. Numbers and booleans are not quietly turned into text."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trim_whitespace", False)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Number(serializers.FloatField):
    """A JSON number, not a string that looks like one."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, (int, float)):
            self.fail("invalid")
        return float(super().to_internal_value(data))


class Object(serializers.DictField):
    """A JSON object of anything; its meaning is checked elsewhere."""


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys it does not know: a misspelt or smuggled field is never ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError({"non_field_errors": ["Must be a JSON object."]})
        known = ", ".join(self.fields)
        unknown = {
            key[:60]: [f"Unknown field. Known are: {known}."]
            for key in data
            if key not in self.fields
        }
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            detail = error.detail
            raise serializers.ValidationError(
                {**(detail if isinstance(detail, dict) else {}), **unknown}
            ) from None
        if unknown:
            raise serializers.ValidationError(unknown)
        return value


class EvidenceSerializer(StrictSerializer):
    """A source the agent points to."""

    kind = serializers.RegexField(r"\A[a-z][a-z0-9_]{0,39}\Z", max_length=40)
    title = Text(max_length=200)
    uri = Text(max_length=500, required=False, default="", allow_blank=True)
    retrieved_at = MomentField(required=False, allow_null=True, default=None)
    authority = Text(max_length=60, required=False, default="", allow_blank=True)
    excerpt = Text(max_length=20_000, required=False, default="", allow_blank=True)

    def validate_uri(self, value: str) -> str:
        if value and not value.startswith("https://"):
            raise serializers.ValidationError("Only https:// addresses, or none.")
        return value

    def validate_retrieved_at(self, value: datetime | None) -> datetime | None:
        if value is not None and value > db_clock.now() + _CLOCK_SKEW:
            raise serializers.ValidationError("This is in the future; nothing is retrieved there.")
        return value


class ModelSerializer(StrictSerializer):
    """Which model and prompt produced the proposal."""

    id = Text(max_length=80)
    prompt_template = Text(max_length=80, required=False, allow_blank=True)
    prompt_version = Text(max_length=40, required=False, allow_blank=True)


class AlternativeSerializer(StrictSerializer):
    """Something else that could be done."""

    summary = Text(max_length=500)
    risk = Text(max_length=200, required=False, allow_blank=True)


class ProposalSerializer(StrictSerializer):
    """The message an agent sends. Amount, target and risk are derived, never sent."""

    action_type = serializers.RegexField(r"\A[a-z][a-z0-9_.]{0,59}\Z", max_length=60)
    params = Object()
    intent = Text(max_length=1000)
    on_behalf_of = Text(
        max_length=150,
        required=False,
        default="",
        allow_blank=True,
        validators=[one_person],
    )
    confidence = Number(min_value=0, max_value=1, required=False, allow_null=True, default=None)
    model = ModelSerializer(required=False)
    evidence = serializers.ListField(
        child=EvidenceSerializer(), required=False, default=list, max_length=50
    )
    alternatives = serializers.ListField(
        child=AlternativeSerializer(), required=False, default=list, max_length=20
    )
    undo_note = Text(max_length=1000, required=False, default="", allow_blank=True)
    session = serializers.RegexField(
        _ASCII_ID, max_length=100, required=False, default="", allow_blank=True
    )
    supersedes = serializers.UUIDField(required=False, allow_null=True, default=None)
    callback_url = serializers.URLField(
        max_length=500, required=False, default="", allow_blank=True
    )
    decide_by = MomentField(required=False, allow_null=True, default=None)

    def readable(self) -> ReadableParts:
        """What there is to check further of a message that is not valid."""
        sent = self.initial_data if isinstance(self.initial_data, dict) else {}
        parts = (part.name for part in dataclasses.fields(ReadableParts))
        sound = {name: sent[name] for name in parts if name in sent and name not in self.errors}
        again = ProposalSerializer(data=sound, partial=True)
        return ReadableParts(**again.validated_data) if again.is_valid() else ReadableParts()

    def proposal(self) -> Proposal:
        """The validated message as the value services take; `body` as it was sent."""
        data = self.validated_data
        return Proposal(
            action_type=data["action_type"],
            params=data["params"],
            body=dict(self.initial_data),
            intent=data["intent"],
            on_behalf_of=data["on_behalf_of"],
            evidence=supplied(data["evidence"]),
            session=data["session"],
            supersedes=data["supersedes"],
            decide_by=data["decide_by"],
            callback_url=data["callback_url"],
        )


class StepSerializer(StrictSerializer):
    """One action of a plan; on whose behalf, session and model are the plan's."""

    action_type = serializers.RegexField(r"\A[a-z][a-z0-9_.]{0,59}\Z", max_length=60)
    params = Object()
    intent = Text(max_length=1000, required=False, default="", allow_blank=True)
    confidence = Number(min_value=0, max_value=1, required=False, allow_null=True, default=None)
    evidence = serializers.ListField(
        child=EvidenceSerializer(), required=False, default=list, max_length=50
    )
    alternatives = serializers.ListField(
        child=AlternativeSerializer(), required=False, default=list, max_length=20
    )
    undo_note = Text(max_length=1000, required=False, default="", allow_blank=True)


class PlanSerializer(StrictSerializer):
    """The message an agent sends for several actions at once, in the order they are to be done."""

    intent = Text(max_length=1000)
    steps = serializers.ListField(
        child=StepSerializer(), min_length=FEWEST_STEPS, max_length=MOST_STEPS
    )
    on_behalf_of = Text(
        max_length=150, required=False, default="", allow_blank=True, validators=[one_person]
    )
    model = ModelSerializer(required=False)
    session = serializers.RegexField(
        _ASCII_ID, max_length=100, required=False, default="", allow_blank=True
    )
    decide_by = MomentField(required=False, allow_null=True, default=None)

    def proposal(self) -> PlanProposal:
        """The validated message as the value services take; `body` as it was sent."""
        body = dict(self.initial_data)
        steps = zip(self.validated_data["steps"], body["steps"], strict=True)
        return PlanProposal(
            intent=self.validated_data["intent"],
            session=self.validated_data["session"],
            steps=tuple(self._step(step, sent) for step, sent in steps),
            body=body,
        )

    def _step(self, step: dict[str, Any], sent: dict[str, Any]) -> Proposal:
        """A proposal like any other, with what the plan says of all its steps."""
        data = self.validated_data
        of_plan = {
            name: self.initial_data[name]
            for name in ("intent", "on_behalf_of", "model", "session", "decide_by")
            if name in self.initial_data
        }
        return Proposal(
            action_type=step["action_type"],
            params=step["params"],
            body={**of_plan, **{name: value for name, value in sent.items() if value != ""}},
            intent=step["intent"] or data["intent"],
            on_behalf_of=data["on_behalf_of"],
            evidence=supplied(step["evidence"]),
            session=data["session"],
            decide_by=data["decide_by"],
        )


class AnswerSerializer(StrictSerializer):
    """The agent's answer to a reviewer."""

    answer = Text(max_length=5000)
    evidence = serializers.ListField(
        child=EvidenceSerializer(), required=False, default=list, max_length=20
    )


class ReasonSerializer(StrictSerializer):
    """Why something is withdrawn or undone."""

    reason = Text(max_length=500, required=False, default="", allow_blank=True)


def supplied(items: list[dict[str, Any]]) -> tuple[SuppliedEvidence, ...]:
    """Validated evidence as values."""
    return tuple(SuppliedEvidence(**item) for item in items)
