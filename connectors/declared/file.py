"""A system's file as it was read: its card, what its answers mean, and its operations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from audit.lib.canonical import JsonObject
from connectors.catalogue import ActionType
from connectors.declared.expressions import Expression, Template


class Scheme(StrEnum):
    """How a connection shows who it is; its credential comes from the installation."""

    NONE = "none"
    BEARER = "bearer"
    """`Authorization: Bearer <credential>` (RFC 6750)."""
    BASIC = "basic"
    """The credential is `user:password` (RFC 7617)."""
    HEADER = "header"
    """The credential alone, in a header the system names."""
    CLIENT_CREDENTIALS = "client_credentials"
    """OAuth 2.0 (RFC 6749, 4.4): a token for the client itself."""
    JWT_BEARER = "jwt_bearer"
    """A token for an assertion we sign on somebody's behalf (RFC 7523, 2.1)."""
    AUTHORIZATION_CODE = "authorization_code"
    """A person signs in once (RFC 6749, 4.1, with PKCE); refresh tokens carry on from there."""

    @property
    def has_tokens(self) -> bool:
        """Whether the credential is a JSON object that tokens are got with."""
        return self in (Scheme.CLIENT_CREDENTIALS, Scheme.JWT_BEARER, Scheme.AUTHORIZATION_CODE)


class ClientProof(StrEnum):
    """How a client shows at the token endpoint that it is the client."""

    BODY = "body"
    """`client_id` and `client_secret` in the form."""
    BASIC = "basic"
    """The same in an Authorization header."""
    ASSERTION = "assertion"
    """A JWT signed with its private key (RFC 7523, 2.2)."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """How a connection shows who it is, and for schemes with tokens where they are got."""

    scheme: Scheme
    header: str = ""  # where the scheme is HEADER
    token: str = ""
    """The token endpoint: an address, or a path at the connection's own host."""
    authorize: str = ""  # where a person signs in, for AUTHORIZATION_CODE
    scope: str = ""
    client: ClientProof = ClientProof.BODY
    algorithm: str = ""  # of what is signed: RS256, PS256, ES256
    audience: str = ""  # of what is signed; empty: the token endpoint
    lives_seconds: int | None = None  # of a token whose endpoint does not say


class KeyForm(StrEnum):
    """What our idempotency key is turned into for the wire, always the same way."""

    HEX = "hex"
    UUID = "uuid"


@dataclass(frozen=True, slots=True)
class KeyRule:
    """The form of key a system takes (section 2 of the IETF draft leaves it to the system)."""

    form: KeyForm = KeyForm.HEX
    longest: int = 64  # characters


class Meaning(StrEnum):
    """What an answer to a write proves."""

    DONE = "done"
    REFUSED = "refused"
    """Nothing happened, and the same again would be refused again."""
    BUSY = "busy"
    """Nothing happened, and the same again may work later."""
    CONFLICT = "conflict"
    """Nothing happened now: the target has moved, or has one of that name already."""
    ALREADY_SO = "already so"
    """Nothing happened: the target is as wanted."""
    UNKNOWN = "unknown"
    """It may have happened."""


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """One line of the table of answers; the first one whose `when` holds says what it means."""

    when: Expression
    means: Meaning
    retry_after: Expression | None = None  # seconds


@dataclass(frozen=True, slots=True)
class Answers:
    """How a system's answers are to be read, refusals above all."""

    rules: tuple[AnswerRule, ...] = ()
    message: Expression | None = None
    code: Expression | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What is known about a system as a whole."""

    system: str
    title: str
    api_version: str
    documentation: str
    checked_on: date
    authentication: Authentication
    hosts: tuple[str, ...] = ()
    """Names a connection may have, `*.example.com`; none: any."""
    headers: tuple[tuple[str, str], ...] = ()
    scopes: tuple[str, ...] = ()
    """The least that a credential needs, in the vendor's words."""
    key: KeyRule = KeyRule()
    probe: str = ""  # a path that answers when the credential works
    is_endpoint: bool = False
    """Its address takes nothing but messages: whether it answers shows in its probe alone."""


@dataclass(frozen=True, slots=True)
class EvidenceRead:
    """One more record of the target that reviewers should see."""

    kind: str
    title: Template
    path: Template
    name: str = ""
    """Under which what is read after it finds it: `records.<name>`."""
    when: Expression | None = None
    """Over the target; where it does not hold, there is no such record."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """When the target would refuse this, and what it would say."""

    when: Expression
    says: Template


@dataclass(frozen=True, slots=True)
class Read:
    """The target as it is now."""

    path: Template
    before: Expression
    guard: Expression | None = None
    evidence: tuple[EvidenceRead, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    sentence: Template | None = None
    """The effect as people say it, with names that were read where `effect` has ids."""


@dataclass(frozen=True, slots=True)
class Write:
    """The one call that changes something."""

    method: str
    path: Template
    headers: tuple[tuple[str, Template], ...]
    body: Expression | None
    reference: Expression
    previous: Expression | None
    summary: Template
    answers: tuple[AnswerRule, ...] = ()


@dataclass(frozen=True, slots=True)
class LookUp:
    """Where a call shows whether it had its effect: `found` is the write's answer, or null."""

    path: Template
    found: Expression


@dataclass(frozen=True, slots=True)
class VerifyRead:
    """Where the effect is read back, when that is another place than the target's own."""

    path: Template
    state: Expression


@dataclass(frozen=True, slots=True)
class UndoWay:
    """One way an effect is taken back, or why it cannot be; the first whose `when` holds."""

    when: Expression | None
    action: str = ""
    params: Expression | None = None
    refuse: str = ""


@dataclass(frozen=True, slots=True)
class OfferedFact:
    """Something about the target that rules on this action type may ask for."""

    name: str
    kind: str  # string, integer, number or boolean
    meaning: str
    value: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One action type on the wire."""

    type: ActionType
    read: Read
    after: Expression
    """What the target says once it is done, under the names `read.before` has."""
    write: Write
    verify: VerifyRead | None
    look_up: LookUp | None
    undo: tuple[UndoWay, ...]
    facts: tuple[OfferedFact, ...] = ()
    example: JsonObject | None = None
    """Params of something that is there, for `check_system --live` to preview."""


@dataclass(frozen=True, slots=True)
class SystemFile:
    """Everything one file says."""

    card: Card
    answers: Answers
    operations: tuple[Operation, ...]
