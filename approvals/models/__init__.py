"""Every table of the lifecycle."""

from approvals.models.agents import Agent, AgentBudget, AgentKey
from approvals.models.break_glass import BreakGlass
from approvals.models.content import RequestContent
from approvals.models.decision import (
    Decision,
    Grant,
    PolicyDecision,
    Requirement,
    ShownContent,
    ThreadEntry,
)
from approvals.models.escalation import Escalation
from approvals.models.evidence import EvidenceItem, TargetReading
from approvals.models.execution import Attempt, Compensation, Execution, Verification
from approvals.models.inboxes import Inbox, SavedView
from approvals.models.integrity import IntegrityIncident
from approvals.models.notification import Notice
from approvals.models.pause import Pause, RestoreCheck
from approvals.models.plan import Plan
from approvals.models.request import ActionRequest
from approvals.models.signing_key import SignatureNonce, SigningKey
from approvals.models.triggers import Complaint, FiredTrigger
from approvals.models.usage import CountedRequest, VelocityBucket, VelocityCounter
from approvals.models.watching import Alarm, Heartbeat
from approvals.models.webhook import WebhookDelivery, WebhookEndpoint
from approvals.models.workload_identity import WorkloadIdentity

__all__ = [
    "ActionRequest",
    "Agent",
    "AgentBudget",
    "AgentKey",
    "Alarm",
    "Attempt",
    "BreakGlass",
    "Compensation",
    "Complaint",
    "CountedRequest",
    "Decision",
    "Escalation",
    "EvidenceItem",
    "Execution",
    "FiredTrigger",
    "Grant",
    "Heartbeat",
    "Inbox",
    "IntegrityIncident",
    "Notice",
    "Pause",
    "Plan",
    "PolicyDecision",
    "RequestContent",
    "Requirement",
    "RestoreCheck",
    "SavedView",
    "ShownContent",
    "SignatureNonce",
    "SigningKey",
    "TargetReading",
    "ThreadEntry",
    "VelocityBucket",
    "VelocityCounter",
    "Verification",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WorkloadIdentity",
]
