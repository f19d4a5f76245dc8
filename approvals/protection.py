"""What the database holds of requests, agents and what stops them. See `audit.protection`."""

from __future__ import annotations

from audit.protection import CHAIN, Protected, Then, moves, once

_IN_INTAKE = "'requested', 'classified', 'evidence_collected', 'policy_checked'"
_WITH_PEOPLE = "'pending_approval', 'changes_requested', 'approved'"
_UNTIL_EXECUTION = f"OLD.{{state}} IN ({_IN_INTAKE}, {_WITH_PEOPLE})"
_BETWEEN_INTAKE_AND_EXECUTION = f"OLD.{{state}} IN ({_WITH_PEOPLE})"

# The event at the head of the chain carries exactly the state being written.
_STATE_NOT_ON_RECORD = """
    NOT EXISTS (
        SELECT 1 FROM audit_auditevent
        WHERE subject_type = 'approvals.actionrequest' AND subject_id = {id_text}
          AND seq = NEW.{audit_seq} AND mac = NEW.{audit_head} AND state = NEW.{state}
    )"""
# The content of that version, which never changes, has exactly the digest being written.
_CONTENT_NOT_ON_RECORD = """
    NOT EXISTS (
        SELECT 1 FROM approvals_requestcontent content
        WHERE content.request_id = NEW.{id} AND content.version = NEW.{version}
          AND content.digest = NEW.{digest}
    )"""

_NOT_FINAL = "OLD.{outcome} IN ('running', 'retry', 'unasked', 'lease_expired')"  # of an attempt

TOLD_BY_WEBHOOK = (
    "approved", "changes_requested", "verified", "outcome_unknown", "verification_failed",
    "denied", "rejected", "withdrawn", "expired", "failed", "resolved", "compensated",
)  # fmt: skip
"""Where an agent has something to do, or nothing left to wait for."""
_TELL_BY_WEBHOOK = Then(
    ("state",),
    # signed off is told where nobody was told that it is verified: both may be one change
    when=f"NEW.{{state}} IN ({', '.join(repr(state) for state in TOLD_BY_WEBHOOK)})"
    " OR (NEW.{state} = 'audited' AND OLD.{state} <> 'verified')",
    write="""
    INSERT INTO approvals_webhookdelivery
        (endpoint_id, request_id, state, created_at, attempts, next_attempt_at, problem)
    SELECT id, NEW.{id}, NEW.{state}, NEW.{updated_at}, 0, NEW.{updated_at}, ''
    FROM approvals_webhookendpoint WHERE agent_id = NEW.{agent} AND disabled_at IS NULL""",
)

_REQUEST = Protected(
    "approvals.actionrequest",
    (
        CHAIN,
        moves("state", unless=_STATE_NOT_ON_RECORD),
        moves(
            *("version", "digest", "business_key", "target", "counterparty", "effect"),
            *("amount_minor", "currency"),
            when=f"{_BETWEEN_INTAKE_AND_EXECUTION} AND NEW.{{version}} = OLD.{{version}} + 1",
            unless=_CONTENT_NOT_ON_RECORD,
        ),
        moves("risk_tier", "verdict", "amount_base", when=_UNTIL_EXECUTION),
        moves(
            *("decide_by", "answer_by", "execute_by"),
            *("clock_started_at", "clock_stopped_at", "clock_round"),
            when=_UNTIL_EXECUTION,
        ),
        moves("chain", when=f"OLD.{{chain}} = '' AND OLD.{{state}} IN ({_IN_INTAKE})"),
        moves(
            "intake_claimed_until",
            when=f"OLD.{{state}} IN ({_IN_INTAKE}) OR NEW.{{intake_claimed_until}} IS NULL",
        ),
        moves("updated_at"),
        moves("next_step_at"),
    ),
    insert_unless=_STATE_NOT_ON_RECORD,
    then=(_TELL_BY_WEBHOOK,),
)

PROTECTED = (
    _REQUEST,
    # what was proposed, shown, decided, said and read back
    Protected("approvals.requestcontent"),
    Protected("approvals.evidenceitem"),
    Protected("approvals.targetreading"),
    Protected("approvals.policydecision"),
    Protected("approvals.showncontent"),
    Protected("approvals.decision"),
    Protected("approvals.threadentry"),
    Protected("approvals.verification"),
    Protected("approvals.escalation"),
    Protected("approvals.integrityincident"),
    # who must decide: asked once, closed once
    Protected(
        "approvals.requirement",
        (
            moves("is_open", when="OLD.{is_open}"),
            moves("escalated_to", "alarm", needs_event=True),
            moves("assignee", "claimed_until"),
        ),
        event_of="request",
    ),
    Protected(
        "approvals.grant",
        (
            once("started_by", needs_event=True),
            once("consumed_at", needs_event=True),
            once("revoked_at", needs_event=True),
        ),
        event_of="request",
    ),
    # a receipt is written once; fences and reads only go up
    Protected(
        "approvals.execution",
        (
            moves("state", when="OLD.{state} IN ('running', 'unknown')", needs_event=True),
            moves(*("receipt", "receipt_reference"), when="OLD.{receipt} = ''", needs_event=True),
            moves("fence", when="NEW.{fence} > OLD.{fence}"),
            moves("read_backs", when="NEW.{read_backs} > OLD.{read_backs}"),
            once("finished_at", needs_event=True),
            moves("lease_until", "read_back_at", "problem"),
        ),
        event_of="request",
    ),
    # what came of a call, until that is final; what came too late, once
    Protected(
        "approvals.attempt",
        (
            moves(
                *("outcome", "detail"),
                when="OLD.{outcome} IN ('running', 'retry', 'unasked', 'lease_expired')",
            ),
            moves("late_result", when="OLD.{late_result} = ''"),
            moves(
                "finished_at",
                when=_NOT_FINAL + " OR (OLD.{late_result} = '' AND NEW.{late_result} <> '')",
            ),
        ),
    ),
    Protected(
        "approvals.compensation",
        (moves("is_active", when="OLD.{is_active}", needs_event=True),),
        event_of="original",
    ),
    Protected(
        "approvals.breakglass",
        (
            once("overdue_noted_at", needs_event=True),
            once("reviewed_at", "reviewer", "was_justified", "review_comment", needs_event=True),
        ),
        event_of="request",
    ),
    Protected("approvals.pause", (CHAIN, once("lifted_at", "lifted_by", needs_event=True))),
    Protected(
        "approvals.firedtrigger",
        (CHAIN, once("ended_at", "ended_by", "end_reason", needs_event=True)),
    ),
    Protected("approvals.complaint"),
    Protected(
        "approvals.plan",
        (
            CHAIN,
            once("stopped_at", "stop_reason", needs_event=True),
            once("closed_at", "outcome", needs_event=True),
            moves("next_look_at"),
        ),
    ),
    # what was looked up after a restore, until it is clear
    Protected(
        "approvals.restorecheck",
        (moves("state_before", "finding", "detail", "looked_up_at", needs_event=True),),
        event_of="request",
    ),
    Protected(
        "approvals.agent",
        (
            CHAIN,
            moves(
                *("owner", "team", "model", "action_types", "ceiling_minor", "ceiling_currency"),
                *("level", "reports_complaints", "tokens_only", "signatures_required"),
                *("paused_at", "pause_reason"),
                needs_event=True,
            ),
        ),
    ),
    Protected(
        "approvals.agentbudget",
        (moves("valid", when="OLD.{valid}", needs_event=True),),
        event_of="agent",
    ),
    Protected(
        "approvals.agentkey",
        (
            once("revoked_at", needs_event=True),
            once("replaced_until", needs_event=True),
            moves("last_used_at"),
        ),
        event_of="agent",
    ),
    Protected(
        "approvals.workloadidentity",
        (once("removed_at", needs_event=True), moves("last_used_at")),
        event_of="agent",
    ),
    Protected(
        "approvals.signingkey",
        (once("removed_at", needs_event=True), moves("last_used_at")),
        event_of="agent",
    ),
    Protected(
        "approvals.webhookendpoint",
        (
            moves("secret", "old_secret", "old_secret_until", needs_event=True),
            moves("disabled_at", "disabled_reason", needs_event=True),
            moves("failing_since", "failures", "quiet_until", "owner_told_at"),
        ),
        event_of="agent",
    ),
    # an edit is counted anew, what ended is taken out; the sums move with every request
    Protected("approvals.velocitycounter"),
    Protected("approvals.velocitybucket", (moves("count", "sum_base", "allowed_base"),)),
    Protected(
        "approvals.countedrequest",
        (moves("counters", "number", "hour", "amount_base", "allowed", "taken_out_at"),),
    ),
)

FREE = {
    "approvals.heartbeat": "when a process was last seen alive",
    "approvals.alarm": "what is wrong now, and who has been told; it goes when it is mended",
    "approvals.webhookdelivery": "an outbox of messages to agents: what they say is on record",
    "approvals.signaturenonce": "what was signed lately; old ones are forgotten",
    "approvals.savedview": "how somebody likes to look at an inbox; it decides nothing",
    "approvals.notice": "an outbox of mails: sending, retrying and giving up are not records",
}
