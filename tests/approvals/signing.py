"""An agent that signs what it sends (RFC 9421), with a real key."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.test import Client
from http_message_signatures import (
    ContentDigest,
    HTTPMessageSigner,
    MappingKeyResolver,
    algorithms,
)

from approvals.models import Agent, SigningKey
from approvals.services.signing_keys import register_signing_key
from audit.lib import db_clock
from tests.api.make import a_proposal
from tests.approvals.make import INSTALLER, make_key

COVERED = ("@method", "@target-uri", "content-digest", "idempotency-key")
_numbers = count(1)


@dataclass
class Sent:
    """A message on its way."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""


def pem_of(key: Any) -> str:
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return str(public.decode())


@dataclass
class Signer:
    """An agent with a key (Bearer) and a private key to sign with."""

    bearer: str
    key_id: str
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def message(
        self, path: str = "actions/", body: Any = None, *, key: str = "", method: str = "POST"
    ) -> Sent:
        """A message that is not signed yet; `body` may be bytes."""
        sent = body if isinstance(body, bytes) else json.dumps(body or a_proposal()).encode()
        headers = {
            "Authorization": f"Bearer {self.bearer}",
            "Content-Type": "application/json",
            "Idempotency-Key": key or f"signed-{next(_numbers)}",
        }
        return Sent(method, f"{settings.BASE_URL}/api/v1/{path}", headers, sent)

    def sign(
        self,
        sent: Sent,
        *,
        covered: Sequence[str] = COVERED,
        nonce: str | None = "",
        created: datetime | None = None,
        expires: datetime | None = None,
        key_id: str = "",
        private: Any = None,
        algorithm: Any = algorithms.ED25519,
    ) -> Sent:
        sent.headers["Content-Digest"] = ContentDigest.create(sent.body)
        named = {key_id or self.key_id: private or self.private}
        keys = MappingKeyResolver(public_keys={}, private_keys=named)
        signer = HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=keys)
        signer.sign(
            sent,
            key_id=key_id or self.key_id,
            created=created or db_clock.now(),
            expires=expires,
            nonce=secrets.token_urlsafe(16) if nonce == "" else nonce,
            covered_component_ids=covered,
            use_existing_digest=True,
        )
        return sent

    def send(self, sent: Sent) -> Any:
        """What it is answered."""
        headers = {k: v for k, v in sent.headers.items() if k != "Content-Type"}
        path = sent.url.removeprefix(settings.BASE_URL)
        return Client(raise_request_exception=False).generic(
            sent.method,
            path,
            sent.body,
            content_type=sent.headers.get("Content-Type", "application/json"),
            headers=headers,
        )

    def propose(self, body: Any = None, **how: Any) -> Any:
        return self.send(self.sign(self.message(body=body), **how))


def make_signer(agent: Agent) -> Signer:
    """The agent signs with a key of its own, as the installation sets it up."""
    private = Ed25519PrivateKey.generate()
    made = register_signing_key(agent.pk, pem_of(private), actor=INSTALLER, reason="set up")
    assert isinstance(made, SigningKey)
    return Signer(make_key(agent), made.key_id, private)


def told(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def ago(seconds: float) -> datetime:
    return db_clock.now() - timedelta(seconds=seconds)
