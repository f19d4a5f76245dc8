"""Signed messages of agents (RFC 9421): Ed25519 over method, address, body and idempotency key.

`http-message-signatures` reads and verifies; what must be covered, how old a signature may be and
that each counts once is decided here, by the database's clock and a unique row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import IntegrityError, transaction
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    VerifyResult,
    algorithms,
)

from approvals.exceptions import SignatureRefused
from approvals.models import Agent, SignatureNonce, SigningKey
from approvals.proposal import Signature
from approvals.selectors.signatures import public_key_of
from audit.lib import db_clock

COUNTS_FOR = timedelta(seconds=300)
LEEWAY = timedelta(seconds=30)
"""How far an agent's clock may be ahead of the database's."""
_FORGOTTEN_AFTER = 2 * (COUNTS_FOR + LEEWAY)
_SEEN_EVERY = timedelta(minutes=10)
_NONCE = range(16, 101)
_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came in. `url` is the address it was sent to, with scheme and host."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class _KeysOf(HTTPSignatureKeyResolver):
    """The keys of one agent, and the one that was asked for."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.found: SigningKey | None = None

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey:
        keys = SigningKey.objects.filter(agent=self._agent, key_id=key_id, removed_at=None)
        self.found = keys.first()
        if self.found is None:
            raise SignatureRefused("The agent has no such signing key.", code="signature_key")
        return public_key_of(self.found.public_key)

    def resolve_private_key(self, key_id: str) -> Ed25519PublicKey:
        raise NotImplementedError("Only agents have private keys.")


class _Verifier(HTTPMessageVerifier):
    """Says whether a signature holds; its times are held against the database's clock later."""

    max_clock_skew = timedelta(days=36_500)

    def only(self, message: Message) -> VerifyResult:
        """The one signature of the message, with its body. Raises what the library raises."""
        (result,) = self.verify(message, max_age=None, body=message.body)
        return result


def verify(message: Message, agent: Agent) -> Signature:
    """The message's signature, which is the agent's and has not been used before.

    Raises SignatureRefused, whose code says why.
    """
    keys = _KeysOf(agent)
    try:
        result = _Verifier(signature_algorithm=algorithms.ED25519, key_resolver=keys).only(message)
    except HTTPMessageSignaturesException as error:
        if isinstance(error.__cause__, SignatureRefused):
            raise error.__cause__ from None
        raise SignatureRefused(f"The signature does not hold: {error}") from None
    _demand_coverage(message, result)
    at = db_clock.now()
    _demand_time(result, at)
    assert keys.found is not None  # noqa: S101 - it was verified with that key
    _use_nonce(keys.found, result.nonce, at)
    covered = result.covered_components
    return Signature(
        key_id=keys.found.key_id,
        public_key=keys.found.public_key,
        base="\n".join(f"{component}: {value}" for component, value in covered.items()),
        value=_value_of(message),
        body=message.body.decode("utf-8", "replace"),
    )


def forgettable(at: datetime) -> list[int]:
    """Nonces no signature could count with any more, the oldest first."""
    old = SignatureNonce.objects.filter(seen_at__lt=at - _FORGOTTEN_AFTER).order_by("seen_at")
    return list(old.values_list("pk", flat=True)[:_BATCH])


def forget(nonce_id: int) -> None:
    """One that could not count any more."""
    SignatureNonce.objects.filter(pk=nonce_id).delete()


def forget_all(nonce_ids: Sequence[int]) -> list[int]:
    """All of them, in one statement; none is left to be done by itself."""
    SignatureNonce.objects.filter(pk__in=nonce_ids).delete()
    return []


def _demand_coverage(message: Message, result: VerifyResult) -> None:
    needed = ["@method", "@target-uri"]
    needed += ["content-digest"] if message.body else []
    needed += ["idempotency-key"] if "idempotency-key" in map(str.lower, message.headers) else []
    if left_out := [name for name in needed if f'"{name}"' not in result.covered_components]:
        raise SignatureRefused(
            f"The signature must cover {', '.join(left_out)}.", code="signature_incomplete"
        )


def _demand_time(result: VerifyResult, at: datetime) -> None:
    created, expires = result.parameters.get("created"), result.parameters.get("expires")
    if not isinstance(created, int):
        raise SignatureRefused("The signature does not say when it was made (created).")
    age = at.timestamp() - created
    if age > COUNTS_FOR.total_seconds() or age < -LEEWAY.total_seconds():
        raise SignatureRefused(
            f"A signature counts for {COUNTS_FOR.total_seconds():.0f} seconds from when it was "
            f"made: this one is {age:.0f} seconds old, by our clock.",
            code="signature_expired",
        )
    if isinstance(expires, int) and expires <= at.timestamp():
        raise SignatureRefused("The signature has expired.", code="signature_expired")


def _use_nonce(key: SigningKey, nonce: str | None, at: datetime) -> None:
    """Each counts once: of two at the same moment the database refuses one."""
    if nonce is None or len(nonce) not in _NONCE or not all("!" <= c <= "~" for c in nonce):
        raise SignatureRefused(
            f"A nonce has {_NONCE[0]} to {_NONCE[-1]} printable characters, new for each message.",
            code="signature_incomplete",
        )
    try:
        with transaction.atomic():
            SignatureNonce.objects.create(key=key, nonce=nonce, seen_at=at)
            if key.last_used_at is None or at - key.last_used_at > _SEEN_EVERY:
                SigningKey.objects.filter(pk=key.pk).update(last_used_at=at)
    except IntegrityError:
        raise SignatureRefused(
            "This nonce has been used. Sign again, with a new one.", code="signature_replayed"
        ) from None


def _value_of(message: Message) -> str:
    """The signature itself, in base64, as it stands in its header."""
    fields = {name.lower(): value for name, value in message.headers.items()}
    return fields["signature"].split(":")[1]  # a byte sequence stands between colons (RFC 8941)
