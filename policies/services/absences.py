"""Being out of office: nothing is suggested to whoever is away. They may still decide."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record
from policies.authority import may_configure
from policies.exceptions import PolicyError
from policies.models import Absence, User
from policies.services.dual_control import person_of

LONGEST = timedelta(days=366)
AHEAD = timedelta(days=2 * 366)
"""How far off an absence may begin."""


@transaction.atomic
def set_absence(
    user_id: int, *, starts_at: datetime, ends_at: datetime, reason: str = "", actor: Actor
) -> Absence:
    """Say that somebody is away from `starts_at` to `ends_at`: they themselves, or an ops admin.

    Raises PolicyError: unknown_user, not_yours, bad_window, too_long.
    """
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id, is_active=True).first()
    if user is None:
        raise PolicyError("unknown_user", "There is no such account.")
    _demand_own(actor, user)
    at = db_clock.now()
    if not starts_at < ends_at or ends_at <= at:
        raise PolicyError("bad_window", "An absence ends after it begins, and in the future.")
    if starts_at > at + AHEAD:
        raise PolicyError("bad_window", "An absence begins within the next two years.")
    if ends_at - starts_at > LONGEST:
        raise PolicyError("too_long", "Nobody is out of office for more than a year.")
    absence = Absence(
        user=user,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason.strip()[:200],
        created_at=at,
    )
    absence.save()
    record(
        AuditCode.ABSENCE_SET,
        actor=actor,
        subject=absence,
        data={
            "person": user.get_username(),
            "from": starts_at.isoformat(),
            "until": ends_at.isoformat(),
        },
    )
    return absence


@transaction.atomic
def cancel_absence(absence_id: int, *, actor: Actor) -> Absence:
    """End it now, or before it begins. Raises PolicyError: unknown_absence, not_yours, is_over."""
    absence = (
        Absence.objects.select_for_update(of=("self",))
        .select_related("user")
        .filter(pk=absence_id)
        .first()
    )
    if absence is None:
        raise PolicyError("unknown_absence", "There is no such absence.")
    _demand_own(actor, absence.user)
    at = db_clock.now()
    if absence.cancelled_at is not None or absence.ends_at <= at:
        raise PolicyError("is_over", "This absence is over already.")
    absence.cancelled_at = at
    absence.save(update_fields=["cancelled_at"])
    record(
        AuditCode.ABSENCE_CANCELLED,
        actor=actor,
        subject=absence,
        data={"person": absence.user.get_username()},
    )
    return absence


def absent_persons(at: datetime) -> frozenset[str]:
    """The natural persons who are away at that moment, whichever of their accounts said so."""
    away = Absence.objects.filter(ends_at__gt=at, starts_at__lte=at, cancelled_at=None)
    return frozenset(away.values_list("user__person", flat=True))


def may_set_for_others(actor: Actor) -> bool:
    """Whether the actor may enter and cancel other people's absences."""
    return may_configure(actor) is None


def _demand_own(actor: Actor, user: User) -> None:
    """Any account of the same person will do: it is the person who is away."""
    own = actor.kind == ActorKind.HUMAN and person_of(actor) == user.person
    if not (own or may_set_for_others(actor)):
        raise PolicyError("not_yours", "Only the person themselves or an ops admin says so.")
