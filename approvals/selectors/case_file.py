"""A request's whole story on one page: what came of it, then one line of time in people's words.

What machines did between people's steps is there too, folded. The proof is the trail, which the
record shows below as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from approvals.choices import FINAL_VERDICTS, DecisionVerdict, State
from approvals.inspection import reveal
from approvals.models import ActionRequest, Decision
from approvals.selectors.evidence_view import stored_names
from approvals.selectors.request_view import RequestView
from approvals.selectors.viewer_permissions import name_of
from audit.actors import ActorKind
from audit.events import AuditCode
from audit.models import AuditEvent
from audit.selectors import data_of, describe
from connectors.registry import is_by_word, is_read_back
from policies.models import User

_C = AuditCode
_OF_MACHINES = frozenset(
    {
        *(_C.CLASSIFIED, _C.EVIDENCE_COLLECTED, _C.ASSIGNED, _C.REMINDED, _C.GRANT_ISSUED),
        *(_C.GRANT_CONSUMED, _C.GRANT_REVOKED, _C.EXECUTION_BEGUN, _C.EXECUTION_RETRIED),
        *(_C.LEASE_EXPIRED, _C.STANDING_APPROVAL_USED, _C.POLICY_CHECKED),
    }
)
"""Steps nobody has to read to know what happened."""

_RECEIPTS = frozenset({_C.EXECUTED, _C.EFFECT_FOUND})

_VERDICTS: Mapping[str, str] = {
    DecisionVerdict.APPROVE: "approved it",
    DecisionVerdict.REJECT: "rejected it",
    DecisionVerdict.EDIT: "changed it",
    DecisionVerdict.REQUEST_CHANGES: "asked the agent",
    DecisionVerdict.ESCALATE: "escalated it",
    DecisionVerdict.BREAK_GLASS: "approved it alone, by break-glass",
    DecisionVerdict.ABSTAIN: "abstained",
}
_HEADLINES: Mapping[str, str] = {
    State.PENDING_APPROVAL: "Waits for people",
    State.CHANGES_REQUESTED: "Waits for the agent's answer",
    State.APPROVED: "Approved, not carried out yet",
    State.EXECUTING: "Being carried out",
    State.EXECUTED: "Carried out, not read back yet",
    State.VERIFIED: "Done, and read back as approved",
    State.AUDITED: "Done, and read back as approved",
    State.VERIFICATION_FAILED: "Done differently from what was approved",
    State.OUTCOME_UNKNOWN: "Nobody knows yet whether it was done",
    State.DENIED: "Denied by policy",
    State.REJECTED: "Rejected",
    State.WITHDRAWN: "Withdrawn",
    State.EXPIRED: "Ended because time ran out",
    State.FAILED: "Not done: it failed",
    State.RESOLVED: "Resolved by a person",
    State.COMPENSATED: "Done, then undone",
}

_OF_AGENTS_OWN: Mapping[State, str] = {
    State.APPROVED: "Approved, the agent may carry it out itself",
    State.EXECUTING: "The agent carries it out itself, its report is waited for",
    State.EXECUTED: "Reported by the agent, not verified",
    State.FAILED: "Not done, as the agent reported",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened; `words` are somebody's own, shown as a quotation."""

    at: datetime
    said: str
    words: str = ""
    is_agents: bool = False
    """Whether the words are the agent's: a claim, not a fact."""
    note: str = ""
    """What else is kept of it."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Steps of machines in a row."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """One person's decision, as the card on top names it."""

    who: str
    team: str
    did: str
    at: datetime


class CaseFile:
    """Everything the page says before the proofs; made from what its record has read anyway."""

    def __init__(
        self, view: RequestView, events: Sequence[AuditEvent], decisions: Sequence[Decision]
    ) -> None:
        self._view = view
        self._events = events
        self._decisions = {one.pk: one for one in decisions}
        self._request: ActionRequest = view.request

    @property
    def headline(self) -> str:
        """What came of it."""
        if self._view.is_by_agent and self._request.state in _OF_AGENTS_OWN:
            return _OF_AGENTS_OWN[State(self._request.state)]
        if self._request.state == State.FAILED and is_by_word(self._request.action_type):
            return "It failed"
        if self._request.state == State.EXECUTED and not is_read_back(self._request.action_type):
            return "Done, as the tool says; verification is not available"
        return _HEADLINES.get(self._request.state, "On its way to policy")

    @property
    def answers(self) -> tuple[Answered, ...]:
        """Who decided the version that counts, in order."""
        return tuple(
            Answered(
                name_of(one.decider),
                one.group,
                _VERDICTS.get(one.verdict, one.verdict),
                one.created_at,
            )
            for one in self._decisions.values()
            if one.version == self._request.version and one.verdict in FINAL_VERDICTS
        )

    @property
    def receipt(self) -> str:
        """What the target called what was done; empty where it never said."""
        said = (data_of(e).get("receipt") for e in reversed(self._events) if e.code in _RECEIPTS)
        return reveal(str(next(said, None) or ""))

    @property
    def steps(self) -> tuple[Step | Fold, ...]:
        """From the proposal to the end, the oldest first."""
        return tuple(_folded(self._events, self._step))

    @cached_property
    def _names(self) -> dict[str, str]:
        """People of the trail as colleagues know them, by the id of their account."""
        known = {str(one.decider_id): name_of(one.decider) for one in self._decisions.values()}
        asked = {e.actor_id for e in self._events if e.actor_kind == ActorKind.HUMAN}
        missing = [pk for pk in asked - known.keys() if pk.isdecimal()]
        if missing:
            known |= {str(user.pk): name_of(user) for user in User.objects.filter(pk__in=missing)}
        return known

    def _who(self, event: AuditEvent) -> str:
        if event.actor_kind == ActorKind.SYSTEM:
            return "Countersign"
        person = self._names.get(event.actor_id) if event.actor_kind == ActorKind.HUMAN else None
        return person or reveal(event.actor_name)

    def _step(self, event: AuditEvent) -> Step:
        data = data_of(event)
        who = self._who(event)
        decision = self._decisions.get(data.get("decision") or 0)
        if event.code == _C.DECISION_RECORDED and decision is not None:
            did = _VERDICTS.get(decision.verdict, decision.verdict)
            reason = decision.get_reason_code_display() if decision.reason_code else ""
            said = f"{who} {did} for {decision.group}" + (f": {reason}." if reason else ".")
            return Step(event.at, said, reveal(decision.comment), note=self._how_read(decision))
        if event.code == _C.REQUESTED and event.actor_kind == ActorKind.AGENT:
            said = f"{who} proposed it: {self._view.effect}"
            return Step(event.at, said, self._view.proposal.intent, is_agents=True)
        return Step(event.at, reveal(describe(event, actor=who)) + ".")

    def _how_read(self, decision: Decision) -> str:
        """How the decider read the page, as their browser counted it; empty: nothing is known."""
        titles = {one.sha256: one.title for one in self._view.sources}
        # a version that was replaced had evidence of its own
        opened = [
            titles.get(one, "an earlier reading") for one in stored_names(decision.evidence_opened)
        ]
        said = []
        if decision.visible_seconds is not None:
            said.append(f"The page they decided on was visible for {decision.visible_seconds} s.")
            on_screen = ", ".join(dict.fromkeys(opened)) or "none"
            said.append(f"Evidence they had on the screen: {on_screen}.")
        if ticked := stored_names(decision.confirmed):
            said.append(f"Facts they ticked, by rule: {reveal(', '.join(ticked))}.")
        return " ".join(said)


def _folded(
    events: Sequence[AuditEvent], step: Callable[[AuditEvent], Step]
) -> Iterator[Step | Fold]:
    waiting: list[Step] = []
    for event in events:
        made = step(event)
        if event.code in _OF_MACHINES:
            waiting.append(made)
            continue
        if waiting:
            yield Fold(tuple(waiting))
            waiting = []
        yield made
    if waiting:
        yield Fold(tuple(waiting))
