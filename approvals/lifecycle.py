"""The lifecycle: which event leads to which state, and its picture from the state machine."""

from __future__ import annotations

from collections.abc import Iterable

from approvals.choices import ENDED, INTAKE, State
from approvals.models import ActionRequest
from audit.events import AuditCode

BEGIN = "<!-- lifecycle: written by `manage.py lifecycle --write` -->"
END = "<!-- end of lifecycle -->"

LEADS_TO: dict[AuditCode, State] = {
    AuditCode.REQUESTED: State.REQUESTED,
    AuditCode.CLASSIFIED: State.CLASSIFIED,
    AuditCode.EVIDENCE_COLLECTED: State.EVIDENCE_COLLECTED,
    AuditCode.POLICY_CHECKED: State.POLICY_CHECKED,
    AuditCode.ROUTED: State.PENDING_APPROVAL,
    AuditCode.ALLOWED: State.APPROVED,
    AuditCode.DENIED: State.DENIED,
    AuditCode.APPROVED: State.APPROVED,
    AuditCode.REJECTED: State.REJECTED,
    AuditCode.CHANGES_REQUESTED: State.CHANGES_REQUESTED,
    AuditCode.ANSWERED: State.PENDING_APPROVAL,
    AuditCode.WITHDRAWN: State.WITHDRAWN,
    AuditCode.EXPIRED: State.EXPIRED,
    AuditCode.INVALIDATED: State.PENDING_APPROVAL,
    AuditCode.EXECUTION_BEGUN: State.EXECUTING,
    AuditCode.EXECUTED: State.EXECUTED,
    AuditCode.FAILED: State.FAILED,
    AuditCode.OUTCOME_UNKNOWN: State.OUTCOME_UNKNOWN,
    AuditCode.VERIFIED: State.VERIFIED,
    AuditCode.VERIFICATION_FAILED: State.VERIFICATION_FAILED,
    AuditCode.SIGNED_OFF: State.AUDITED,
    AuditCode.COMPENSATED: State.COMPENSATED,
    AuditCode.RESOLVED: State.RESOLVED,
}
"""What each move's event leads to. Every other code leaves the state as it is."""


def state_after(codes: Iterable[str]) -> str:
    """The state a request's events lead to, by their codes alone, oldest first; "" before any."""
    state = ""
    for code in codes:
        if code == AuditCode.POLICY_CHECKED and state != State.EVIDENCE_COLLECTED:
            continue  # trails before `request.policy_rechecked` have it for edits too
        state = LEADS_TO.get(AuditCode(code), State(state) if state else "")
    return state


def edges() -> list[tuple[State, str, State]]:
    """Every move: from, by, to; in the order states are declared."""
    order = list(State)
    field = ActionRequest._meta.get_field("state")
    moves = {
        (State(t.source), t.name, State(t.target)) for t in field.get_all_transitions(ActionRequest)
    }
    return sorted(moves, key=lambda m: (order.index(m[0]), order.index(m[2]), m[1]))


def mermaid() -> str:
    """The graph as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    direction TB", f"    [*] --> {State.REQUESTED}"]
    lines += [f"    {source} --> {target}: {name}" for source, name, target in edges()]
    lines += [f"    {state} --> [*]" for state in State if state in ENDED]
    lines += [
        "    classDef intake fill:#eef2ff,stroke:#6366f1,color:#1e1b4b",
        "    classDef ended fill:#f3f4f6,stroke:#6b7280,color:#111827",
    ]
    lines += [f"    class {state} intake" for state in State if state in INTAKE]
    lines += [f"    class {state} ended" for state in State if state in ENDED]
    return "\n".join(lines)


def with_picture(text: str) -> str:
    """The text with what stands between the two marks drawn anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n```mermaid\n{mermaid()}\n```\n\n{END}{after}"
