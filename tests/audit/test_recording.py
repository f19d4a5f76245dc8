"""Events are written inside the change's transaction, in one chain per subject, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from audit import chain
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.models import AuditEvent, AuditStream
from audit.services import (
    ChainMoved,
    Entry,
    OutsideTransaction,
    record,
    record_all,
    stream,
    subject_label,
)
from tests.audit.make import MARIA, Paper, make_chain


class Helper:
    """What an Actor needs to know of an agent."""

    pk = "a1"
    name = "refund-helper"


@pytest.mark.django_db(transaction=True)
def test_an_event_outside_a_transaction_is_refused() -> None:
    subject = AuditStream.objects.create(name="roles")

    with pytest.raises(OutsideTransaction):
        record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=subject)

    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_event_goes_when_its_change_is_rolled_back() -> None:
    def change_that_fails() -> None:
        with transaction.atomic():
            record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=stream("roles"))
            raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError, match="the change failed"):
        change_that_fails()

    assert not AuditEvent.objects.exists()
    assert not AuditStream.objects.exists()


@pytest.mark.django_db
def test_events_are_numbered_and_the_row_carries_the_head() -> None:
    subject = stream("roles")
    first = record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=subject, data={"changes": "1"})
    second = record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=subject, data={"changes": "2"})

    row = stream("roles")

    assert (first.seq, second.seq) == (1, 2)
    assert (row.audit_seq, row.audit_head) == (2, second.mac)
    assert AuditEvent.objects.get(seq=2).pk == second.pk


@pytest.mark.django_db
def test_a_stored_event_is_the_one_that_was_signed() -> None:
    event = make_chain("roles", 1)[0]

    stored = AuditEvent.objects.get(pk=event.pk)

    for column in AuditEvent._meta.concrete_fields:
        assert getattr(stored, column.attname) == getattr(event, column.attname), column.name


@pytest.mark.django_db
def test_the_one_statement_insert_stores_what_bulk_create_would() -> None:
    event = make_chain("roles", 1)[0]
    values = AuditEvent.objects.values().get(pk=event.pk)

    copy = AuditEvent(**{**values, "id": None, "subject_id": "copy"})
    AuditEvent.objects.bulk_create([copy])

    copied = AuditEvent.objects.values().get(subject_id="copy")
    assert copied | {"id": 0, "subject_id": ""} == values | {"id": 0, "subject_id": ""}


@pytest.mark.django_db
def test_a_stale_subject_cannot_fork_the_chain() -> None:
    stale = stream("roles")
    record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=stream("roles"))

    with pytest.raises(IntegrityError), transaction.atomic():
        record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=stale)

    assert AuditEvent.objects.count() == 1


@pytest.mark.django_db
def test_a_subject_whose_row_has_moved_on_is_refused() -> None:
    subject = stream("roles")
    AuditStream.objects.update(audit_seq=5)

    with pytest.raises(ChainMoved), transaction.atomic():
        record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=subject)

    assert not AuditEvent.objects.exists()


@pytest.mark.django_db
def test_no_entries_write_nothing() -> None:
    assert record_all([], subject=stream("roles")) == []


@pytest.mark.django_db
def test_an_unknown_code_is_refused() -> None:
    with pytest.raises(ValueError, match=r"request\.forgotten"):
        record("request.forgotten", actor=MARIA, subject=stream("roles"))  # type: ignore[arg-type]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "actor",
    [
        Actor.system("line\nfeed"),
        Actor.system("nul\0"),
        Actor.system("x" * 41),
        Actor(MARIA.kind, "1", "n" * 151),
    ],
)
def test_a_name_that_would_blur_the_columns_is_refused(actor: Actor) -> None:
    with pytest.raises(ValueError, match="An event's actor_"):
        record(AuditCode.ROLES_SYNCED, actor=actor, subject=stream("roles"))


@pytest.mark.django_db
@pytest.mark.parametrize("name", [None, "a\nb", "x" * 41])
def test_a_subject_needs_an_id_that_fits(name: str | None) -> None:
    with pytest.raises(ValueError, match=r"primary key|subject_id"):
        record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=AuditStream(name=name))  # type: ignore[misc]


@pytest.mark.django_db
def test_an_event_keeps_the_state_given_or_else_the_state_of_its_subject() -> None:
    paper = Paper(id="p", state="open")

    events = record_all(
        [Entry(AuditCode.ROUTED, MARIA, "draft"), Entry(AuditCode.ROUTED, MARIA)], subject=paper
    )

    assert [event.state for event in events] == ["draft", "open"]


@pytest.mark.django_db
def test_actors_keep_their_names() -> None:
    user = get_user_model()(pk=7, username="bob")

    assert Actor.human(user) == Actor(Actor.human(user).kind, "7", "bob")
    assert Actor.agent(Helper()) == Actor(ActorKind.AGENT, "a1", "refund-helper")
    assert str(Actor.human(user)) == "person bob"
    assert str(Actor.system("policy")) == "system policy"


def test_proxies_share_the_label_of_their_record() -> None:
    assert subject_label(AuditStream()) == "audit.auditstream"


def test_no_column_can_slide_into_the_next() -> None:
    now = chain.moment(datetime(2026, 1, 2, tzinfo=UTC))
    honest = chain.message("", "t", "i", 1, "c", "human", "1", "ann", now, "s", "{}")
    shifted = chain.message("", "t", "i", 1, "c", "human", "1\nann", "", now, "s", "{}")

    assert honest.count(b"\n") == 10
    assert shifted.count(b"\n") == 11
