"""Who changes authority, and what needs two: asked for by one person, agreed to by another.

A kind of change is a service's function registered with `carries_out`. What it needs is kept as
canonical JSON until a second ops admin, who is neither the proposer nor whom it benefits, agrees;
then the function runs in the same transaction and evaluates everything again, as of that moment. A
person counts, not an account. Nothing changes while a change waits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject, canonical
from audit.lib.dates import format_moment
from audit.services import record
from policies.authority import may_configure
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, User
from policies.models.authority import ChangeStatus

LAPSES_AFTER = timedelta(days=7)
"""How long a change waits for a second person."""
SWEEPER = Actor.system("sweeper")
_BATCH = 1000
_LONGEST_SUMMARY = 300
_LONGEST_REASON = 500


class Applier(Protocol):
    """Carries an agreed change out; raises PolicyError when it no longer holds."""

    def __call__(self, payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None: ...


Proposing = Callable[[Actor, JsonObject], None]
"""Raises PolicyError when this actor may not propose (any more) what the payload says."""
A = TypeVar("A", bound=Applier)


def check_may_configure(actor: Actor) -> None:
    """Raises PolicyError when the actor may not configure."""
    refusal = may_configure(actor)
    if refusal:
        raise PolicyError(refusal.code, refusal.message)


def require_reason(reason: str, *, at_most: int | None = None) -> None:
    """Raises PolicyError: reason_missing, reason_too_long (characters)."""
    if not reason.strip():
        raise PolicyError("reason_missing", "Say why, in a few words.")
    if at_most is not None and len(reason.strip()) > at_most:
        raise PolicyError("reason_too_long", f"Say why in at most {at_most} characters.")


def person_of(actor: Actor) -> str:
    """The natural person acting; empty for agents and the system."""
    if actor.kind != ActorKind.HUMAN:
        return ""
    return User.objects.values_list("person", flat=True).get(pk=actor.id)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of change: who may ask for it, and what carries it out."""

    apply: Applier
    check_proposer: Proposing
    raises_authority: bool = True


_KINDS: dict[str, Kind] = {}


def _ops_admin(actor: Actor, payload: JsonObject) -> None:
    check_may_configure(actor)


def carries_out(
    kind: str, *, proposed_by: Proposing = _ops_admin, raises_authority: bool = True
) -> Callable[[A], A]:
    """Register what carries out an agreed change of this kind; ops admins propose by default.

    `raises_authority` is False for what gives nobody more to decide, such as another address.
    The function gets the payload, the `proposer`, and as `actor` whoever agreed. Raises ValueError
    when the kind is taken.
    """

    def register(apply: A) -> A:
        if kind in _KINDS:
            raise ValueError(f"Two services carry out {kind}.")
        _KINDS[kind] = Kind(apply, proposed_by, raises_authority)
        return apply

    return register


def raises_authority(change: AuthorityChange) -> bool:
    """Whether somebody may decide more once it is carried out."""
    return _KINDS[change.kind].raises_authority


@transaction.atomic
def propose_change(
    kind: str,
    payload: JsonObject,
    *,
    actor: Actor,
    summary: str,
    reason: str,
    beneficiary: str = "",
) -> AuthorityChange:
    """Keep the change until a second person agrees; it lapses after a week.

    `beneficiary` is the natural person whose authority it raises; empty when it is a role's.
    Raises KeyError for an unknown kind, and PolicyError: needs_person, reason_missing,
    already_waiting, or what the kind says of its proposers.
    """
    known = _KINDS[kind]
    _person(actor)
    known.check_proposer(actor, payload)
    require_reason(reason, at_most=_LONGEST_REASON)
    at = db_clock.now()
    summary = _fitting(summary)
    waiting = AuthorityChange.objects.filter(
        kind=kind, summary=summary, status=ChangeStatus.WAITING, lapses_at__gt=at
    )
    if waiting.exists():
        raise PolicyError("already_waiting", "This very change waits for a second person already.")
    change = AuthorityChange.objects.create(
        kind=kind,
        payload=canonical(payload),
        summary=summary,
        reason=reason.strip(),
        beneficiary=beneficiary,
        proposed_by_id=int(actor.id),
        proposed_at=at,
        lapses_at=at + LAPSES_AFTER,
    )
    _record(AuditCode.CHANGE_PROPOSED, change, actor, reason)
    return change


@transaction.atomic
def agree(change_id: int, *, actor: Actor, reason: str) -> AuthorityChange:
    """Carry the change out, checked again as of now. Exactly one answer counts.

    Raises PolicyError: unknown_change, change_over, change_lapsed, not_ops_admin, own_change,
    own_benefit, reason_missing, proposer_gone, or what the service that carries it out refuses.
    """
    change = _waiting(change_id)
    at = db_clock.now()
    if change.lapses_at <= at:
        raise PolicyError("change_lapsed", "Nobody agreed in time. It has to be proposed again.")
    check_may_configure(actor)
    require_reason(reason, at_most=_LONGEST_REASON)
    person = _person(actor)
    if person == change.proposed_by.person:
        raise PolicyError("own_change", "You proposed this, so somebody else agrees to it.")
    if person == change.beneficiary:
        raise PolicyError("own_benefit", "This raises your own authority; somebody else agrees.")
    proposer = Actor.human(change.proposed_by)
    payload: JsonObject = json.loads(change.payload)
    known = _KINDS[change.kind]
    try:
        known.check_proposer(proposer, payload)
    except PolicyError as refusal:
        raise PolicyError(
            "proposer_gone", f"{proposer.name} may not propose this any more: {refusal.message}"
        ) from refusal
    _close(change, ChangeStatus.AGREED, AuditCode.CHANGE_AGREED, actor, reason, at)
    known.apply(payload, proposer=proposer, actor=actor)
    return change


@transaction.atomic
def refuse(change_id: int, *, actor: Actor, reason: str) -> AuthorityChange:
    """Say no; nothing has changed and nothing will.

    Raises PolicyError: unknown_change, change_over, not_ops_admin, own_change, reason_missing.
    """
    change = _waiting(change_id)
    check_may_configure(actor)
    require_reason(reason, at_most=_LONGEST_REASON)
    if _person(actor) == change.proposed_by.person:
        raise PolicyError("own_change", "You proposed this. Withdraw it instead.")
    _close(change, ChangeStatus.REFUSED, AuditCode.CHANGE_REFUSED, actor, reason, db_clock.now())
    return change


@transaction.atomic
def withdraw(change_id: int, *, actor: Actor, reason: str) -> AuthorityChange:
    """Take one's own proposal back.

    Raises PolicyError: unknown_change, change_over, not_own_change, reason_missing.
    """
    change = _waiting(change_id)
    require_reason(reason, at_most=_LONGEST_REASON)
    if _person(actor) != change.proposed_by.person:
        raise PolicyError("not_own_change", "Somebody else proposed this; refuse it instead.")
    _close(
        change, ChangeStatus.WITHDRAWN, AuditCode.CHANGE_WITHDRAWN, actor, reason, db_clock.now()
    )
    return change


def find_overdue(at: datetime) -> list[int]:
    """What waits although its time is over, oldest first."""
    overdue = AuthorityChange.objects.filter(status=ChangeStatus.WAITING, lapses_at__lte=at)
    return list(overdue.order_by("lapses_at").values_list("pk", flat=True)[:_BATCH])


@transaction.atomic
def lapse(change_id: int) -> bool:
    """Close what nobody agreed to in time. Says whether it was closed now."""
    change = AuthorityChange.objects.select_for_update().get(pk=change_id)
    at = db_clock.now()
    if change.status != ChangeStatus.WAITING or change.lapses_at > at:
        return False
    change.status, change.decided_at = ChangeStatus.LAPSED, at
    change.save(update_fields=["status", "decided_at"])
    _record(AuditCode.CHANGE_LAPSED, change, SWEEPER, "")
    return True


def _waiting(change_id: int) -> AuthorityChange:
    try:
        change = AuthorityChange.objects.select_for_update().get(pk=change_id)
    except AuthorityChange.DoesNotExist as error:
        raise PolicyError("unknown_change", "There is no such change.") from error
    if change.status != ChangeStatus.WAITING:
        raise PolicyError("change_over", how_it_ended(change))
    return change


def how_it_ended(change: AuthorityChange) -> str:
    """Who answered it, how and when, for whoever comes too late."""
    when = format_moment(change.decided_at) if change.decided_at else "already"
    who = change.decided_by.get_username() if change.decided_by else ""
    return {
        ChangeStatus.AGREED: f"{who} agreed to this on {when}. It has been done.",
        ChangeStatus.REFUSED: f"{who} refused this on {when}. Nothing has changed.",
        ChangeStatus.WITHDRAWN: f"{who} withdrew this on {when}. Nothing has changed.",
        ChangeStatus.LAPSED: f"Nobody agreed in time: this lapsed on {when}. Nothing has changed.",
    }[ChangeStatus(change.status)]


def _person(actor: Actor) -> str:
    person = person_of(actor)
    if not person:
        raise PolicyError("needs_person", "This takes a person.")
    return person


def _close(
    change: AuthorityChange,
    status: ChangeStatus,
    code: AuditCode,
    actor: Actor,
    reason: str,
    at: datetime,
) -> None:
    change.status = status
    change.decided_by = User.objects.get(pk=actor.id)
    change.decided_at, change.decided_reason = at, reason.strip()
    change.save(update_fields=["status", "decided_by", "decided_at", "decided_reason"])
    _record(code, change, actor, reason)


def _record(code: AuditCode, change: AuthorityChange, actor: Actor, reason: str) -> None:
    record(
        code,
        actor=actor,
        subject=change,
        data={
            "kind": change.kind,
            "summary": change.summary,
            "payload": change.payload,
            "beneficiary": change.beneficiary,
            "proposed_by": change.proposed_by.get_username(),
            "reason": reason.strip(),
        },
    )


def _fitting(summary: str) -> str:
    """As long as its column; the payload says it in full."""
    if len(summary) <= _LONGEST_SUMMARY:
        return summary
    return f"{summary[: _LONGEST_SUMMARY - 1]}…"
