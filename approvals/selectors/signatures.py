"""Whether a recorded signature proves that its agent sent the message; nothing secret is needed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import algorithms

from approvals.models import ActionRequest
from approvals.selectors.requests import contents_of
from audit.events import AuditCode
from audit.lib.canonical import JsonObject, canonical
from audit.models import AuditEvent

_DIGESTS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class Proof:
    """A signature in the trail, held against itself and the body that is kept."""

    key_id: str
    holds: bool

    def __str__(self) -> str:
        return f"with key {self.key_id}; {'it holds' if self.holds else 'it does NOT hold'}"


def proof_of(request: ActionRequest, events: Iterable[AuditEvent]) -> Proof | None:
    """Of the message that proposed it; None where that was not signed. `events` are the request's.

    Whether the events are whole, and the key was the agent's then, `audit.verify` and the agent's
    own events say.
    """
    first = next((one for one in events if one.code == AuditCode.REQUESTED), None)
    signed: JsonObject | None = json.loads(first.data).get("signature") if first else None
    if signed is None:
        return None
    said = {name: str(signed[name]) for name in ("key_id", "public_key", "base", "value")}
    return Proof(said["key_id"], _holds(said, contents_of(request)[0].signed_body))


def public_key_of(text: str) -> Ed25519PublicKey:
    """The key that is kept as `text`, 32 bytes in base64url."""
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(text + "="))


def thumbprint(public_key: str) -> str:
    """The JWK thumbprint (RFC 7638) of an Ed25519 key in base64url: its id, the same everywhere."""
    jwk = canonical({"crv": "Ed25519", "kty": "OKP", "x": public_key})
    return base64.urlsafe_b64encode(hashlib.sha256(jwk.encode()).digest()).rstrip(b"=").decode()


def _holds(said: dict[str, str], body: str) -> bool:
    if thumbprint(said["public_key"]) != said["key_id"] or not _covers(said["base"], body):
        return False
    try:
        key = _Ed25519(public_key_of(said["public_key"]))  # type: ignore[no-untyped-call]
        return key.fits(said["value"], said["base"])
    except ValueError:  # no base64, or no key
        return False


class _Ed25519(algorithms.ED25519):
    """A public key of an agent."""

    def fits(self, value: str, base: str) -> bool:
        """Whether it is the signature, in base64, of that text."""
        try:
            self.verify(base64.b64decode(value), base.encode())
        except InvalidSignature:
            return False
        return True


def _covers(base: str, body: str) -> bool:
    """Whether a digest of that body is in what was signed; an empty body needs none."""
    lines = [one for one in base.splitlines() if one.startswith('"content-digest": ')]
    digests = {
        f"{name}=:{base64.b64encode(make(body.encode()).digest()).decode()}:"
        for name, make in _DIGESTS.items()
    }
    if not lines:
        return not body
    said = lines[0].partition(": ")[2].replace(" ", "").split(",")
    return bool(said) and set(said) <= digests
