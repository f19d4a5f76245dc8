"""An issuer of tokens with real keys, served over HTTP, and agents that sign in with its tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from approvals.models import Agent, WorkloadIdentity
from approvals.services.workload_identities import IdentityTerms, register_identity
from audit.actors import Actor
from audit.lib import db_clock
from policies.models import AuthorityChange
from policies.services.dual_control import agree
from tests.agents.server import Told, answering, ok
from tests.api.make import AgentClient
from tests.approvals.make import INSTALLER, Cast

AUDIENCE = "https://approvals.example"
SUBJECT = "repo:retailer/refunds:environment:production"

_NEW_KEY: dict[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
_AS_JWK: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


@dataclass
class Issuer:
    """Who signs tokens; `told` is its server, which serves the keys that are published."""

    told: Told
    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)
    """Key id to algorithm and private key."""

    @property
    def url(self) -> str:
        return self.told.url

    def new_key(self, key_id: str, algorithm: str = "RS256") -> None:
        """Sign with another key from now on; it is not published yet."""
        self.keys[key_id] = (algorithm, _NEW_KEY[algorithm]())

    def jwk(self, key_id: str) -> dict[str, Any]:
        algorithm, private = self.keys[key_id]
        public: dict[str, Any] = _AS_JWK[algorithm].to_jwk(private.public_key(), as_dict=True)
        return {**public, "kid": key_id, "use": "sig", "alg": algorithm}

    def publish(self, *key_ids: str, **changes: Any) -> None:
        """Serve these public keys, and no others."""
        self.told.replies[:] = [ok({"keys": [{**self.jwk(k), **changes} for k in key_ids]})]

    def token(self, key_id: str = "one", **claims: Any) -> str:
        """One that counts, but for what is said; a claim that is None is left out."""
        algorithm, private = self.keys[key_id]
        said = {
            name: value for name, value in (self.claims() | claims).items() if value is not None
        }
        return jwt.encode(said, private, algorithm=algorithm, headers={"kid": key_id})

    def claims(self) -> dict[str, Any]:
        now = int(db_clock.now().timestamp())
        return {
            "iss": self.url, "aud": AUDIENCE, "sub": SUBJECT, "repository": "retailer/refunds",
            "iat": now, "exp": now + 300,
        }  # fmt: skip


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer with one published key, "one"."""
    with answering(ok({})) as told:
        issuer = Issuer(told)
        issuer.new_key("one")
        issuer.publish("one")
        yield issuer


def terms(issuer: str, **changes: Any) -> IdentityTerms:
    """Tokens of that issuer; its keys are where it is."""
    given: dict[str, Any] = {
        "issuer": issuer,
        "audience": AUDIENCE,
        "keys_url": f"{issuer}/keys",
        "claims": {"sub": SUBJECT},
    }
    return IdentityTerms(**(given | changes))


def signs_in(agent: Agent, issuer: str, **changes: Any) -> WorkloadIdentity:
    """The agent signs in with such tokens at once, as the installation sets it up."""
    made = register_identity(agent.pk, terms(issuer, **changes), actor=INSTALLER, reason="set up")
    assert isinstance(made, WorkloadIdentity)
    return made


def proposed(cast: Cast, wanted: IdentityTerms) -> AuthorityChange:
    """Ada asks; nobody has agreed."""
    change = register_identity(
        cast.agent.pk, wanted, actor=Actor.human(cast.ada), reason="no key in CI"
    )
    assert isinstance(change, AuthorityChange)
    return change


def agreed(cast: Cast, wanted: IdentityTerms) -> WorkloadIdentity:
    """Ada asks and Alan agrees."""
    agree(proposed(cast, wanted).pk, actor=Actor.human(cast.alan), reason="seen")
    return WorkloadIdentity.objects.latest("pk")


def told(token: str) -> tuple[int, str]:
    """What a call with that token is answered: status, and the code of its problem."""
    answer = AgentClient(token).get("action-types/")
    return answer.status_code, answer.json().get("code", "")
