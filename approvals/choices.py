"""The words of the lifecycle and the named sets everything else asks about."""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    """Where a request stands. The graph between these is on `approvals.models.ActionRequest`."""

    REQUESTED = "requested"
    CLASSIFIED = "classified"
    EVIDENCE_COLLECTED = "evidence_collected"
    POLICY_CHECKED = "policy_checked"
    PENDING_APPROVAL = "pending_approval"
    CHANGES_REQUESTED = "changes_requested"
    APPROVED = "approved"
    EXECUTING = "executing"
    EXECUTED = "executed"
    OUTCOME_UNKNOWN = "outcome_unknown"
    VERIFIED = "verified"
    VERIFICATION_FAILED = "verification_failed"
    AUDITED = "audited"
    DENIED = "denied"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    FAILED = "failed"
    RESOLVED = "resolved"
    COMPENSATED = "compensated"


INTAKE = frozenset(
    {State.REQUESTED, State.CLASSIFIED, State.EVIDENCE_COLLECTED, State.POLICY_CHECKED}
)
WAITING_FOR_PEOPLE = frozenset({State.PENDING_APPROVAL, State.CHANGES_REQUESTED})
CARRIED_OUT = frozenset({State.VERIFIED, State.AUDITED})
"""Done, and read back as approved."""
WITHDRAWABLE = frozenset({State.PENDING_APPROVAL, State.CHANGES_REQUESTED, State.APPROVED})
INCIDENTS = frozenset({State.OUTCOME_UNKNOWN, State.VERIFICATION_FAILED})
DONE = frozenset({State.EXECUTED, State.VERIFIED, State.AUDITED})
UNDOABLE = frozenset({State.VERIFIED, State.VERIFICATION_FAILED, State.AUDITED})
ENDED_WITHOUT_EFFECT = frozenset(
    {State.DENIED, State.REJECTED, State.WITHDRAWN, State.EXPIRED, State.FAILED}
)
ENDED = ENDED_WITHOUT_EFFECT | {State.AUDITED, State.RESOLVED, State.COMPENSATED}
OPEN = frozenset(State) - ENDED


class DecisionVerdict(models.TextChoices):
    """One person's verdict."""

    APPROVE = "approve"
    REJECT = "reject"
    EDIT = "approve_with_edits", "approve with edits"
    REQUEST_CHANGES = "request_changes", "request changes"
    ESCALATE = "escalate"
    BREAK_GLASS = "break_glass", "approved alone by break-glass"
    ABSTAIN = "abstain"


FINAL_VERDICTS = frozenset(
    {DecisionVerdict.APPROVE, DecisionVerdict.REJECT, DecisionVerdict.BREAK_GLASS}
)


class ReasonCode(models.TextChoices):
    """Why somebody decided as they did; agents receive the code."""

    AS_PROPOSED = "as_proposed", "Right as proposed"
    CORRECTED = "corrected", "Right after correction"
    WRONG_AMOUNT = "wrong_amount", "Amount is wrong"
    WRONG_TARGET = "wrong_target", "Target or recipient is wrong"
    NOT_JUSTIFIED = "not_justified", "The reason does not justify it"
    EVIDENCE_MISSING = "evidence_missing", "Evidence is missing or weak"
    DUPLICATE = "duplicate", "Already done"
    POLICY = "policy", "Against policy"
    SUSPICIOUS = "suspicious", "Looks like manipulation or fraud"
    OTHER = "other", "Other (say what)"


REASONS: dict[DecisionVerdict, tuple[ReasonCode, ...]] = {
    DecisionVerdict.APPROVE: (ReasonCode.AS_PROPOSED, ReasonCode.CORRECTED, ReasonCode.OTHER),
    DecisionVerdict.EDIT: (
        ReasonCode.CORRECTED,
        ReasonCode.WRONG_AMOUNT,
        ReasonCode.WRONG_TARGET,
        ReasonCode.POLICY,
        ReasonCode.OTHER,
    ),
    DecisionVerdict.REJECT: (
        ReasonCode.WRONG_AMOUNT,
        ReasonCode.WRONG_TARGET,
        ReasonCode.NOT_JUSTIFIED,
        ReasonCode.EVIDENCE_MISSING,
        ReasonCode.DUPLICATE,
        ReasonCode.POLICY,
        ReasonCode.SUSPICIOUS,
        ReasonCode.OTHER,
    ),
}
"""The reasons each form offers, in its order. Every reason code is offered by one of them."""


class PlanOutcome(models.TextChoices):
    """What became of a plan that is over."""

    DONE = "done", "carried out"
    NOTHING = "nothing", "ended, nothing was done"
    UNDONE = "undone", "stopped, what was done is undone"
    LEFT = "left", "stopped, some of it stays done"


class Origin(models.TextChoices):
    """Who supplied a piece of evidence. No two of them look alike."""

    SYSTEM = "system", "read by the system"
    AGENT = "agent", "supplied by the agent"
    PERSON = "person", "supplied by a colleague"


class ExecutionState(models.TextChoices):
    """How carrying out one grant stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class AttemptOutcome(models.TextChoices):
    """How one call to the outside ended, as far as its own worker could tell."""

    RUNNING = "running"
    RECEIPT = "receipt"
    REFUSED = "refused"
    RETRY = "retry", "nothing happened, may be repeated"
    UNASKED = "unasked", "not sent: the target could not be asked first"
    UNKNOWN = "unknown"
    LEASE_EXPIRED = "lease_expired", "lease expired"


class EscalationStep(models.TextChoices):
    """The points on a request's clock; each happens once per version."""

    FIRST_REMINDER = "reminder_50", "first reminder"
    SECOND_REMINDER = "reminder_75", "second reminder"
    OVERDUE = "overdue", "escalated, time nearly gone"
    EXPIRY = "expiry", "expired"
    MANUAL = "manual", "escalated by a reviewer"
    NOBODY = "nobody", "nobody in the group may decide"
    CLIMBED = "climbed", "sent up to somebody whose limit covers it"


REMINDERS: dict[EscalationStep, int] = {
    EscalationStep.FIRST_REMINDER: 50,
    EscalationStep.SECOND_REMINDER: 75,
    EscalationStep.OVERDUE: 90,
}
"""The steps before a deadline, in order: when each is due, in percent of the time to decide."""


class PauseScope(models.TextChoices):
    """What a pause stops. Agents are paused on their own row."""

    ALL = "all", "everything"
    RESTORED = "restored", "everything after a restore"
    ACTION_TYPE = "action_type", "action type"
    CONNECTOR = "connector"
    CONNECTION = "connection"


class RestoreFinding(models.TextChoices):
    """What the target said of a request that a restored database believes not carried out."""

    FOUND = "found", "done already"
    ABSENT = "absent", "not done"
    UNCLEAR = "unclear", "could not be asked"
