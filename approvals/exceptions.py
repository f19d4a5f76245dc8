"""What services refuse, each with a stable code and a sentence a person can act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One bad field: its path in the body and what would be right."""

    field: str
    message: str


class ApprovalError(Exception):
    """Base of everything a service refuses. `status` is what the API answers with."""

    code = "refused"
    status = 409

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code


class InvalidProposal(ApprovalError):
    """The proposal is not one that can be stored."""

    code = "invalid_proposal"
    status = 422
    sentence = "The proposal has fields that must be corrected."

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__(self.sentence)
        self.problems = tuple(problems)


class MalformedProposal(InvalidProposal):
    """The message has a wrong shape; as far as it can be read, nothing else is wrong with it."""

    code = "invalid_request"
    status = 400
    sentence = "Some fields must be corrected."


class NotAllowedForAgent(ApprovalError):
    """The agent may not propose this."""

    code = "not_allowed"
    status = 403


class IdempotencyMismatch(ApprovalError):
    """The key was used for another body."""

    code = "idempotency_mismatch"
    status = 422


class StillRunning(ApprovalError):
    """The first request with this key has not been answered yet.

    `retry_after` is in how many seconds it has been, or somebody else takes it over.
    """

    code = "in_progress"
    status = 409

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TokenRefused(ApprovalError):
    """A token that lets nobody in; the code says why."""

    code = "token_malformed"
    status = 401


class SignatureRefused(ApprovalError):
    """A message whose signature is missing or does not count; the code says why."""

    code = "signature_invalid"
    status = 401


class IssuerUnavailable(ApprovalError):
    """Whether a token is genuine cannot be said now; `retry_after` is in seconds."""

    code = "issuer_unavailable"
    status = 503

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WrongState(ApprovalError):
    """The request has moved on: somebody else was first, or time ran out."""

    code = "wrong_state"


class GrantRefused(ApprovalError):
    """The grant is not given, or what is reported under it does not count; the code says why."""

    code = "not_approved"


class AccessRequestRefused(ApprovalError):
    """An access request whose denial does not cover it (AuthZEN)."""

    code = "invalid_denial_binding"
    status = 400


class GrantExpired(GrantRefused):
    """Nobody redeemed the grant in time."""

    code = "grant_expired"
    status = 410


class StalePage(ApprovalError):
    """What the person was shown is not what would be decided now."""

    code = "stale_page"


class EditNotForeseen(StalePage):
    """An edit leads to something else than its editor was shown, or they were shown nothing."""

    code = "edit_not_foreseen"


class AlreadyDecided(ApprovalError):
    """This person, or this very page, has decided already."""

    code = "already_decided"


class NotAuthorised(ApprovalError):
    """The person may not decide this; the code says on what grounds."""

    code = "not_authorised"
    status = 403


class StepUpRequired(NotAuthorised):
    """The person has to prove again who they are, shortly before this."""

    code = "step_up_required"


class ReasonRequired(ApprovalError):
    """A reason must be written down."""

    code = "reason_required"
    status = 422


class EvidenceMissing(ApprovalError):
    """Required evidence is missing or stale."""

    code = "evidence_missing"


class NotReversible(ApprovalError):
    """Nothing undoes this."""

    code = "not_reversible"


class NotFound(ApprovalError):
    """No such record, or not yours to see."""

    code = "not_found"
    status = 404


class FactsNotConfirmed(ApprovalError):
    """Somebody approves without having ticked what made policy ask people."""

    code = "facts_not_confirmed"
    status = 422


class Paused(ApprovalError):
    """A pause covers it: of the agent, the action type, the connector or everything."""

    code = "paused"
    status = 403

    def __init__(self, message: str, *, resumed_by: str = "") -> None:
        super().__init__(message)
        self.resumed_by = resumed_by


class IntegrityBroken(ApprovalError):
    """What is stored does not match its digest: nothing may be done with it."""

    code = "digest_mismatch"
