"""Why a request stands where it does: the policy decision that caused it, and what went wrong.

Every version of a request begins with a policy decision that allowed it, sent it to people or
denied it. Whatever policy said about the same version after that was a check before execution:
the request either passed it, and nothing was caused, or was denied by it. One that sends a request
back to people begins the next version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from approvals.choices import WAITING_FOR_PEOPLE, ExecutionState, State
from approvals.inspection import reveal
from approvals.models import ActionRequest, Execution, PolicyDecision
from approvals.selectors.evidence_view import PolicyShown
from connectors.registry import is_by_word
from policies.verdicts import Verdict

_MOST_SAID = 500  # characters of one sentence; a target may have answered with a whole document
_MAY_HAVE_GONE_WRONG = frozenset(
    {
        State.EXECUTED,
        State.FAILED,
        State.OUTCOME_UNKNOWN,
        State.VERIFICATION_FAILED,
        State.RESOLVED,
    }
)
_PASSED: dict[str, str] = {
    Verdict.ALLOW: "Nothing stood in the way.",
    Verdict.REQUIRE_APPROVAL: "The approval it had still held.",
}
_WHEN: dict[str, str] = {
    PolicyDecision.Purpose.INTAKE: "when it was proposed",
    PolicyDecision.Purpose.EDIT: "after an edit",
    PolicyDecision.Purpose.EXECUTION: "before execution",
    PolicyDecision.Purpose.EVIDENCE: "with new evidence",
}


@dataclass(frozen=True, slots=True)
class OtherCheck:
    """One more time policy was asked about a request, as one line of its page."""

    at: datetime
    when: str
    version: int  # of the request
    policy: str  # the label of the policy's version; "" where it was not asked
    verdict: str
    reason: str


# --- Which decision it was ------------------------------------------------------------------------


def began_with(request: ActionRequest, policies: Sequence[PolicyShown]) -> PolicyShown | None:
    """What the request's version began with; `policies` are all of them, the newest first."""
    return _firsts(policies).get(request.version)


def caused_by(request: ActionRequest, policies: Sequence[PolicyShown]) -> PolicyShown | None:
    """What led to the state the request is in; `policies` are all of them, the newest first."""
    if request.state != State.DENIED:
        return began_with(request, policies)
    return next((one for one in policies if one.decision.version == request.version), None)


def asked_by(policies: Sequence[PolicyShown]) -> PolicyShown | None:
    """What the newest version that was not denied at once began with; the newest come first."""
    begun = (one for _, one in sorted(_firsts(policies).items(), reverse=True))
    return next((one for one in begun if one.verdict != Verdict.DENY), None)


def other_checks(
    policies: Sequence[PolicyShown], *, but: PolicyShown | None
) -> tuple[OtherCheck, ...]:
    """Every other evaluation, the oldest first; one copied to a new version counts once."""
    firsts = _firsts(policies)
    known = {(one.decision.created_at, one.decision.purpose): one for one in reversed(policies)}
    return tuple(
        _as_line(one, is_first=firsts[one.decision.version] is one)
        for one in known.values()
        if one is not but
    )


def _firsts(policies: Sequence[PolicyShown]) -> dict[int, PolicyShown]:
    """What each version began with."""
    return {one.decision.version: one for one in policies}  # the oldest comes last and stays


def _as_line(policy: PolicyShown, *, is_first: bool) -> OtherCheck:
    decision = policy.decision
    return OtherCheck(
        at=decision.created_at,
        when=_when(decision),
        version=decision.version,
        policy=policy.version,
        verdict=policy.verdict_words,
        reason=_reasons(policy) if is_first else _PASSED.get(policy.verdict) or _reasons(policy),
    )


def _reasons(policy: PolicyShown) -> str:
    """The words of the rules that made the verdict, and of the engine."""
    said = " ".join(rule.reason for rule in policy.reasons if rule.effect == policy.verdict)
    return said or policy.problem or "No rule of it speaks of this."


# --- What is said of it ---------------------------------------------------------------------------


def cause_of(
    request: ActionRequest,
    policy: PolicyShown | None,
    newest_execution: Callable[[], Execution | None],
) -> str:
    """Why it was denied, sent back to people or did not go well; "" where nothing went wrong.

    `policy` is what `caused_by` found. The execution is asked for only where it may say why.
    """
    if request.state == State.DENIED:
        return _denial(policy)
    if request.state in WAITING_FOR_PEOPLE:
        return _sent_back(policy)
    execution = newest_execution() if request.state in _MAY_HAVE_GONE_WRONG else None
    return problem_of(execution) if execution else ""


def problem_of(execution: Execution) -> str:
    """What went wrong with carrying it out, for people and agents alike; "" where nothing did."""
    newest = max(execution.verifications.all(), key=lambda one: one.pk, default=None)
    if newest is not None and newest.matches:
        return ""
    if newest is not None:
        differences = " ".join(str(difference) for difference in newest.differences)
        return _said("It was done, and differs from what was approved:", differences)
    if not execution.problem:
        return ""
    match execution.state:
        case ExecutionState.FAILED if is_by_word(execution.request.action_type):
            return _said(execution.problem)
        case ExecutionState.FAILED if execution.problem.startswith("Nothing was "):
            return _said(execution.problem)
        case ExecutionState.FAILED:
            return _said("Nothing was done.", execution.problem)
        case ExecutionState.SUCCEEDED:
            return _said("It was done, and could not be read back:", execution.problem)
        case _:
            return _said("Nobody knows whether it was done.", execution.problem)


def _denial(policy: PolicyShown | None) -> str:
    if policy is None or policy.verdict != Verdict.DENY:
        return ""  # from before every denial was stored with its decision
    who = f"Policy {policy.version} denied it" if policy.version else "It was denied"
    return _said(f"{who} {_when(policy.decision)}:", _reasons(policy))


def _sent_back(policy: PolicyShown | None) -> str:
    if policy is None or policy.decision.purpose != PolicyDecision.Purpose.EXECUTION:
        return ""
    return policy.reasons[0].reason if policy.reasons else policy.problem


def _when(decision: PolicyDecision) -> str:
    return _WHEN.get(decision.purpose, decision.purpose)


def _said(*parts: str) -> str:
    """One sentence or two, made visible and not longer than people read."""
    text = reveal(" ".join(parts))
    return text if len(text) <= _MOST_SAID else f"{text[: _MOST_SAID - 1]}…"
