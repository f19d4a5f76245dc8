"""Every table of the lifecycle."""

from approvals.models.agents import Agent, AgentBudget, AgentKey
from approvals.models.content import RequestContent
from approvals.models.counting import CountedRequest, VelocityBucket, VelocityCounter
from approvals.models.deciding import (
    Decision,
    Grant,
    PolicyDecision,
    Requirement,
    ShownContent,
    ThreadEntry,
)
from approvals.models.evidence import EvidenceItem, TargetReading
from approvals.models.executing import Attempt, Compensation, Execution, Verification
from approvals.models.inboxes import (
    ExecutiveInbox,
    FinanceInbox,
    LegalInbox,
    ManagerInbox,
    OperationsInbox,
    SecurityInbox,
    SupportInbox,
)
from approvals.models.integrity import IntegrityIncident
from approvals.models.notices import Notice
from approvals.models.requests import ActionRequest
from approvals.models.stopping import BreakGlass, Pause, RestoreCheck
from approvals.models.timing import Escalation
from approvals.models.watching import Alarm, Heartbeat

__all__ = [
    "ActionRequest",
    "Agent",
    "AgentBudget",
    "AgentKey",
    "Alarm",
    "Attempt",
    "BreakGlass",
    "Compensation",
    "CountedRequest",
    "Decision",
    "Escalation",
    "EvidenceItem",
    "Execution",
    "ExecutiveInbox",
    "FinanceInbox",
    "Grant",
    "Heartbeat",
    "IntegrityIncident",
    "LegalInbox",
    "ManagerInbox",
    "Notice",
    "OperationsInbox",
    "Pause",
    "PolicyDecision",
    "RequestContent",
    "Requirement",
    "RestoreCheck",
    "SecurityInbox",
    "ShownContent",
    "SupportInbox",
    "TargetReading",
    "ThreadEntry",
    "VelocityBucket",
    "VelocityCounter",
    "Verification",
]
