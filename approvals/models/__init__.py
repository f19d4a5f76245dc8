"""Every table of the lifecycle."""

from approvals.models.agents import Agent, AgentKey
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
    FinanceInbox,
    LegalInbox,
    ManagerInbox,
    OperationsInbox,
    SecurityInbox,
    SupportInbox,
)
from approvals.models.notices import Notice
from approvals.models.requests import ActionRequest, RequestContent
from approvals.models.timing import Escalation

__all__ = [
    "ActionRequest",
    "Agent",
    "AgentKey",
    "Attempt",
    "Compensation",
    "Decision",
    "Escalation",
    "EvidenceItem",
    "Execution",
    "FinanceInbox",
    "Grant",
    "LegalInbox",
    "ManagerInbox",
    "Notice",
    "OperationsInbox",
    "PolicyDecision",
    "RequestContent",
    "Requirement",
    "SecurityInbox",
    "ShownContent",
    "SupportInbox",
    "TargetReading",
    "ThreadEntry",
    "Verification",
]
