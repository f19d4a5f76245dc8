"""What enforcement points send, and the proposal it means here.

`subject` is the calling agent, or a user on whose behalf it asks; `action.name` is an action type,
`resource.properties` are its params, and `context` may have the other fields of a proposal. What
else is in `context`, `requested_access` and `client` is ignored, as the profile demands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from approvals.api.serializers import ProposalSerializer, StrictSerializer, Text
from approvals.api.views import proposal_from
from approvals.exceptions import FieldProblem, InvalidProposal, MalformedProposal
from approvals.models import Agent
from approvals.proposal import Proposal, Signature
from audit.lib.canonical import JsonObject, digest_of

AGENT, USER = "agent", "user"
_OWN = frozenset({"action_type", "params", "on_behalf_of"})
_FROM_CONTEXT = frozenset(ProposalSerializer().fields) - _OWN


class _Object(serializers.DictField):
    """A JSON object, empty where it is left out."""

    def __init__(self) -> None:
        super().__init__(required=False, default=dict)


class SubjectSerializer(StrictSerializer):
    type = serializers.ChoiceField(choices=[AGENT, USER])
    id = Text(max_length=150)
    properties = _Object()


class ActionSerializer(StrictSerializer):
    name = serializers.RegexField(r"\A[a-z][a-z0-9_.]{0,59}\Z", max_length=60)
    properties = _Object()


class ResourceSerializer(StrictSerializer):
    type = Text(max_length=60)
    id = Text(max_length=200)
    properties = _Object()


class EvaluationSerializer(StrictSerializer):
    """An access evaluation (Authorization API 1.0)."""

    subject = SubjectSerializer()
    action = ActionSerializer()
    resource = ResourceSerializer()
    context = _Object()  # type: ignore[assignment]  # a field; the base has an attribute


class DenialSerializer(StrictSerializer):
    """What the denied evaluation said, echoed."""

    binding_token = Text(max_length=4_000)
    expires_at = Text(max_length=40)
    evaluation_id = Text(max_length=100, required=False)
    evaluated_at = Text(max_length=40, required=False)
    reason = Text(max_length=100, required=False)
    template = Text(max_length=100, required=False)


class AccessRequestSerializer(EvaluationSerializer):
    """An access request (Access Request and Approval Profile, draft 1)."""

    denial = DenialSerializer()
    requested_access = _Object()
    client = _Object()


class ApprovalSerializer(serializers.Serializer[Any]):
    """An approval that is presented to be used."""

    id = Text(max_length=4_000)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants to do what to what."""

    subject: JsonObject
    action: JsonObject
    resource: JsonObject
    context: JsonObject

    @classmethod
    def of(cls, data: dict[str, Any]) -> Asked:
        parts = ("subject", "action", "resource", "context")
        return cls(*({**data[name]} for name in parts))

    @property
    def action_type(self) -> str:
        return str(self.action["name"])

    @property
    def params(self) -> JsonObject:
        found: Any = self.resource["properties"]
        return dict(found)

    @property
    def on_behalf_of(self) -> str:
        return str(self.subject["id"]) if self.subject["type"] == USER else ""

    def is_of(self, agent: Agent) -> bool:
        """Whether this agent may ask for that subject: itself, or a user it names."""
        return self.subject["type"] == USER or self.subject["id"] == agent.name

    @property
    def digest(self) -> str:
        """What a denial is bound to: subject, action and resource, and no context."""
        return digest_of(
            {"subject": self.subject, "action": self.action, "resource": self.resource}
        )

    def proposal(
        self, agent: Agent, signature: Signature | None = None, *, intent: str = ""
    ) -> Proposal:
        """What it proposes, with `intent` where it says none. Raises InvalidProposal."""
        body: JsonObject = {
            **({"intent": intent} if intent else {}),
            **{name: self.context[name] for name in sorted(_FROM_CONTEXT & self.context.keys())},
            "action_type": self.action_type,
            "params": self.params,
            **({"on_behalf_of": self.on_behalf_of} if self.on_behalf_of else {}),
        }
        try:
            return proposal_from(body, agent, signature)
        except InvalidProposal as refused:
            raise in_its_words(refused) from None


def in_its_words(refused: InvalidProposal) -> InvalidProposal:
    """The same refusal, each field named as it was sent."""
    kind = MalformedProposal if isinstance(refused, MalformedProposal) else InvalidProposal
    return kind([FieldProblem(_sent_as(one.field), one.message) for one in refused.problems])


def _sent_as(field: str) -> str:
    first, dot, rest = field.partition(".")
    named = {
        "params": "resource.properties",
        "action_type": "action.name",
        "on_behalf_of": "subject.id",
    }
    return f"{named.get(first, f'context.{first}')}{dot}{rest}"
