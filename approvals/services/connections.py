"""Connections: where they lead is changed by two people; who answers for one, by one.

An address, a credential or which action types go through a connection decides where money and
access go: a second ops admin agrees. Taking effect means within seconds in every process, and what
was approved before is sent back to people.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

from django.db import IntegrityError, transaction

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import record
from connectors.configuration import is_configured
from connectors.connections import (
    forget_connections,
    is_name,
    names_of,
    routes_in_force,
    why_refused,
)
from connectors.credentials import why_unusable
from connectors.declared.wire import is_allowed_host
from connectors.models import Binding, Connection, CredentialSource
from connectors.probes import probe
from connectors.registry import action_types, systems
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, User
from policies.services.dual_control import (
    carries_out,
    check_may_configure,
    propose_change,
    require_reason,
)

SET = "connection.set"
REMOVE = "connection.remove"
_LONGEST_ADDRESS = 300
_MOST_CALLS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A connection as it is to be. `owner` is a natural person."""

    name: str
    system: str
    values: dict[str, str]
    credential_source: str = CredentialSource.NONE.value
    credential_name: str = ""
    owner: str
    calls_per_minute: int | None = None
    action_types: tuple[str, ...] = ()


@transaction.atomic
def set_connection(terms: Terms, *, actor: Actor, reason: str) -> Connection | AuthorityChange:
    """Add the connection of that name, or change it.

    Owner and budget of calls hold at once. A new connection, another address or credential, and
    other action types wait for a second person: then the change is returned, and nothing is
    different yet. Parts of the system set them at once. Raises PolicyError: not_ops_admin,
    reason_missing, already_waiting, and bad_connection naming the field.
    """
    check_may_configure(actor)
    _demand(terms, reason)
    known = _locked(terms.name)
    if known is not None and known.system != terms.system:
        raise PolicyError("bad_connection", f"{terms.name} is a connection of {known.system}.")
    before = _terms_of(known) if known else None
    if actor.kind == ActorKind.HUMAN and _leads_elsewhere(before, terms):
        return propose_change(
            SET,
            {"terms": _stored(terms), "before": _stored(before), "reason": reason},
            actor=actor,
            summary=_setting(before, terms),
            reason=reason,
        )
    return _set(known, terms, actor=actor, reason=reason)


@carries_out(SET, raises_authority=False)
def _set_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    """Raises PolicyError connection_moved when it is not the one the two agreed to change."""
    values = cast("dict[str, Any]", payload["terms"])
    terms = Terms(**{**values, "action_types": tuple(values["action_types"])})
    reason = str(payload["reason"])
    _demand(terms, reason)
    known = _locked(terms.name)
    if _stored(_terms_of(known) if known else None) != payload["before"]:
        raise PolicyError("connection_moved", "It has changed since. Propose it again.")
    _set(known, terms, actor=actor, reason=reason, proposer=proposer)


@transaction.atomic
def remove_connection(
    connection_id: int, *, actor: Actor, reason: str
) -> Connection | AuthorityChange:
    """Take it out of use; the row stays for what was done through it.

    Where action types go through it, they go elsewhere from then on, or nowhere: from a person that
    waits for a second one. Raises PolicyError: not_ops_admin, unknown_connection, reason_missing,
    already_waiting.
    """
    check_may_configure(actor)
    require_reason(reason)
    row = Connection.objects.select_for_update().filter(pk=connection_id, removed_at=None).first()
    if row is None:
        raise PolicyError("unknown_connection", "There is no such connection any more.")
    terms = _terms_of(row)
    if actor.kind == ActorKind.HUMAN and terms.action_types:
        then = f"the one from the environment, {row.system}" if is_configured(row.system) else ""
        return propose_change(
            REMOVE,
            {"connection": row.pk, "before": _stored(terms), "reason": reason},
            actor=actor,
            summary=f"Remove the connection {row.name}; {_listed(terms.action_types)} then "
            f"{f'go through {then}' if then else 'cannot be carried out'}.",
            reason=reason,
        )
    return _remove(row, actor=actor, reason=reason)


@carries_out(REMOVE, raises_authority=False)
def _remove_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    row = Connection.objects.select_for_update().get(pk=cast(int, payload["connection"]))
    if row.removed_at is not None or _stored(_terms_of(row)) != payload["before"]:
        raise PolicyError("connection_moved", "It has changed since. Propose it again.")
    _remove(row, actor=actor, reason=str(payload["reason"]), proposer=proposer)


def probe_connection(name: str, *, actor: Actor) -> str:
    """Try it now, as it is in force: a sentence, empty when it answered. Changes nothing there.

    An address that only waits for a second person is never tried: it would be given the credential.
    Raises PolicyError: not_ops_admin, unknown_connection.
    """
    check_may_configure(actor)
    found = [route for route in routes_in_force() if route.name == name]
    if not found:
        raise PolicyError("unknown_connection", "There is no such connection any more.")
    return probe(found[0])


def problems_of(terms: Terms) -> dict[str, str]:
    """What is wrong with these terms: field -> what would be right."""
    known = {system.name for system in systems()}
    if terms.system not in known:
        return {"system": f"There is no such system. One of: {', '.join(sorted(known))}."}
    found: dict[str, str] = {}
    if not is_name(terms.name) or terms.name in known:
        found["name"] = (
            "Small letters, digits and hyphens, beginning with a letter, at most 32, and not the "
            "name of a system: payments-eu."
        )
    for name in names_of(terms.system):
        value = terms.values.get(name, "")
        problem = why_refused(terms.system, name, value, has_credential=_has_credential(terms))
        if len(value) > _LONGEST_ADDRESS:
            problem = f"Longer than {_LONGEST_ADDRESS} characters."
        if problem:
            found[name] = problem
    card = next(system.card for system in systems() if system.name == terms.system)
    address = names_of(terms.system)[0]
    if card and address not in found and not is_allowed_host(card, terms.values[address]):
        found[address] = f"The file of {terms.system} names its hosts: {', '.join(card.hosts)}."
    for name in terms.values.keys() - set(names_of(terms.system)):
        found[name] = f"A connection of {terms.system} has no such value."
    if problem := why_unusable(terms.credential_source, terms.credential_name):
        found["credential_name"] = problem
    if not User.objects.filter(person=terms.owner, is_active=True).exists():
        found["owner"] = "Name somebody with an active account who answers for it."
    if terms.calls_per_minute is not None and not 1 <= terms.calls_per_minute <= _MOST_CALLS:
        found["calls_per_minute"] = f"From 1 to {_MOST_CALLS:,}, or empty for no budget."
    if problem := _bound_apart(terms):
        found["action_types"] = problem
    return found


def _has_credential(terms: Terms) -> bool:
    return terms.credential_source != CredentialSource.NONE


def _bound_apart(terms: Terms) -> str:
    """An effect is undone where it was made."""
    own = {kind.key: kind for kind in action_types() if kind.system == terms.system}
    for key in terms.action_types:
        if key not in own:
            return f"{key} is no action type of {terms.system}."
    for kind in own.values():
        pair = {kind.key, kind.undo_type} & own.keys()
        if kind.undo_type in own and len(pair & set(terms.action_types)) not in {0, len(pair)}:
            return f"{kind.undo_type} undoes {kind.key}: choose both or neither."
    return ""


def _demand(terms: Terms, reason: str) -> None:
    require_reason(reason)
    for field, problem in problems_of(terms).items():
        raise PolicyError("bad_connection", f"{field.replace('_', ' ').capitalize()}: {problem}")


def _locked(name: str) -> Connection | None:
    """The connection of that name, with all others: bindings move between them."""
    rows = {row.name: row for row in Connection.objects.select_for_update().order_by("pk")}
    found = rows.get(name)
    if found is not None and found.removed_at is not None:
        raise PolicyError(
            "bad_connection", f"{name} was removed; what was done through it keeps the name."
        )
    return found


def _terms_of(row: Connection) -> Terms:
    bound = row.bindings.filter(ended_at=None).order_by("action_type")
    return Terms(
        name=row.name,
        system=row.system,
        values=row.values,
        credential_source=row.credential_source,
        credential_name=row.credential_name,
        owner=row.owner,
        calls_per_minute=row.calls_per_minute,
        action_types=tuple(bound.values_list("action_type", flat=True)),
    )


def _stored(terms: Terms | None) -> JsonObject | None:
    """As JSON has it: what a change is compared by and the trail keeps. It holds no secret."""
    if terms is None:
        return None
    return {**asdict(terms), "action_types": sorted(terms.action_types)}


def _leads_elsewhere(before: Terms | None, after: Terms) -> bool:
    def led(terms: Terms) -> tuple[Any, ...]:
        credential = (terms.credential_source, terms.credential_name)
        return (terms.values, credential, sorted(terms.action_types))

    return before is None or led(before) != led(after)


def _set(
    row: Connection | None,
    terms: Terms,
    *,
    actor: Actor,
    reason: str,
    proposer: Actor | None = None,
) -> Connection:
    before = _stored(_terms_of(row)) if row else None
    row = row or Connection(name=terms.name, system=terms.system)
    row.values = terms.values
    row.credential_source, row.credential_name = terms.credential_source, terms.credential_name
    row.owner, row.calls_per_minute = terms.owner, terms.calls_per_minute
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise PolicyError("connection_moved", "Somebody has just added it.") from None
    _bind(row, terms.action_types, actor=actor)
    record(
        AuditCode.CONNECTION_SET,
        actor=actor,
        subject=row,
        data={
            "name": row.name,
            "address": terms.values[names_of(terms.system)[0]],
            "terms": _stored(terms),
            "before": before,
            "reason": reason.strip(),
            "proposed_by": proposer.name if proposer else "",
        },
    )
    _forget()
    return row


def _bind(row: Connection, wanted: tuple[str, ...], *, actor: Actor) -> None:
    """These action types go through it from now on, and no others."""
    at = db_clock.now()
    bound = Binding.objects.select_for_update(of=("self",)).filter(ended_at=None)
    bound.filter(connection=row).exclude(action_type__in=wanted).update(ended_at=at)
    moving = bound.filter(action_type__in=wanted).exclude(connection=row)
    left: dict[int, list[str]] = {}
    for one in moving.order_by("action_type"):
        left.setdefault(one.connection_id, []).append(one.action_type)
    moving.update(ended_at=at)
    for other in Connection.objects.filter(pk__in=left).order_by("pk"):
        data: JsonObject = {"action_types": [*left[other.pk]], "to": row.name}
        record(AuditCode.CONNECTION_UNBOUND, actor=actor, subject=other, data=data)
    there = set(bound.filter(connection=row).values_list("action_type", flat=True))
    Binding.objects.bulk_create(
        Binding(connection=row, action_type=key, begun_at=at) for key in sorted(set(wanted) - there)
    )


def _remove(
    row: Connection, *, actor: Actor, reason: str, proposer: Actor | None = None
) -> Connection:
    terms = _terms_of(row)
    _bind(row, (), actor=actor)
    row.removed_at = db_clock.now()
    row.save(update_fields=["removed_at"])
    record(
        AuditCode.CONNECTION_REMOVED,
        actor=actor,
        subject=row,
        data={
            "name": row.name,
            "action_types": list(terms.action_types),
            "reason": reason.strip(),
            "proposed_by": proposer.name if proposer else "",
        },
    )
    _forget()
    return row


def _forget() -> None:
    """This process looks again now and once it is committed; others within seconds."""
    forget_connections()
    transaction.on_commit(forget_connections)


def _setting(before: Terms | None, after: Terms) -> str:
    """What setting these terms does, in one sentence."""
    address = after.values[names_of(after.system)[0]]
    what = f"the connection {after.name} of {after.system}"
    bound = f"{_listed(after.action_types)} go through it"
    if before is None:
        return f"Add {what} at {address}; {bound}."
    was = before.values[names_of(before.system)[0]]
    led = f"from {was} to {address}" if was != address else f"at {address}"
    return f"Change {what} {led}; {bound}."


def _listed(keys: tuple[str, ...]) -> str:
    return ", ".join(sorted(keys)) or "no action types"
