"""The closed list of things that can happen, each with its sentence and its personal-data rule.

An event whose code is not here cannot be recorded. Sentences are filled from the event's own data
in the syntax of `str.format`; `{actor}` is always there. `:moment` and `:day` mark what the data
has in ISO 8601 and people read as a date (`audit/selectors.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Personal(StrEnum):
    """What an event's data may say about natural persons."""

    NONE = "none"  # codes, ids, digests, amounts
    STAFF = "staff"  # names of people who work here
    FREE_TEXT = "free text"  # words somebody typed or a target answered; may contain anything


@dataclass(frozen=True, slots=True)
class _Meaning:
    sentence: str
    personal: Personal


class AuditCode(StrEnum):
    """Stable codes; a released one is never renamed or reused."""

    # The life of a request: one code a move, and each leads to one state, which it carries.
    # `approvals.lifecycle` has the table.
    REQUESTED = "request.requested"
    CLASSIFIED = "request.classified"
    EVIDENCE_COLLECTED = "request.evidence_collected"
    POLICY_CHECKED = "request.policy_checked"
    ROUTED = "request.routed"
    ALLOWED = "request.allowed"
    DENIED = "request.denied"
    APPROVED = "request.approved"
    REJECTED = "request.rejected"
    CHANGES_REQUESTED = "request.changes_requested"
    ANSWERED = "request.answered"
    WITHDRAWN = "request.withdrawn"
    EXPIRED = "request.expired"
    INVALIDATED = "request.invalidated"
    EXECUTION_BEGUN = "request.execution_begun"
    EXECUTED = "request.executed"
    FAILED = "request.failed"
    OUTCOME_UNKNOWN = "request.outcome_unknown"
    VERIFIED = "request.verified"
    VERIFICATION_FAILED = "request.verification_failed"
    SIGNED_OFF = "request.signed_off"
    COMPENSATED = "request.compensated"
    RESOLVED = "request.resolved"

    # What happens on a request without moving it.
    DECISION_RECORDED = "decision.recorded"
    DECISION_REFUSED = "decision.refused"
    EDITED = "request.edited"
    POLICY_RECHECKED = "request.policy_rechecked"
    EVIDENCE_SUPPLIED = "evidence.supplied"
    TARGET_READ_AGAIN = "evidence.read_again"
    INTEGRITY_BROKEN = "request.integrity_broken"
    ESCALATED = "escalation.recorded"
    REMINDED = "reminder.recorded"
    ROUTE_EMPTY = "route.empty"
    GRANT_ISSUED = "grant.issued"
    GRANT_CONSUMED = "grant.consumed"
    GRANT_REVOKED = "grant.revoked"
    STARTED = "execution.started"
    LEASE_EXPIRED = "execution.lease_expired"
    LATE_RESULT = "execution.late_result"
    EXECUTION_RETRIED = "execution.retried"
    EFFECT_FOUND = "execution.effect_found"
    REPORTED = "execution.reported"
    REPORT_REFUSED = "execution.report_refused"
    UNDO_PROPOSED = "compensation.proposed"
    UNDO_ENDED = "compensation.ended"

    # Plans: several requests that run in order.
    PLAN_PROPOSED = "plan.proposed"
    PLAN_STOPPED = "plan.stopped"
    PLAN_CLOSED = "plan.closed"

    # Connections to outside systems.
    CONNECTION_SET = "connection.set"
    CONNECTION_UNBOUND = "connection.unbound"
    CONNECTION_REMOVED = "connection.removed"
    CONNECTION_SIGNED_IN = "connection.signed_in"

    # Agents and their keys.
    AGENT_REGISTERED = "agent.registered"
    AGENT_CHANGED = "agent.changed"
    AGENT_PAUSED = "agent.paused"
    AGENT_RESUMED = "agent.resumed"
    KEY_ISSUED = "agent.key_issued"
    KEY_REVOKED = "agent.key_revoked"
    KEY_REPLACED = "agent.key_replaced"
    IDENTITY_REGISTERED = "agent.identity_registered"
    IDENTITY_REMOVED = "agent.identity_removed"
    SIGNING_KEY_REGISTERED = "agent.signing_key_registered"
    SIGNING_KEY_REMOVED = "agent.signing_key_removed"
    WEBHOOK_REGISTERED = "webhook.registered"
    WEBHOOK_ROTATED = "webhook.rotated"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_ENABLED = "webhook.enabled"
    WEBHOOK_SENT_AGAIN = "webhook.sent_again"

    # What is stopped, and what was done alone in an emergency.
    PAUSED = "pause.begun"
    RESUMED = "pause.lifted"
    TRIGGER_FIRED = "trigger.fired"
    TRIGGER_ENDED = "trigger.ended"
    COMPLAINT_REPORTED = "complaint.reported"
    RESTORE_CHECKED = "restore.checked"
    BREAK_GLASS_USED = "glass.broken"
    BREAK_GLASS_REVIEWED = "glass.reviewed"
    BREAK_GLASS_REVIEW_OVERDUE = "glass.review_overdue"

    # Who works on a request.
    ASSIGNED = "request.assigned"
    ABSTAINED = "request.abstained"
    NOTED = "request.noted"
    RULE_SUGGESTED = "request.rule_suggested"
    CLAIMED = "request.claimed"
    CLAIM_RELEASED = "request.claim_released"
    REASSIGNED = "request.reassigned"
    STANDING_APPROVAL_USED = "standing.used"
    CLIMBED = "route.climbed"

    # Policy and authority.
    BUDGET_SET = "budget.set"
    BUDGET_REMOVED = "budget.removed"
    RATE_SET = "rate.set"
    CHANGE_PROPOSED = "authority.proposed"
    CHANGE_AGREED = "authority.agreed"
    CHANGE_REFUSED = "authority.refused"
    CHANGE_WITHDRAWN = "authority.withdrawn"
    CHANGE_LAPSED = "authority.lapsed"
    DELEGATED = "delegation.given"
    DELEGATION_REVOKED = "delegation.revoked"
    ABSENCE_SET = "absence.set"
    ABSENCE_CANCELLED = "absence.cancelled"
    POLICY_EDITED = "policy.edited"
    POLICY_PROPOSED = "policy.proposed"
    POLICY_RETURNED = "policy.returned"
    POLICY_DISCARDED = "policy.discarded"
    POLICY_REPLAYED = "policy.replayed"
    POLICY_SHADOWED = "policy.shadowed"
    POLICY_SHADOW_ENDED = "policy.shadow_ended"
    POLICY_DRAFTED = "policy.drafted"
    POLICY_PUBLISHED = "policy.published"
    POLICY_RETIRED = "policy.retired"
    POLICY_UPGRADED = "policy.upgraded"
    LIMIT_SET = "limit.set"
    LIMIT_REMOVED = "limit.removed"
    ROLES_SYNCED = "roles.synced"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_LINK_ISSUED = "user.link_issued"
    USER_ROLES_CHANGED = "user.roles_changed"
    TEAM_CREATED = "team.created"
    TEAM_CHANGED = "team.changed"
    OWNER_SET = "owner.set"
    OWNER_ENDED = "owner.ended"
    USER_DEACTIVATED = "user.deactivated"

    @property
    def sentence(self) -> str:
        return _MEANINGS[self].sentence

    @property
    def personal(self) -> Personal:
        return _MEANINGS[self].personal

    @property
    def words(self) -> dict[str, str]:
        """How the codes in its data read in its sentence; others read as they are."""
        return _WORDS.get(self, {})


_C = AuditCode
_MEANINGS: dict[AuditCode, _Meaning] = {
    _C.REQUESTED: _Meaning("{actor} proposed {action_type}", Personal.FREE_TEXT),
    _C.CLASSIFIED: _Meaning("Classified as {action_type} on {target}", Personal.FREE_TEXT),
    _C.EVIDENCE_COLLECTED: _Meaning("Collected evidence, {items} in all", Personal.NONE),
    _C.POLICY_CHECKED: _Meaning("Policy {policy}: {verdict}, tier {tier}", Personal.NONE),
    _C.ROUTED: _Meaning("Sent to {groups}", Personal.NONE),
    _C.ALLOWED: _Meaning("Policy allowed it without a person", Personal.NONE),
    _C.DENIED: _Meaning("Policy denied it: {reason}", Personal.FREE_TEXT),
    _C.APPROVED: _Meaning("Approved: every requirement is met", Personal.NONE),
    _C.REJECTED: _Meaning("{actor} rejected it ({reason_code})", Personal.STAFF),
    _C.CHANGES_REQUESTED: _Meaning("{actor} asked the agent for an answer", Personal.STAFF),
    _C.ANSWERED: _Meaning("{actor} answered the reviewer", Personal.NONE),
    _C.WITHDRAWN: _Meaning("{actor} withdrew it", Personal.FREE_TEXT),
    _C.EXPIRED: _Meaning("Nobody {clock} in time", Personal.NONE),
    _C.INVALIDATED: _Meaning("Sent back before execution: {reason}", Personal.FREE_TEXT),
    _C.EXECUTION_BEGUN: _Meaning("Attempt {attempt} began", Personal.NONE),
    _C.EXECUTED: _Meaning("Done: {receipt}", Personal.NONE),
    _C.FAILED: _Meaning("Ended without effect: {reason}", Personal.FREE_TEXT),
    _C.OUTCOME_UNKNOWN: _Meaning("No trustworthy answer: {reason}", Personal.FREE_TEXT),
    _C.VERIFIED: _Meaning("Read back and equal to what was approved", Personal.NONE),
    _C.VERIFICATION_FAILED: _Meaning("Read back and different: {reason}", Personal.FREE_TEXT),
    _C.SIGNED_OFF: _Meaning("{actor} closed the record", Personal.FREE_TEXT),
    _C.COMPENSATED: _Meaning("Undone by {by}", Personal.NONE),
    _C.RESOLVED: _Meaning("{actor} resolved it by hand: {outcome}", Personal.FREE_TEXT),
    _C.DECISION_RECORDED: _Meaning("{actor}: {verdict} for {group}", Personal.STAFF),
    _C.DECISION_REFUSED: _Meaning("{actor} tried to decide and may not: {reason}", Personal.STAFF),
    _C.EDITED: _Meaning("{actor} edited {fields}", Personal.STAFF),
    _C.EVIDENCE_SUPPLIED: _Meaning("{actor} supplied evidence: {kinds}", Personal.STAFF),
    _C.TARGET_READ_AGAIN: _Meaning("{actor} had the target read again", Personal.STAFF),
    _C.POLICY_RECHECKED: _Meaning(
        "Policy {policy} on the edited action: {verdict}, tier {tier}", Personal.NONE
    ),
    _C.INTEGRITY_BROKEN: _Meaning(
        "Changed behind the application's back: {problem}", Personal.NONE
    ),
    _C.ESCALATED: _Meaning("Escalated to {to}: {reason}", Personal.NONE),
    _C.REMINDED: _Meaning("Reminded {group}: {step}", Personal.NONE),
    _C.ROUTE_EMPTY: _Meaning(
        "Nobody in {group} may decide this; sent to {fallback}", Personal.NONE
    ),
    _C.GRANT_ISSUED: _Meaning("Grant issued until {expires_at:moment}", Personal.NONE),
    _C.GRANT_CONSUMED: _Meaning("Grant used by attempt {attempt}", Personal.NONE),
    _C.GRANT_REVOKED: _Meaning("Grant revoked: {reason}", Personal.FREE_TEXT),
    _C.STARTED: _Meaning("{actor} started it and watches", Personal.STAFF),
    _C.LEASE_EXPIRED: _Meaning("Attempt {attempt} lost its lease", Personal.NONE),
    _C.LATE_RESULT: _Meaning("Attempt {attempt} reported after its lease", Personal.FREE_TEXT),
    _C.EXECUTION_RETRIED: _Meaning("Attempt {attempt} began with the same key", Personal.NONE),
    _C.REPORTED: _Meaning("{actor} reported {outcome}", Personal.FREE_TEXT),
    _C.REPORT_REFUSED: _Meaning(
        "{actor} reported {outcome}; it does not count: {reason}", Personal.FREE_TEXT
    ),
    _C.EFFECT_FOUND: _Meaning("Not sent: the target shows it already, {receipt}", Personal.NONE),
    _C.UNDO_PROPOSED: _Meaning("{actor} proposed undoing it with {by}", Personal.STAFF),
    _C.UNDO_ENDED: _Meaning("The undo {by} ended as {outcome}", Personal.NONE),
    _C.PLAN_PROPOSED: _Meaning("{actor} proposed a plan of {steps} steps", Personal.NONE),
    _C.PLAN_STOPPED: _Meaning("Stopped: step {step} {state}", Personal.NONE),
    _C.PLAN_CLOSED: _Meaning("The plan is over: {ended}", Personal.NONE),
    _C.CONNECTION_SET: _Meaning("{actor} set connection {name} to {address}", Personal.FREE_TEXT),
    _C.CONNECTION_UNBOUND: _Meaning("{action_types} go through {to} from now on", Personal.NONE),
    _C.CONNECTION_REMOVED: _Meaning("{actor} removed connection {name}", Personal.FREE_TEXT),
    _C.CONNECTION_SIGNED_IN: _Meaning(
        "{actor} agreed to the account {proposed_by} signed in to for {name}", Personal.FREE_TEXT
    ),
    _C.AGENT_REGISTERED: _Meaning("{actor} registered agent {name}", Personal.STAFF),
    _C.AGENT_CHANGED: _Meaning("{actor} changed {fields}", Personal.STAFF),
    _C.AGENT_PAUSED: _Meaning("{actor} paused the agent: {reason}", Personal.FREE_TEXT),
    _C.AGENT_RESUMED: _Meaning("{actor} resumed the agent", Personal.STAFF),
    _C.KEY_ISSUED: _Meaning("{actor} issued key {prefix}", Personal.STAFF),
    _C.KEY_REVOKED: _Meaning("{actor} revoked key {prefix}", Personal.STAFF),
    _C.KEY_REPLACED: _Meaning(
        "{actor} replaced key {prefix} by {by}; the old one works until {until:moment}",
        Personal.STAFF,
    ),
    _C.IDENTITY_REGISTERED: _Meaning(
        "{actor} agreed to tokens of {issuer} for {sub}, which {proposed_by} proposed",
        Personal.FREE_TEXT,
    ),
    _C.IDENTITY_REMOVED: _Meaning(
        "{actor} removed the identity {sub} of {issuer}", Personal.FREE_TEXT
    ),
    _C.SIGNING_KEY_REGISTERED: _Meaning(
        "{actor} agreed to the signing key {key_id}, which {proposed_by} proposed",
        Personal.FREE_TEXT,
    ),
    _C.SIGNING_KEY_REMOVED: _Meaning("{actor} removed the signing key {key_id}", Personal.STAFF),
    _C.WEBHOOK_REGISTERED: _Meaning("{actor} registered {url} for webhooks", Personal.FREE_TEXT),
    _C.WEBHOOK_ROTATED: _Meaning(
        "{actor} changed the secret of webhooks to {url}; the old one counts until {until:moment}",
        Personal.FREE_TEXT,
    ),
    _C.WEBHOOK_DISABLED: _Meaning(
        "{actor} disabled webhooks to {url}: {reason}", Personal.FREE_TEXT
    ),
    _C.WEBHOOK_ENABLED: _Meaning("{actor} enabled webhooks to {url}", Personal.FREE_TEXT),
    _C.WEBHOOK_SENT_AGAIN: _Meaning(
        "{actor} had {count} webhooks to {url} sent again", Personal.FREE_TEXT
    ),
    _C.PAUSED: _Meaning("{actor} paused {what}: {reason}", Personal.FREE_TEXT),
    _C.RESUMED: _Meaning("{actor} lifted the pause of {what}", Personal.FREE_TEXT),
    _C.TRIGGER_FIRED: _Meaning(
        "Trigger {trigger} fired for {per} {key}: {measured}, and from {at_least} on: {then}",
        Personal.NONE,
    ),
    _C.TRIGGER_ENDED: _Meaning("{actor} ended it: {reason}", Personal.FREE_TEXT),
    _C.COMPLAINT_REPORTED: _Meaning("{actor} reported a complaint, {reference}", Personal.NONE),
    _C.RESTORE_CHECKED: _Meaning(
        "After a restore the target was asked whether it was done: {finding}", Personal.NONE
    ),
    _C.BREAK_GLASS_USED: _Meaning(
        "{actor} approved alone by break-glass: {reason}", Personal.FREE_TEXT
    ),
    _C.BREAK_GLASS_REVIEWED: _Meaning("{actor} reviewed it: {outcome}", Personal.FREE_TEXT),
    _C.BREAK_GLASS_REVIEW_OVERDUE: _Meaning("Nobody reviewed it in time", Personal.NONE),
    _C.ASSIGNED: _Meaning("Suggested to {person} for {group}", Personal.STAFF),
    _C.ABSTAINED: _Meaning("{actor} abstained for {group}: {reason}", Personal.FREE_TEXT),
    _C.NOTED: _Meaning("{actor} wrote to the people on the case", Personal.STAFF),
    _C.RULE_SUGGESTED: _Meaning("{actor} suggested a rule from it: {version}", Personal.STAFF),
    _C.CLAIMED: _Meaning("{actor} works on it for {group}", Personal.STAFF),
    _C.CLAIM_RELEASED: _Meaning("{actor} no longer works on it for {group}", Personal.STAFF),
    _C.REASSIGNED: _Meaning("{actor} gave it to {person}: {reason}", Personal.FREE_TEXT),
    _C.STANDING_APPROVAL_USED: _Meaning("Standing approval {rule} used", Personal.NONE),
    _C.CLIMBED: _Meaning("Sent up from {group} to {to}: {because}", Personal.STAFF),
    _C.BUDGET_SET: _Meaning("{actor} set the budget for {action_type}", Personal.STAFF),
    _C.BUDGET_REMOVED: _Meaning("{actor} removed the budget for {action_type}", Personal.STAFF),
    _C.RATE_SET: _Meaning("{actor} set {currency} to {rate} from {day:day}", Personal.STAFF),
    _C.CHANGE_PROPOSED: _Meaning("{actor} proposed: {summary}", Personal.FREE_TEXT),
    _C.CHANGE_AGREED: _Meaning("{actor} agreed: {summary}", Personal.FREE_TEXT),
    _C.CHANGE_REFUSED: _Meaning("{actor} refused: {summary}", Personal.FREE_TEXT),
    _C.CHANGE_WITHDRAWN: _Meaning("{actor} withdrew: {summary}", Personal.FREE_TEXT),
    _C.CHANGE_LAPSED: _Meaning("Nobody agreed in time: {summary}", Personal.FREE_TEXT),
    _C.DELEGATED: _Meaning("{lender} lends authority to {delegate}", Personal.FREE_TEXT),
    _C.DELEGATION_REVOKED: _Meaning("{actor} revoked it: {reason}", Personal.FREE_TEXT),
    _C.ABSENCE_SET: _Meaning("{person} is out of office until {until:moment}", Personal.STAFF),
    _C.ABSENCE_CANCELLED: _Meaning("{person} is back", Personal.STAFF),
    _C.POLICY_EDITED: _Meaning("{actor} edited version {version}", Personal.FREE_TEXT),
    _C.POLICY_PROPOSED: _Meaning("{actor} asked to publish {version}", Personal.FREE_TEXT),
    _C.POLICY_RETURNED: _Meaning("{actor} sent {version} back", Personal.FREE_TEXT),
    _C.POLICY_DISCARDED: _Meaning("{actor} discarded {version}", Personal.FREE_TEXT),
    _C.POLICY_REPLAYED: _Meaning("Replayed {version} over {total} requests", Personal.NONE),
    _C.POLICY_SHADOWED: _Meaning("{actor} let {version} run in the shadow", Personal.STAFF),
    _C.POLICY_SHADOW_ENDED: _Meaning("{actor} ended the shadow of {version}", Personal.STAFF),
    _C.POLICY_DRAFTED: _Meaning("{actor} drafted version {version}", Personal.FREE_TEXT),
    _C.POLICY_PUBLISHED: _Meaning("{actor} published version {version}", Personal.FREE_TEXT),
    _C.POLICY_RETIRED: _Meaning("{actor} retired version {version}", Personal.STAFF),
    _C.POLICY_UPGRADED: _Meaning(
        "Version {version} is read in today's grammar, as drafted in {successor}",
        Personal.FREE_TEXT,
    ),
    _C.LIMIT_SET: _Meaning("{actor} set {holder} to {each} each", Personal.FREE_TEXT),
    _C.LIMIT_REMOVED: _Meaning("{actor} removed the limit of {holder}", Personal.FREE_TEXT),
    _C.ROLES_SYNCED: _Meaning("{actor} synchronised roles: {changes}", Personal.NONE),
    _C.USER_CREATED: _Meaning("{actor} created {username}", Personal.STAFF),
    _C.USER_CHANGED: _Meaning("{actor} changed {fields}", Personal.FREE_TEXT),
    _C.USER_LINK_ISSUED: _Meaning(
        "A link for {username} to choose a password was {delivery}", Personal.STAFF
    ),
    _C.USER_ROLES_CHANGED: _Meaning("{actor} changed roles: {changes}", Personal.FREE_TEXT),
    _C.TEAM_CREATED: _Meaning("{actor} made the team {code}", Personal.STAFF),
    _C.TEAM_CHANGED: _Meaning("{actor} changed {fields} of the team {code}", Personal.FREE_TEXT),
    _C.OWNER_SET: _Meaning("{owner} is the {kind} owner of {system} {pattern}", Personal.STAFF),
    _C.OWNER_ENDED: _Meaning(
        "{owner} is no longer the {kind} owner of {system} {pattern}", Personal.STAFF
    ),
    _C.USER_DEACTIVATED: _Meaning("{actor} deactivated {username}", Personal.FREE_TEXT),
}

_BROKEN = {"digest_mismatch": "what is stored is not what was approved"}
_WORDS: dict[AuditCode, dict[str, str]] = {
    _C.DENIED: _BROKEN,
    _C.INTEGRITY_BROKEN: _BROKEN,
    _C.GRANT_REVOKED: _BROKEN,
    _C.VERIFICATION_FAILED: {"not_shown": "the target does not show it"},
    _C.ESCALATED: {"deadline": "time is running out", "reviewer": "asked by a reviewer"},
    _C.RESTORE_CHECKED: {
        "found": "done already",
        "absent": "not done",
        "unclear": "could not be asked",
    },
    _C.REMINDED: {"reminder_50": "the first reminder", "reminder_75": "the second reminder"},
    _C.REPORTED: {"unknown": "that it does not know what came of it"},
    _C.REPORT_REFUSED: {
        "wrong_fence": "its fence is not the one of the grant",
        "already_reported": "it reported something else before",
    },
    _C.PLAN_CLOSED: {
        "done": "every step is done",
        "nothing": "nothing was done",
        "undone": "what was done is undone",
        "left": "some of it stays done",
    },
    _C.BREAK_GLASS_REVIEWED: {"not_justified": "not justified"},
    _C.CLIMBED: {"above_limits": "no limit in the team covers it"},
}
