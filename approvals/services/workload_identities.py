"""Workload identities: whose tokens an agent signs in with, registered by two ops admins.

The issuer vouches for the workload (a CI job, a Kubernetes service account, a cloud instance), so
nobody here keeps a secret for it. What is registered are exact values; there are no patterns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from django.db import transaction

from approvals.exceptions import ApprovalError, NotFound
from approvals.models import Agent, WorkloadIdentity
from approvals.services.agents import end_identity, require_owner
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import record
from connectors.issuers import check_issuer
from connectors.outbound import AddressRefused
from policies.exceptions import PolicyError
from policies.models import AuthorityChange
from policies.services.dual_control import (
    carries_out,
    check_may_configure,
    propose_change,
    require_reason,
)

REGISTER = "agent.identity"
MOST_CLAIMS = 20
_LONGEST = 300
_CHECKED_APART = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityTerms:
    """Whose tokens are the agent's. `keys_url` is "" where the issuer's metadata names it."""

    issuer: str
    audience: str
    claims: Mapping[str, str]
    keys_url: str = ""


@transaction.atomic
def register_identity(
    agent_id: int, terms: IdentityTerms, *, actor: Actor, reason: str
) -> WorkloadIdentity | AuthorityChange:
    """Let tokens with exactly these claims be the agent's, once a second ops admin agrees.

    Then the change is returned, and nothing is different yet. The installation registers at once.
    Raises PolicyError: not_ops_admin, reason_missing, already_waiting, and bad_identity saying what
    would be right.
    """
    check_may_configure(actor)
    require_reason(reason)
    agent = _checked(agent_id, terms)
    if actor.kind == ActorKind.HUMAN:
        return propose_change(
            REGISTER,
            {"agent": agent.name, "agent_id": agent.pk, **_stored(terms), "reason": reason},
            actor=actor,
            summary=f"Let tokens of {terms.issuer} for {terms.claims['sub']} be agent {agent}'s.",
            reason=reason,
        )
    return _register(agent, terms, actor=actor, reason=reason)


@carries_out(REGISTER, raises_authority=False)
def _register_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    terms = IdentityTerms(
        issuer=str(payload["issuer"]),
        audience=str(payload["audience"]),
        keys_url=str(payload["keys_url"]),
        claims=cast("dict[str, str]", payload["claims"]),
    )
    agent = _checked(cast(int, payload["agent_id"]), terms)
    _register(agent, terms, actor=actor, reason=str(payload["reason"]), proposer=proposer)


@transaction.atomic
def remove_identity(identity_id: int, *, actor: Actor) -> WorkloadIdentity:
    """End it: the next call with such a token is refused. Whoever keeps the agent may.

    Raises NotAuthorised, NotFound, and ApprovalError: already_removed.
    """
    found = WorkloadIdentity.objects.filter(pk=identity_id).first()
    if found is None:
        raise NotFound("There is no such identity.")
    agent = Agent.objects.select_for_update().get(pk=found.agent_id)
    require_owner(actor, agent.owner_id)
    identity = WorkloadIdentity.objects.select_for_update().get(pk=identity_id)
    if identity.removed_at is not None:
        raise ApprovalError("This identity has been removed already.", code="already_removed")
    end_identity(identity, agent, actor, db_clock.now())
    return identity


def claims_from(text: str) -> dict[str, str]:
    """Claims as a person writes them, `name = value` on a line each. Raises PolicyError."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not (name and equals and value) or name in found:
            raise _bad("Write each claim once, on a line of its own: name = value.")
        found[name] = value
    return found


def _checked(agent_id: int, terms: IdentityTerms) -> Agent:
    """The agent, locked, if such an identity can be registered for it."""
    agent = Agent.objects.select_for_update().get(pk=agent_id)
    for address in filter(None, (terms.issuer, terms.keys_url)):
        try:
            check_issuer(address)
        except AddressRefused as refused:
            raise _bad(str(refused)) from None
    texts = (terms.issuer, terms.keys_url, *terms.claims.values(), *terms.claims)
    if any(len(text) > _LONGEST for text in (*texts, terms.audience)):
        raise _bad(f"Nothing may be longer than {_LONGEST} characters.")
    if "?" in terms.issuer:
        raise _bad("An issuer has no question mark (OpenID Connect Discovery 1.0).")
    if not terms.audience or any(c.isspace() for c in terms.audience):
        raise _bad("Say for which audience its tokens are, without spaces.")
    if not terms.claims.get("sub"):
        raise _bad("The claim sub must be among the claims: it says whose the token is.")
    if len(terms.claims) > MOST_CLAIMS:
        raise _bad(f"At most {MOST_CLAIMS} claims.")
    if apart := sorted(_CHECKED_APART & terms.claims.keys()):
        raise _bad(f"{', '.join(apart)}: checked for every token, no claim to register.")
    if any("*" in value for value in terms.claims.values()):
        raise _bad("Claims are compared exactly: a * would stand for itself.")
    for other in _in_force().filter(issuer=terms.issuer, audience=terms.audience):
        if not _excludes(other.claims, terms.claims):
            raise _bad(f"A token could be agent {other.agent}'s as well: one claim must differ.")
    return agent


def _in_force() -> Any:
    return WorkloadIdentity.objects.select_related("agent").filter(removed_at=None)


def _excludes(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether no token can have the claims of both."""
    return any(one[name] != other[name] for name in one.keys() & other.keys())


def _register(
    agent: Agent,
    terms: IdentityTerms,
    *,
    actor: Actor,
    reason: str,
    proposer: Actor | None = None,
) -> WorkloadIdentity:
    at = db_clock.now()
    identity = WorkloadIdentity.objects.create(
        agent=agent,
        issuer=terms.issuer,
        audience=terms.audience,
        keys_url=terms.keys_url,
        claims=dict(terms.claims),
        created_at=at,
    )
    data: JsonObject = {
        **_stored(terms),
        "sub": terms.claims["sub"],
        "reason": reason.strip(),
        "proposed_by": proposer.name if proposer else "",
    }
    record(AuditCode.IDENTITY_REGISTERED, actor=actor, subject=agent, data=data, at=at)
    return identity


def _stored(terms: IdentityTerms) -> JsonObject:
    return cast(JsonObject, {**asdict(terms), "claims": dict(terms.claims)})


def _bad(sentence: str) -> PolicyError:
    return PolicyError("bad_identity", sentence)
