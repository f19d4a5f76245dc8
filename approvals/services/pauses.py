"""Stopping everything, a kind of action, a connector or a connection, and letting it go on.

Nothing here needs a broker or the web: a row is enough, because everybody who could carry
something on asks `selectors.pauses` first.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Q

from approvals.choices import PauseScope
from approvals.domain.triggers import end_with_pause
from approvals.exceptions import (
    ApprovalError,
    FieldProblem,
    InvalidProposal,
    NotAuthorised,
    NotFound,
    ReasonRequired,
)
from approvals.models import Pause
from approvals.selectors.pause_impact import payment_scopes
from approvals.selectors.restores import waiting_for_look_up
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import record
from connectors.connections import routes_in_force
from connectors.registry import action_types
from policies.authority import Refusal, may_configure, may_stop


@transaction.atomic
def pause(scope: PauseScope, key: str = "", *, actor: Actor, reason: str) -> Pause:
    """Stop it now: nothing of it is taken, approved or called until somebody lifts it.

    Claimed work that has not called out yet is stopped too; what was approved before goes back to
    people, and reading effects back goes on. Raises NotAuthorised, ReasonRequired, InvalidProposal
    for a key nothing has, and ApprovalError (already_paused).
    """
    _demand(may_stop(actor))
    if not reason.strip():
        raise ReasonRequired("Write why it is paused.")
    _check(scope, key)
    at = db_clock.now()
    made = Pause(
        scope=scope,
        key=key,
        reason=reason.strip()[:300],
        paused_by=actor.name,
        paused_at=at,
    )
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError:  # the database keeps one pause of a kind in force
        raise ApprovalError(f"Paused already: {made}.", code="already_paused") from None
    record(AuditCode.PAUSED, actor=actor, subject=made, data=_data(made, made.reason), at=at)
    return made


@transaction.atomic
def stop_payments(*, actor: Actor, reason: str) -> list[Pause]:
    """Pause every system that moves money, those that are paused already aside.

    Raises as `pause` does, and ApprovalError (already_paused) where nothing is left to stop.
    """
    _demand(may_stop(actor))
    scopes = payment_scopes()
    standing = Pause.objects.filter(scope=PauseScope.CONNECTOR, lifted_at=None)
    stopped = set(standing.values_list("key", flat=True))
    made = [
        pause(scope, key, actor=actor, reason=reason) for scope, key in scopes if key not in stopped
    ]
    if not made:
        raise ApprovalError("Payments are stopped already.", code="already_paused")
    return made


@transaction.atomic
def lift(pause_id: int, *, actor: Actor, reason: str = "") -> Pause:
    """Let it go on. What was approved before or during the pause is looked at again.

    Stopping is easy, starting again takes an ops admin. The freeze after a restore ends with a
    reason, and once every target has been asked. Raises NotAuthorised, NotFound, ReasonRequired
    and ApprovalError (already_lifted, not_reconciled).
    """
    found = Pause.objects.select_for_update().filter(pk=pause_id).first()
    _demand(may_configure(actor), "Only an ops admin lifts a pause.")
    if found is None:
        raise NotFound("There is no such pause.")
    if found.lifted_at is not None:
        raise ApprovalError(f"{found.lifted_by} lifted this already.", code="already_lifted")
    if found.scope == PauseScope.RESTORED:
        _demand_reconciled(found, reason)
    at = db_clock.now()
    found.lifted_by, found.lifted_at = actor.name, at
    found.save(update_fields=["lifted_by", "lifted_at"])
    record(AuditCode.RESUMED, actor=actor, subject=found, data=_data(found, reason.strip()), at=at)
    end_with_pause(Q(pause=found), actor=actor, reason=reason.strip(), at=at)
    return found


def keys_of(scope: PauseScope) -> tuple[str, ...]:
    """What can be paused on its own: the registered action types, the systems they act on, and
    the connections of a system that has several."""
    if scope == PauseScope.ACTION_TYPE:
        return tuple(sorted(kind.key for kind in action_types()))
    if scope == PauseScope.CONNECTOR:
        return tuple(sorted({kind.system for kind in action_types()}))
    if scope == PauseScope.CONNECTION:
        return _connections()
    return ("",)


def _connections() -> tuple[str, ...]:
    """Where a system has several; the only one is paused with its system."""
    routes = routes_in_force()
    several = {route.system for route in routes if not route.is_from_environment}
    return tuple(route.name for route in routes if route.system in several)


def _check(scope: PauseScope, key: str) -> None:
    known = keys_of(scope)
    if key not in known:
        what = PauseScope(scope).label
        right = f"One of: {', '.join(known)}." if any(known) else "Everything has no name."
        raise InvalidProposal([FieldProblem("key", f"There is no {what} of that name. {right}")])


def _demand_reconciled(freeze: Pause, reason: str) -> None:
    """Nothing of it runs by itself afterwards, so one ops admin is enough: approvers look again."""
    if not reason.strip():
        raise ReasonRequired("Write what was reconciled, and how.")
    waiting = waiting_for_look_up(freeze).count()
    if waiting:
        raise ApprovalError(
            f"Not looked up yet: {waiting}. Workers are at it; try again when they are done.",
            code="not_reconciled",
        )


def _data(pause: Pause, reason: str) -> JsonObject:
    return {"what": str(pause), "scope": pause.scope, "key": pause.key, "reason": reason}


def _demand(refusal: Refusal | None, sentence: str = "") -> None:
    if refusal is not None:
        raise NotAuthorised(sentence or refusal.message, code=refusal.code)
