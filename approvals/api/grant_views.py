"""Actions agents carry out themselves: redeem the grant, do it once, report."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from uuid import UUID

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from approvals.api.output import PROBLEMS, ActionOutput
from approvals.api.serializers import StrictSerializer, Text
from approvals.api.views import AgentView, agent_of, story_body, valid
from approvals.services.redeem import RedeemedGrant, Report, Reported, redeem, report

_plain = RegexValidator(r"\A[\x21-\x7e]*\Z", "Printable ASCII characters without spaces.")
_digest = RegexValidator(r"\A(sha256:[0-9a-f]{64})?\Z", "As in sha256: and 64 hexadecimal digits.")


class RedeemSerializer(StrictSerializer):
    """Who asks for the grant."""

    redeemer = Text(
        max_length=100,
        validators=[_plain],
        help_text="A nonce of yours for this one run. Only the same one gets the same grant again.",
    )


class ReportSerializer(StrictSerializer):
    """What came of it."""

    fence = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    outcome = serializers.ChoiceField(
        choices=[(one.value, one.value) for one in Reported],
        help_text="failed: certainly without effect; unknown: people find out.",
    )
    receipt = Text(
        max_length=200,
        validators=[_plain],
        required=False,
        default="",
        allow_blank=True,
        help_text="What the effect is known by where it happened: a commit, a deployment's id. "
        "Needed with done.",
    )
    result_digest = Text(
        max_length=71, validators=[_digest], required=False, default="", allow_blank=True
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["outcome"] == Reported.DONE and not attrs["receipt"]:
            raise serializers.ValidationError({"receipt": ["Say what the effect is known by."]})
        return attrs


@extend_schema_serializer(component_name="Grant")
class GrantOutput(serializers.Serializer[RedeemedGrant]):
    """What may be done now, once."""

    id = serializers.IntegerField()
    digest = serializers.CharField()
    params = serializers.DictField(
        help_text="Do exactly this, whatever you proposed: reviewers may have changed it."
    )
    not_after = serializers.DateTimeField(
        default_timezone=UTC, help_text="Report before; after it people find out."
    )
    fence = serializers.IntegerField(help_text="Send it with the report.")


@extend_schema_serializer(component_name="Redeemed")
class RedeemedOutput(serializers.Serializer[Any]):
    grant = GrantOutput()


class RedeemView(AgentView):
    """Take the grant."""

    @extend_schema(
        summary="Take the single-use grant of an action you carry out yourself",
        description="Once: the same redeemer gets the same answer until `not_after`, nobody else "
        "gets one. Everything is checked again as before any execution; what has changed since it "
        "was approved goes back to people (`drift`).",
        request=RedeemSerializer,
        responses={200: RedeemedOutput, **PROBLEMS},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        said = valid(RedeemSerializer, request).validated_data
        grant = redeem(request_id, agent=agent_of(request), redeemer=said["redeemer"])
        answer = Response(RedeemedOutput({"grant": grant}).data)
        answer["Cache-Control"] = "no-store"
        return answer


class ReportView(AgentView):
    """Say what came of it."""

    @extend_schema(
        summary="Report what came of an action you carried out yourself",
        description="It then counts as done by your word and is never verified. The same report "
        "again is answered as before; one that is late or under another fence is kept as evidence "
        "and changes nothing.",
        request=ReportSerializer,
        responses={200: ActionOutput, **PROBLEMS},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        said = valid(ReportSerializer, request).validated_data
        told = Report(
            fence=said["fence"],
            outcome=Reported(said["outcome"]),
            receipt=said["receipt"],
            result_digest=said["result_digest"],
        )
        report(request_id, agent=agent_of(request), said=told)
        return Response(story_body(request_id))
