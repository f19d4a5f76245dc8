"""Complaints, as the systems report them that hear of them."""

from __future__ import annotations

from uuid import UUID

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from approvals.api.output import PROBLEMS
from approvals.api.serializers import StrictSerializer, Text
from approvals.api.views import AgentView, agent_of, valid
from approvals.models import Complaint
from approvals.services.complaints import report_complaint


class ComplaintSerializer(StrictSerializer):
    """A complaint as it was made elsewhere."""

    reference = Text(
        max_length=100,
        validators=[
            RegexValidator(r"\A[\x21-\x7e]+\Z", "Printable ASCII characters without spaces.")
        ],
        help_text="Its number where it was made. Counts once; the same again is answered as "
        "before.",
    )
    text = Text(max_length=2_000, required=False, default="", allow_blank=True)


class ComplaintOutput(serializers.ModelSerializer[Complaint]):
    """A complaint as it is on record."""

    action = serializers.UUIDField(source="request_id")

    class Meta:
        model = Complaint
        fields = ("id", "action", "reference", "created_at")


class ComplaintsView(AgentView):
    """Report a complaint."""

    @extend_schema(
        summary="Report a complaint about a request that was carried out",
        description="About own requests, or about any request by an agent that an ops admin lets "
        "report complaints. Triggers of the policy count them.",
        request=ComplaintSerializer,
        responses={201: ComplaintOutput, 200: ComplaintOutput, **PROBLEMS},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        said = valid(ComplaintSerializer, request).validated_data
        reported = report_complaint(
            request_id, agent=agent_of(request), reference=said["reference"], text=said["text"]
        )
        body = ComplaintOutput(reported.complaint).data
        if reported.replayed:
            return Response(body, headers={"Idempotency-Replayed": "true"})
        return Response(body, status=status.HTTP_201_CREATED)
