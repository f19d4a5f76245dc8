"""Registering agents, giving them keys, stopping them; and who answers for one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from approvals.domain import auto_pause
from approvals.domain.triggers import end_with_pause
from approvals.exceptions import (
    ApprovalError,
    FieldProblem,
    InvalidProposal,
    NotAuthorised,
    ReasonRequired,
)
from approvals.models import Agent, AgentKey, SigningKey, WorkloadIdentity
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject, JsonValue
from audit.lib.money import Money
from audit.selectors import events_of
from audit.services import record, save_with_history
from connectors.registry import UnknownActionType, action_type
from policies.authority import may_configure, may_keep_agents_of
from policies.models import User
from policies.teams import team_codes
from policies.triggers import Per

LONGEST_KEY_LIFE = timedelta(days=365)
LONGEST_OVERLAP = timedelta(days=7)

ON_PROBATION, ORDINARY = 0, 1
LEVELS = {0: "on probation", 1: "ordinary", 2: "proven", 3: "trusted"}
"""How far an agent is trusted; what each level may do by itself is for policy to say."""


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key. `secret` is shown once, here; only its hash is kept."""

    key: AgentKey
    secret: str


@transaction.atomic
def register_agent(
    *,
    name: str,
    owner: User,
    team: str,
    action_types: Sequence[str],
    actor: Actor,
    model: str = "",
    ceiling: Money | None = None,
) -> Agent:
    """Register an agent with its accountable owner. Raises InvalidProposal naming bad fields.

    What its owner registers, ops admin or not, begins on probation (level 0). Every service here
    raises NotAuthorised unless the actor may keep the agents of that owner.
    """
    require_owner(actor, owner.pk)
    _check(owner, team, action_types)
    at = db_clock.now()
    agent = Agent(
        name=name,
        owner=owner,
        team=team,
        model=model,
        action_types=sorted(set(action_types)),
        ceiling_minor=ceiling.minor if ceiling else None,
        ceiling_currency=ceiling.currency if ceiling else "",
        level=ON_PROBATION if is_one_of(actor, owner) else ORDINARY,
        created_at=at,
    )
    save_with_history(agent, actor=actor, reason="registered", at=at)
    record(
        AuditCode.AGENT_REGISTERED,
        actor=actor,
        subject=agent,
        data={
            "name": name,
            "owner": owner.get_username(),
            "team": team,
            "action_types": agent.action_types,
            "ceiling": str(ceiling) if ceiling else "",
            "level": agent.level,
        },
        at=at,
    )
    return agent


@transaction.atomic
def change_agent(
    agent_id: int,
    *,
    actor: Actor,
    owner: User,
    team: str,
    action_types: Sequence[str],
    model: str,
    ceiling: Money | None,
    level: int | None = None,
    reports_complaints: bool | None = None,
    tokens_only: bool | None = None,
    signatures_required: bool | None = None,
) -> Agent:
    """Change what an agent is and may propose. Requests already open keep what they are.

    Owners tighten their agents by themselves; a higher ceiling, none at all, one in another
    currency, more action types, a higher level, reporting complaints about other agents, keys again
    where only tokens counted and no signatures where they were required take an ops admin who is
    not its owner (None leaves the last four as they are). A new owner answers for no credential
    somebody else handed out: every key that works is revoked with the change, every identity and
    signing key removed, and new ones are issued.
    """
    agent = Agent.objects.select_for_update().get(pk=agent_id)
    require_owner(actor, agent.owner_id, owner.pk)
    if _loosens(agent, action_types, ceiling):
        demand_other_admin(
            actor, "Only an ops admin raises a ceiling or adds action types.", agent.owner, owner
        )
    level = agent.level if level is None else level
    if level > agent.level:
        demand_other_admin(actor, "Only an ops admin raises an agent's level.", agent.owner, owner)
    reports = agent.reports_complaints if reports_complaints is None else reports_complaints
    if reports and not agent.reports_complaints:
        demand_other_admin(
            actor, "Only an ops admin lets an agent report complaints.", agent.owner, owner
        )
    tokens_only = agent.tokens_only if tokens_only is None else tokens_only
    if agent.tokens_only and not tokens_only:
        demand_other_admin(actor, "Only an ops admin lets keys count again.", agent.owner, owner)
    required = agent.signatures_required if signatures_required is None else signatures_required
    if agent.signatures_required and not required:
        demand_other_admin(
            actor, "Only an ops admin takes messages without a signature.", agent.owner, owner
        )
    _check(owner, team, action_types, level)
    wanted: dict[str, JsonValue] = {
        "owner_id": owner.pk,
        "team": team,
        "model": model,
        "action_types": sorted(set(action_types)),
        "ceiling_minor": ceiling.minor if ceiling else None,
        "ceiling_currency": ceiling.currency if ceiling else "",
        "level": level,
        "reports_complaints": reports,
        "tokens_only": tokens_only,
        "signatures_required": required,
    }
    changed = [field for field, value in wanted.items() if getattr(agent, field) != value]
    if not changed:
        return agent
    for field in changed:
        setattr(agent, field, wanted[field])
    at = db_clock.now()
    save_with_history(agent, actor=actor, reason=f"changed {', '.join(changed)}", at=at)
    record(
        AuditCode.AGENT_CHANGED,
        actor=actor,
        subject=agent,
        data={"fields": list(changed), "to": {f: wanted[f] for f in changed}},
        at=at,
    )
    if "owner_id" in changed:
        for key in agent.keys.select_for_update().filter(revoked_at=None).order_by("pk"):
            _revoke(key, agent, actor, at)
        for identity in agent.identities.select_for_update().filter(removed_at=None).order_by("pk"):
            end_identity(identity, agent, actor, at)
        for signs in agent.signing_keys.select_for_update().filter(removed_at=None).order_by("pk"):
            end_signing_key(signs, agent, actor, at)
    return agent


@transaction.atomic
def pause_agent(agent_id: int, *, actor: Actor, reason: str) -> Agent:
    """Stop an agent: nothing new is taken, nothing approved for it runs any more."""
    # NO KEY: proposals that merely point at the agent neither wait for it nor hold it up
    agent = Agent.objects.select_for_update(no_key=True).get(pk=agent_id)
    require_owner(actor, agent.owner_id)
    if not reason.strip():
        raise ReasonRequired("Write why the agent is paused.")
    if agent.is_paused:
        raise ApprovalError(f"Agent {agent.name} is paused already.", code="already_paused")
    auto_pause.pause(agent, actor=actor, reason=reason, at=db_clock.now())
    return agent


@transaction.atomic
def resume_agent(agent_id: int, *, actor: Actor) -> Agent:
    """Let a paused agent propose again. What was approved before the pause is looked at again.

    Whoever paused it may, as long as they keep it; somebody else's pause takes an ops admin.
    """
    agent = Agent.objects.select_for_update().get(pk=agent_id)
    require_owner(actor, agent.owner_id)
    if not agent.is_paused:
        raise ApprovalError(f"Agent {agent.name} is not paused.", code="not_paused")
    if not _paused_by(agent, actor):
        demand_admin(actor, "Somebody else paused this agent: only an ops admin resumes it.")
    at = db_clock.now()
    agent.paused_at, agent.pause_reason = None, ""
    save_with_history(agent, actor=actor, reason="resumed", at=at)
    record(AuditCode.AGENT_RESUMED, actor=actor, subject=agent, at=at)
    of_agent = Q(per=Per.AGENT.value, key=agent.name)
    end_with_pause(of_agent, actor=actor, reason="The agent was resumed.", at=at)
    return agent


@transaction.atomic
def issue_key(agent_id: int, *, actor: Actor, lifetime: timedelta) -> IssuedKey:
    """Give the agent another key; older ones go on working until revoked or expired."""
    agent = Agent.objects.select_for_update().get(pk=agent_id)
    require_owner(actor, agent.owner_id)
    if not timedelta(0) < lifetime <= LONGEST_KEY_LIFE:
        raise ApprovalError("A key lives between a moment and a year.", code="bad_lifetime")
    return _issue(agent, actor, lifetime, db_clock.now())


@transaction.atomic
def rotate_key(key_id: int, *, actor: Actor, overlap: timedelta) -> IssuedKey:
    """Replace a key that works by a new one that lives as long; the old one works for `overlap`.

    It may still be revoked before. A key that has been replaced is not replaced again.
    """
    key = AgentKey.objects.select_for_update(of=("self",)).get(pk=key_id)
    agent = Agent.objects.select_for_update().get(pk=key.agent_id)
    require_owner(actor, agent.owner_id)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise ApprovalError("The old key works on for at most a week.", code="bad_overlap")
    at = db_clock.now()
    if key.replaced_until is not None or not key.works(at):
        raise ApprovalError("Only a key that works is replaced, once.", code="not_replaceable")
    issued = _issue(agent, actor, min(key.expires_at - key.created_at, LONGEST_KEY_LIFE), at)
    key.replaced_until = min(at + overlap, key.expires_at)
    key.save(update_fields=["replaced_until"])
    record(
        AuditCode.KEY_REPLACED,
        actor=actor,
        subject=agent,
        data={
            "prefix": key.prefix,
            "by": issued.key.prefix,
            "until": key.replaced_until.isoformat(),
        },
        at=at,
    )
    return issued


def _issue(agent: Agent, actor: Actor, lifetime: timedelta, at: datetime) -> IssuedKey:
    prefix = secrets.token_hex(5)
    secret = f"csk_{prefix}_{secrets.token_urlsafe(32)}"
    key = AgentKey.objects.create(
        agent=agent,
        prefix=prefix,
        secret_sha256=AgentKey.hash(secret),
        created_at=at,
        expires_at=at + lifetime,
    )
    record(
        AuditCode.KEY_ISSUED,
        actor=actor,
        subject=agent,
        data={"prefix": prefix, "expires_at": key.expires_at.isoformat()},
        at=at,
    )
    return IssuedKey(key, secret)


@transaction.atomic
def revoke_key(key_id: int, *, actor: Actor) -> AgentKey:
    """End a key: the next call with it is refused."""
    key = AgentKey.objects.select_for_update(of=("self",)).get(pk=key_id)
    agent = Agent.objects.select_for_update().get(pk=key.agent_id)
    require_owner(actor, agent.owner_id)
    if key.revoked_at is not None:
        raise ApprovalError("This key has been revoked already.", code="already_revoked")
    _revoke(key, agent, actor, db_clock.now())
    return key


def _revoke(key: AgentKey, agent: Agent, actor: Actor, at: datetime) -> None:
    key.revoked_at = at
    key.save(update_fields=["revoked_at"])
    record(AuditCode.KEY_REVOKED, actor=actor, subject=agent, data={"prefix": key.prefix}, at=at)


def end_identity(identity: WorkloadIdentity, agent: Agent, actor: Actor, at: datetime) -> None:
    """No token is this identity's any more; both rows are locked."""
    identity.removed_at = at
    identity.save(update_fields=["removed_at"])
    data: JsonObject = {"issuer": identity.issuer, "sub": identity.claims["sub"]}
    record(AuditCode.IDENTITY_REMOVED, actor=actor, subject=agent, data=data, at=at)


def end_signing_key(key: SigningKey, agent: Agent, actor: Actor, at: datetime) -> None:
    """No new signature with it counts; both rows are locked."""
    key.removed_at = at
    key.save(update_fields=["removed_at"])
    data: JsonObject = {"key_id": key.key_id}
    record(AuditCode.SIGNING_KEY_REMOVED, actor=actor, subject=agent, data=data, at=at)


def _loosens(agent: Agent, action_types: Sequence[str], ceiling: Money | None) -> bool:
    """May the agent do anything afterwards that it may not do now?"""
    if set(action_types) - set(agent.action_types):
        return True
    if agent.ceiling_minor is None:
        return False
    if ceiling is None or ceiling.currency != agent.ceiling_currency:
        return True
    return ceiling.minor > agent.ceiling_minor


def _paused_by(agent: Agent, actor: Actor) -> bool:
    """The trail knows who paused it last."""
    paused = events_of(agent).filter(code=AuditCode.AGENT_PAUSED).last()
    return paused is not None and (paused.actor_kind, paused.actor_id) == (actor.kind, actor.id)


def _check(owner: User, team: str, action_types: Sequence[str], level: int = ORDINARY) -> None:
    problems = []
    if level not in LEVELS:
        problems.append(FieldProblem("level", f"0 to {max(LEVELS)}."))
    if not owner.is_active:
        problems.append(FieldProblem("owner", "The owner's account is deactivated."))
    if team not in (teams := team_codes()):
        problems.append(FieldProblem("team", f"One of: {', '.join(sorted(teams))}."))
    for key in action_types:
        try:
            action_type(key)
        except UnknownActionType as error:
            problems.append(FieldProblem("action_types", str(error)))
    if problems:
        raise InvalidProposal(problems)


def require_owner(actor: Actor, *owner_ids: int) -> None:
    """Raises NotAuthorised unless the actor may keep the agents of these owners."""
    refusal = may_keep_agents_of(actor, *owner_ids)
    if refusal is not None:
        raise NotAuthorised(refusal.message, code=refusal.code)


def demand_admin(actor: Actor, sentence: str) -> None:
    """Raises NotAuthorised with the sentence unless the actor configures."""
    if may_configure(actor) is not None:
        raise NotAuthorised(sentence, code="not_ops_admin")


def demand_other_admin(actor: Actor, sentence: str, *owners: User) -> None:
    """An ops admin, and none of the owners: nobody lets their own agent do more.

    The person counts, not the account. Raises NotAuthorised.
    """
    demand_admin(actor, sentence)
    if is_one_of(actor, *owners):
        raise NotAuthorised(
            "You own this agent: another ops admin lets it do more.", code="own_agent"
        )


def is_one_of(actor: Actor, *owners: User) -> bool:
    """Whether the actor is one of these people, with whichever account."""
    if actor.kind != ActorKind.HUMAN:
        return False
    person = User.objects.values_list("person", flat=True).get(pk=actor.id)
    return person in {owner.person for owner in owners}
