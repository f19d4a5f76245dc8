"""Delegations: asked for by the delegator, agreed to by a second person, taken back at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.lib.dates import format_moment
from audit.lib.money import Money, MoneyError, exponent
from audit.services import record, save_with_history
from policies import patterns
from policies.authority import (
    limits_of,
    may_be_asked,
    may_configure,
    people_who_never_decide,
    teams_of,
)
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, Delegation, User
from policies.services.dual_control import carries_out, person_of, propose_change, require_reason
from policies.teams import team_codes

GIVE = "delegation.give"
LONGEST = timedelta(days=90)
AHEAD = timedelta(days=366)
"""How far off a window may begin: nobody agrees today to what is right in ten years."""
LATE = timedelta(minutes=5)
"""How long ago "now" may have been when the form was filled in."""
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What is delegated, to whom and for how long, as it waits for a second person."""

    lender_id: int
    delegate_id: int
    group: str
    action_type: str
    cap_minor: int | None
    cap_currency: str
    starts_at: str
    ends_at: str
    reason: str

    @property
    def cap(self) -> Money | None:
        return None if self.cap_minor is None else Money(self.cap_minor, self.cap_currency)

    @property
    def window(self) -> tuple[datetime, datetime]:
        return datetime.fromisoformat(self.starts_at), datetime.fromisoformat(self.ends_at)


@transaction.atomic
def propose_delegation(
    *,
    lender: User,
    delegate_id: int,
    group: str = "",
    action_type: str = patterns.EVERY,
    cap: Money | None = None,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    actor: Actor,
) -> AuthorityChange:
    """Ask that the delegate may decide on the delegator's behalf; it waits for a second person.

    The delegator or an ops admin asks; an ops admin who is neither delegator nor delegate agrees.
    `group` is the role delegated, "" for every deciding role they have; `cap` the largest single
    amount, None for the delegator's own limit. Raises PolicyError: not_yours_to_lend, unknown_user,
    same_person, never_decides, unknown_role, not_in_group, unknown_pattern, unknown_currency,
    cap_too_high, bad_window, window_over, window_too_long, lent_back, reason_missing,
    already_waiting.
    """
    terms = _Terms(
        lender_id=lender.pk,
        delegate_id=delegate_id,
        group=group,
        action_type=action_type,
        cap_minor=cap.minor if cap else None,
        cap_currency=cap.currency if cap else "",
        starts_at=starts_at.isoformat(),
        ends_at=ends_at.isoformat(),
        reason=reason.strip(),
    )
    payload = cast("JsonObject", asdict(terms))
    _lender_or_ops_admin(actor, payload)
    at = db_clock.now()
    if starts_at < at - LATE:
        raise PolicyError(
            "bad_window", "Authority is not delegated for the past; begin now or later."
        )
    lender, delegate = _checked(terms, at=at)
    return propose_change(
        GIVE,
        payload,
        actor=actor,
        summary=_summary(lender, delegate, terms),
        reason=terms.reason,
        beneficiary=delegate.person,
    )


def _lender_or_ops_admin(actor: Actor, payload: JsonObject) -> None:
    own = actor.kind == ActorKind.HUMAN and actor.id == str(payload["lender_id"])
    if not own and may_configure(actor) is not None:
        raise PolicyError("not_yours_to_lend", "You delegate your own authority and nobody else's.")


@carries_out(GIVE, proposed_by=_lender_or_ops_admin)
def _give(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    """Checked again as of now: who has left delegates nothing. It begins now at the earliest."""
    terms = _Terms(**cast("Any", payload))
    at = db_clock.now()
    lender, delegate = _checked(terms, at=at)
    if person_of(actor) in (lender.person, delegate.person):
        raise PolicyError("own_delegation", "Delegator and delegate do not agree to it themselves.")
    starts_at, ends_at = terms.window
    delegation = Delegation(
        lender=lender,
        delegate=delegate,
        group=terms.group,
        action_type=terms.action_type,
        cap_minor=terms.cap_minor,
        cap_currency=terms.cap_currency,
        starts_at=max(starts_at, at),
        ends_at=ends_at,
        reason=terms.reason,
        agreed_by_id=int(actor.id),
        created_at=at,
    )
    save_with_history(delegation, actor=actor, reason=terms.reason)
    record(
        AuditCode.DELEGATED,
        actor=actor,
        subject=delegation,
        data={
            "lender": lender.get_username(),
            "delegate": delegate.get_username(),
            "group": terms.group,
            "action_type": terms.action_type,
            "cap": str(terms.cap) if terms.cap else "",
            "starts_at": delegation.starts_at.isoformat(),
            "ends_at": terms.ends_at,
            "proposed_by": proposer.name,
            "reason": terms.reason,
        },
    )


@transaction.atomic
def revoke(delegation_id: int, *, actor: Actor, reason: str) -> Delegation:
    """Take it back at once: the delegator, the delegate or an ops admin. Twice is harmless.

    What was approved on it and has not run goes back to people. Raises PolicyError:
    unknown_delegation, not_yours_to_lend, delegation_over, reason_missing.
    """
    try:
        delegation = Delegation.objects.select_for_update(of=("self",)).get(pk=delegation_id)
    except Delegation.DoesNotExist as error:
        raise PolicyError("unknown_delegation", "There is no such delegation.") from error
    person = person_of(actor)
    concerned = (delegation.lender.person, delegation.delegate.person)
    if may_configure(actor) is not None and (not person or person not in concerned):
        raise PolicyError(
            "not_yours_to_lend", "The delegator, the delegate or an ops admin takes it back."
        )
    require_reason(reason, at_most=_LONGEST_REASON)
    if delegation.revoked_at is not None:
        return delegation
    at = db_clock.now()
    if delegation.ends_at <= at:
        raise PolicyError("delegation_over", "This has ended already.")
    delegation.revoked_at = at
    save_with_history(delegation, actor=actor, reason=reason.strip())
    record(
        AuditCode.DELEGATION_REVOKED,
        actor=actor,
        subject=delegation,
        data={
            "lender": delegation.lender.get_username(),
            "delegate": delegation.delegate.get_username(),
            "reason": reason.strip(),
        },
    )
    return delegation


def _checked(terms: _Terms, *, at: datetime) -> tuple[User, User]:
    """Delegator and delegate, locked, if these terms may be delegated between them now."""
    require_reason(terms.reason, at_most=_LONGEST_REASON)
    starts_at, ends_at = terms.window
    if not starts_at < ends_at:
        raise PolicyError("bad_window", "It ends after it begins.")
    if ends_at <= at:
        raise PolicyError("window_over", "The window has passed; delegate it for a later one.")
    if starts_at > at + AHEAD:
        raise PolicyError("bad_window", "Authority is delegated from a day within the next year.")
    if ends_at - starts_at > LONGEST:
        raise PolicyError(
            "window_too_long", f"Authority is delegated for {LONGEST.days} days at most."
        )
    accounts = User.objects.select_for_update(no_key=True).filter(
        pk__in=[terms.lender_id, terms.delegate_id]
    )
    found = {account.pk: account for account in accounts.order_by("pk")}
    try:
        lender, delegate = found[terms.lender_id], found[terms.delegate_id]
    except KeyError as error:
        raise PolicyError("unknown_user", "There is no such account.") from error
    _check_people(lender, delegate)
    _check_scope(lender, terms)
    back = Delegation.objects.filter(
        lender__person=delegate.person,
        delegate__person=lender.person,
        revoked_at=None,
        starts_at__lt=ends_at,
        ends_at__gt=starts_at,
    )
    if back.exists():
        raise PolicyError(
            "lent_back", f"{delegate} delegates to {lender} in that window; authority goes one way."
        )
    return lender, delegate


def _check_people(lender: User, delegate: User) -> None:
    if lender.person == delegate.person:
        raise PolicyError("same_person", "These are two accounts of one person.")
    for account in (lender, delegate):
        if not account.is_active:
            raise PolicyError("unknown_user", f"The account {account} is deactivated.")
        if people_who_never_decide().filter(person=account.person).exists():
            raise PolicyError("never_decides", f"{account} configures or reads, and never decides.")


def _check_scope(lender: User, terms: _Terms) -> None:
    """Only one's own roles and limits: what was delegated to them is not delegated further."""
    if terms.group and terms.group not in team_codes():
        raise PolicyError("unknown_role", f"{terms.group} is no role that decides.")
    if not (terms.group in teams_of(lender) if terms.group else may_be_asked(lender)):
        raise PolicyError(
            "not_in_group", f"{lender} is not in {terms.group or 'any role that decides'}."
        )
    if not patterns.is_pattern(terms.action_type):
        raise PolicyError("unknown_pattern", 'Name an action type, a family ("refund.*") or "*".')
    cap = terms.cap
    if cap is None:
        return
    try:
        exponent(cap.currency)
    except MoneyError as error:
        raise PolicyError("unknown_currency", str(error)) from error
    own = [
        limit.each_minor
        for limit in limits_of(lender)
        if limit.currency == cap.currency and _overlap(limit.action_type, terms.action_type)
    ]
    if not 0 <= cap.minor <= max(own, default=-1):
        raise PolicyError("cap_too_high", f"{cap} is above what {lender} may approve.")


def _overlap(one: str, other: str) -> bool:
    """Whether two patterns can mean the same action type."""
    return patterns.applies(one, other) or patterns.applies(other, one)


def _summary(lender: User, delegate: User, terms: _Terms) -> str:
    starts_at, ends_at = map(format_moment, terms.window)
    what = [terms.group or "every deciding role", terms.action_type]
    if terms.cap:
        what.append(f"up to {terms.cap}")
    return (
        f"{lender} delegates authority to {delegate} ({', '.join(what)}) "
        f"from {starts_at} to {ends_at}."
    )
