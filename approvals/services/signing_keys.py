"""Signing keys: with whose signatures an agent's messages count, registered by two ops admins.

Only public keys are kept, so a signature proves that the agent sent a message, to others as well.
"""

from __future__ import annotations

import base64
from typing import cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.db import transaction

from approvals.exceptions import ApprovalError, NotFound
from approvals.models import Agent, SigningKey
from approvals.selectors.signatures import thumbprint
from approvals.services.agents import end_signing_key, require_owner
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import record
from policies.exceptions import PolicyError
from policies.models import AuthorityChange
from policies.services.dual_control import (
    carries_out,
    check_may_configure,
    propose_change,
    require_reason,
)

REGISTER = "agent.signing_key"
MOST_KEYS = 5
_LONGEST_PEM = 1_000


@transaction.atomic
def register_signing_key(
    agent_id: int, pem: str, *, actor: Actor, reason: str
) -> SigningKey | AuthorityChange:
    """Let signatures with that Ed25519 key (PEM) be the agent's, once a second ops admin agrees.

    Then the change is returned, and nothing is different yet. The installation registers at once.
    Raises PolicyError: not_ops_admin, reason_missing, already_waiting, and bad_key saying what
    would be right.
    """
    check_may_configure(actor)
    require_reason(reason)
    public_key = _read(pem)
    agent = _checked(agent_id, public_key)
    if actor.kind == ActorKind.HUMAN:
        key_id = thumbprint(public_key)
        return propose_change(
            REGISTER,
            {
                "agent": agent.name, "agent_id": agent.pk, "key_id": key_id,
                "public_key": public_key, "reason": reason,
            },
            actor=actor,
            summary=f"Let signatures with the key {key_id} be agent {agent}'s.",
            reason=reason,
        )  # fmt: skip
    return _register(agent, public_key, actor=actor, reason=reason)


@carries_out(REGISTER, raises_authority=False)
def _register_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    public_key = str(payload["public_key"])
    agent = _checked(cast(int, payload["agent_id"]), public_key)
    _register(agent, public_key, actor=actor, reason=str(payload["reason"]), proposer=proposer)


@transaction.atomic
def remove_signing_key(signing_key_id: int, *, actor: Actor) -> SigningKey:
    """End it: no new signature with it counts. Whoever keeps the agent may.

    Raises NotAuthorised, NotFound, and ApprovalError: already_removed.
    """
    found = SigningKey.objects.filter(pk=signing_key_id).first()
    if found is None:
        raise NotFound("There is no such signing key.")
    agent = Agent.objects.select_for_update().get(pk=found.agent_id)
    require_owner(actor, agent.owner_id)
    key = SigningKey.objects.select_for_update().get(pk=signing_key_id)
    if key.removed_at is not None:
        raise ApprovalError("This key has been removed already.", code="already_removed")
    end_signing_key(key, agent, actor, db_clock.now())
    return key


def _read(pem: str) -> str:
    if "PRIVATE KEY" in pem:
        raise _bad("That is a private key. Keep it where it is, make a new one, and send no copy.")
    try:
        key = load_pem_public_key(pem.strip().encode()) if len(pem) <= _LONGEST_PEM else None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise _bad("Send an Ed25519 public key in PEM: -----BEGIN PUBLIC KEY-----")
    return _base64url(key.public_bytes_raw())


def _checked(agent_id: int, public_key: str) -> Agent:
    """The agent, locked, if that key can be registered for it."""
    agent = Agent.objects.select_for_update().get(pk=agent_id)
    in_force = SigningKey.objects.filter(removed_at=None)
    if in_force.filter(key_id=thumbprint(public_key)).exists():
        raise _bad("This key is registered already: each agent has its own.")
    if in_force.filter(agent=agent).count() >= MOST_KEYS:
        raise _bad(f"An agent has at most {MOST_KEYS} signing keys: remove an old one.")
    return agent


def _register(
    agent: Agent,
    public_key: str,
    *,
    actor: Actor,
    reason: str,
    proposer: Actor | None = None,
) -> SigningKey:
    at = db_clock.now()
    key = SigningKey.objects.create(
        agent=agent, key_id=thumbprint(public_key), public_key=public_key, created_at=at
    )
    data: JsonObject = {
        "key_id": key.key_id,
        "public_key": public_key,
        "reason": reason.strip(),
        "proposed_by": proposer.name if proposer else "",
    }
    record(AuditCode.SIGNING_KEY_REGISTERED, actor=actor, subject=agent, data=data, at=at)
    return key


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _bad(sentence: str) -> PolicyError:
    return PolicyError("bad_key", sentence)
