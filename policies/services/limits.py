"""Approval limits: set and removed, never by somebody for themselves."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.db import transaction

from audit.actors import Actor
from audit.events import AuditCode
from audit.money import Money, MoneyError, exponent
from audit.services import record, save_with_history
from policies import patterns
from policies.exceptions import PolicyError
from policies.models import ApprovalLimit, User
from policies.services.configuring import check_may_configure, person_of


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
) -> ApprovalLimit:
    """Set what a person (`user_id`) or a role may approve; replaces their limit of the same kind.

    Amounts are minor units of `currency`. Raises PolicyError: not_ops_admin, own_limit,
    one_holder, unknown_user, unknown_role, unknown_pattern, unknown_currency, bad_amount,
    reason_missing.
    """
    check_may_configure(actor)
    if (user_id is None) == (not role):
        raise PolicyError("one_holder", "A limit belongs to one person or to one role.")
    _check_terms(action_type, currency, each_minor, per_day_minor, reason)
    user, group = _locked_holder(user_id, role)
    _refuse_own(actor, user, group)
    limit = (
        ApprovalLimit.objects.select_for_update()
        .filter(user=user, group=group, action_type=action_type, currency=currency, valid=True)
        .first()
    ) or ApprovalLimit(user=user, group=group, action_type=action_type, currency=currency)
    before = limit.each_minor if limit.pk else None
    limit.each_minor = each_minor
    limit.per_day_minor = per_day_minor
    save_with_history(limit, actor=actor, reason=reason)
    record(
        AuditCode.LIMIT_SET,
        actor=actor,
        subject=limit,
        data={
            "holder": limit.holder,
            "action_type": action_type,
            "currency": currency,
            "each": str(Money(each_minor, currency)),
            "each_minor": each_minor,
            "per_day_minor": per_day_minor,
            "before_minor": before,
            "reason": reason,
        },
    )
    return limit


@transaction.atomic
def remove_limit(limit_id: int, *, actor: Actor, reason: str) -> ApprovalLimit:
    """Take the limit back; the row stays for the decisions that rest on it.

    Raises PolicyError: not_ops_admin, own_limit, unknown_limit, reason_missing.
    """
    try:
        # Nullable holders are outer-joined, and PostgreSQL does not lock those: the row alone.
        limit = ApprovalLimit.objects.select_for_update().get(pk=limit_id)
    except ApprovalLimit.DoesNotExist as error:
        raise PolicyError("unknown_limit", "There is no such limit.") from error
    check_may_configure(actor)
    _refuse_own(actor, limit.user, limit.group)
    _require(reason)
    if not limit.valid:
        return limit
    limit.valid = False
    save_with_history(limit, actor=actor, reason=reason)
    record(
        AuditCode.LIMIT_REMOVED,
        actor=actor,
        subject=limit,
        data={"holder": limit.holder, "action_type": limit.action_type, "reason": reason},
    )
    return limit


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


def _check_terms(
    action_type: str, currency: str, each_minor: int, per_day_minor: int | None, reason: str
) -> None:
    if not patterns.is_pattern(action_type):
        raise PolicyError("unknown_pattern", 'Name an action type, a family ("refund.*") or "*".')
    try:
        exponent(currency)
    except MoneyError as error:
        raise PolicyError("unknown_currency", str(error)) from error
    if each_minor < 0 or (per_day_minor is not None and per_day_minor < each_minor):
        raise PolicyError(
            "bad_amount", "A limit is not negative, and a day's limit covers a single amount."
        )
    _require(reason)


def _require(reason: str) -> None:
    if not reason.strip():
        raise PolicyError("reason_missing", "Say why, in a few words.")
