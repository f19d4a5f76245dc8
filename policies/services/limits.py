"""Approval limits: never changed by somebody for themselves, and raised by two people only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Q

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
from audit.lib.money import Money, MoneyError, exponent
from audit.services import record, save_with_history
from policies import patterns
from policies.authority import limits_of
from policies.authority_rules import Limit, best_limit
from policies.exceptions import PolicyError
from policies.models import ApprovalLimit, AuthorityChange, User
from policies.services.dual_control import (
    carries_out,
    check_may_configure,
    person_of,
    propose_change,
    require_reason,
)

SET = "limit.set"
REMOVE = "limit.remove"


@transaction.atomic
def set_limit(
    *,
    actor: Actor,
    action_type: str,
    currency: str,
    each_minor: int,
    per_day_minor: int | None = None,
    user_id: int | None = None,
    role: str = "",
    reason: str,
) -> ApprovalLimit | AuthorityChange:
    """Set what a person (`user_id`) or a role may approve; replaces their limit of the same kind.

    A lower or equal limit holds at once. From a person, a higher one, a new one, or one without
    the sum it had waits for a second person: then the change is returned, and nothing is different
    yet. Parts of the system set it at once. Amounts are minor units of `currency`. Raises
    PolicyError: not_ops_admin, own_limit, one_holder, unknown_user, unknown_role,
    unknown_pattern, unknown_currency, bad_amount, reason_missing, already_waiting.
    """
    check_may_configure(actor)
    terms = Terms(action_type, currency, each_minor, per_day_minor, user_id, role)
    _check_terms(terms, reason)
    user, group = _locked_holder(user_id, role)
    _refuse_own(actor, user, group)
    limit = _current(user, group, terms)
    if actor.kind == ActorKind.HUMAN and _allows_more(limit, terms.each_minor, terms.per_day_minor):
        return propose_change(
            SET,
            {"terms": asdict(terms), "before": _amounts(limit), "reason": reason},
            actor=actor,
            summary=_setting(limit, terms, counting_limit(user, group, terms), _whose(user, group)),
            reason=reason,
            beneficiary=user.person if user else "",
        )
    return _set(user, group, limit, terms, actor=actor, reason=reason)


@carries_out(SET)
def _set_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    """Raises PolicyError limit_moved when the limit is not the one the two agreed to raise."""
    terms = Terms(**cast("Any", payload["terms"]))
    reason = str(payload["reason"])
    _check_terms(terms, reason)
    user, group = _locked_holder(terms.user_id, terms.role)
    for person in (proposer, actor):
        _refuse_own(person, user, group)
    limit = _current(user, group, terms)
    if _amounts(limit) != payload["before"]:
        raise PolicyError("limit_moved", "The limit has changed since. Propose it again.")
    _set(user, group, limit, terms, actor=actor, reason=reason, proposer=proposer)


@transaction.atomic
def remove_limit(limit_id: int, *, actor: Actor, reason: str) -> ApprovalLimit | AuthorityChange:
    """Take the limit back; the row stays for the decisions that rest on it.

    Where a larger one would count from then on, as a role's does for a person without one of their
    own, removing raises authority: from a person it waits for a second one. Raises PolicyError:
    not_ops_admin, own_limit, unknown_limit, reason_missing, already_waiting.
    """
    limit = _locked(limit_id)
    check_may_configure(actor)
    _refuse_own(actor, limit.user, limit.group)
    require_reason(reason)
    if not limit.valid:
        return limit
    wider = _uncovered_by_removing(limit)
    if actor.kind == ActorKind.HUMAN and wider is not None:
        return propose_change(
            REMOVE,
            {"limit": limit.pk, "before": _amounts(limit), "reason": reason},
            actor=actor,
            summary=_removing(limit, wider, whose=_whose(limit.user, limit.group)),
            reason=reason,
            beneficiary=limit.user.person if limit.user else "",
        )
    return _remove(limit, actor=actor, reason=reason)


@carries_out(REMOVE)
def _remove_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    limit = _locked(cast(int, payload["limit"]))
    for person in (proposer, actor):
        _refuse_own(person, limit.user, limit.group)
    if not limit.valid or _amounts(limit) != payload["before"]:
        raise PolicyError("limit_moved", "The limit has changed since. Propose it again.")
    _remove(limit, actor=actor, reason=str(payload["reason"]), proposer=proposer)


def _uncovered_by_removing(limit: ApprovalLimit) -> ApprovalLimit | None:
    """The looser limit that would count instead, if there is one."""
    others = ApprovalLimit.objects.filter(valid=True, currency=limit.currency).exclude(pk=limit.pk)
    if limit.user is not None:
        others = others.filter(Q(user=limit.user) | Q(group__in=limit.user.groups.all()))
    else:
        others = others.filter(group=limit.group)
    return next(
        (
            other
            for other in others.order_by("-each_minor", "pk")
            if _overlap(other.action_type, limit.action_type)
            and _allows_more(limit, other.each_minor, other.per_day_minor)
        ),
        None,
    )


def _overlap(one: str, other: str) -> bool:
    return patterns.applies(one, other) or patterns.applies(other, one)


def _set(
    user: User | None,
    group: Group | None,
    limit: ApprovalLimit | None,
    terms: Terms,
    *,
    actor: Actor,
    reason: str,
    proposer: Actor | None = None,
) -> ApprovalLimit:
    before = limit.each_minor if limit else None
    limit = limit or ApprovalLimit(
        user=user, group=group, action_type=terms.action_type, currency=terms.currency
    )
    limit.each_minor, limit.per_day_minor = terms.each_minor, terms.per_day_minor
    save_with_history(limit, actor=actor, reason=reason)
    record(
        AuditCode.LIMIT_SET,
        actor=actor,
        subject=limit,
        data={
            "holder": limit.holder,
            "action_type": terms.action_type,
            "currency": terms.currency,
            "each": str(Money(terms.each_minor, terms.currency)),
            "each_minor": terms.each_minor,
            "per_day_minor": terms.per_day_minor,
            "before_minor": before,
            "reason": reason,
            "proposed_by": proposer.name if proposer else "",
        },
    )
    return limit


def _remove(
    limit: ApprovalLimit, *, actor: Actor, reason: str, proposer: Actor | None = None
) -> ApprovalLimit:
    limit.valid = False
    save_with_history(limit, actor=actor, reason=reason)
    record(
        AuditCode.LIMIT_REMOVED,
        actor=actor,
        subject=limit,
        data={
            "holder": limit.holder,
            "action_type": limit.action_type,
            "reason": reason,
            "proposed_by": proposer.name if proposer else "",
        },
    )
    return limit


def _current(user: User | None, group: Group | None, terms: Terms) -> ApprovalLimit | None:
    return (
        ApprovalLimit.objects.select_for_update()
        .filter(
            user=user,
            group=group,
            action_type=terms.action_type,
            currency=terms.currency,
            valid=True,
        )
        .first()
    )


def _locked(limit_id: int) -> ApprovalLimit:
    try:
        # Nullable holders are outer-joined, and PostgreSQL does not lock those: the row alone.
        return ApprovalLimit.objects.select_for_update().get(pk=limit_id)
    except ApprovalLimit.DoesNotExist as error:
        raise PolicyError("unknown_limit", "There is no such limit.") from error


def _locked_holder(user_id: int | None, role: str) -> tuple[User | None, Group | None]:
    """The holder, locked: two limits of one kind for one holder are set one after the other."""
    try:
        if user_id is not None:
            return User.objects.select_for_update().get(pk=user_id), None
        return None, Group.objects.select_for_update().get(name=role)
    except User.DoesNotExist as error:
        raise PolicyError("unknown_user", "There is no such account.") from error
    except Group.DoesNotExist as error:
        raise PolicyError("unknown_role", f"There is no role {role}.") from error


def _refuse_own(actor: Actor, user: User | None, group: Group | None) -> None:
    person = person_of(actor)
    if not person:
        return
    own = (
        user.person == person if user else User.objects.filter(person=person, groups=group).exists()
    )
    if own:
        raise PolicyError("own_limit", "Nobody changes their own limit; ask another ops admin.")


def _check_terms(terms: Terms, reason: str) -> None:
    if (terms.user_id is None) == (not terms.role):
        raise PolicyError("one_holder", "A limit belongs to one person or to one role.")
    if not patterns.is_pattern(terms.action_type):
        raise PolicyError("unknown_pattern", 'Name an action type, a family ("refund.*") or "*".')
    try:
        exponent(terms.currency)
    except MoneyError as error:
        raise PolicyError("unknown_currency", str(error)) from error
    per_day = terms.per_day_minor
    if terms.each_minor < 0 or (per_day is not None and per_day < terms.each_minor):
        raise PolicyError(
            "bad_amount", "A limit is not negative, and a day's limit covers a single amount."
        )
    require_reason(reason)


def _whose(user: User | None, group: Group | None) -> str:
    return user.get_username() if user else f"everybody in {group}"


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose limit, for what, and how much (minor units)."""

    action_type: str
    currency: str
    each_minor: int
    per_day_minor: int | None
    user_id: int | None
    role: str


def _allows_more(limit: ApprovalLimit | None, each_minor: int, per_day: int | None) -> bool:
    """Whether these amounts allow more than the limit does; a new limit always does."""
    if limit is None or each_minor > limit.each_minor:
        return True
    before = limit.per_day_minor
    return before is not None and (per_day is None or per_day > before)


def _amounts(limit: ApprovalLimit | None) -> list[int | None] | None:
    """Each and per day, to be compared later; None for a limit that is not there."""
    return [limit.each_minor, limit.per_day_minor] if limit else None


def _setting(limit: ApprovalLimit | None, terms: Terms, counting: Limit | None, whose: str) -> str:
    """What setting these terms does, in one sentence; `counting` is what counts for them now."""
    now = limit_words(terms.currency, terms.each_minor, terms.per_day_minor)
    before = f"it is {_of(limit)} now" if limit else effective_words(counting)
    return f"Set the limit of {whose} for {_what(terms.action_type)} to {now}; {before}."


def effective_words(counting: Limit | None) -> str:
    """What counts today where there is no limit of just this kind, in half a sentence."""
    if counting is None:
        return "no limit allows any of it now"
    said = limit_words(counting.currency, counting.each_minor, counting.per_day_minor)
    whose = f"that of everybody in {counting.group}" if counting.group else "their own"
    return f"{whose} for {_what(counting.action_type)} counts now: {said}"


def counting_limit(user: User | None, group: Group | None, terms: Terms) -> Limit | None:
    """The limit that counts for such actions now."""
    if user is not None:
        return best_limit(limits_of(user), terms.action_type, terms.currency)
    rows = ApprovalLimit.objects.filter(group=group, valid=True, currency=terms.currency)
    found = (
        Limit(
            id=row.pk,
            group=str(group),
            action_type=row.action_type,
            currency=row.currency,
            each_minor=row.each_minor,
            per_day_minor=row.per_day_minor,
        )
        for row in rows
    )
    return best_limit(found, terms.action_type, terms.currency)


def _removing(limit: ApprovalLimit, wider: ApprovalLimit, *, whose: str) -> str:
    """What removing the limit does where another one counts from then on, in one sentence."""
    return (
        f"Remove the limit of {whose} for {_what(limit.action_type)} ({_of(limit)}). "
        f"The one of {wider.holder} for {_what(wider.action_type)} counts then: {_of(wider)}."
    )


def _what(action_type: str) -> str:
    return "every action" if action_type == "*" else action_type


def limit_words(currency: str, each_minor: int, per_day_minor: int | None) -> str:
    """ "500.00 EUR each, 2000.00 EUR in 24 hours"."""
    each = f"{Money(each_minor, currency)} each"
    if per_day_minor is None:
        return f"{each}, no daily sum"
    return f"{each}, {Money(per_day_minor, currency)} in 24 hours"


def _of(limit: ApprovalLimit) -> str:
    return limit_words(limit.currency, limit.each_minor, limit.per_day_minor)
