"""Rows of several tables in one statement: what is stored is what the ORM would have stored."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django_fsm import ConcurrentTransition

from approvals.choices import State
from approvals.domain.transitions import POLICY, Moves
from approvals.models import ActionRequest, Notice, Requirement, ShownContent
from audit.events import AuditCode
from audit.lib import db, db_clock
from audit.lib.writes import Insert, Update, write_together
from tests.approvals.make import Cast, make_cast, make_crm
from tests.database import triggers_off

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    return make_cast()


def columns_of(row: Model) -> dict[str, Any]:
    stored = type(row)._base_manager.get(pk=row.pk)
    return {field.attname: getattr(stored, field.attname) for field in row._meta.concrete_fields}


def a_notice(request: ActionRequest, subject: str) -> Notice:
    at = db_clock.now()
    return Notice(
        request=request,
        recipient=request.agent.owner,
        subject=subject,
        created_at=at,
        next_attempt_at=at,
    )


def test_it_is_one_statement_and_new_rows_know_their_keys(cast: Cast) -> None:
    request = make_crm(cast)
    first, second = a_notice(request, "one"), a_notice(request, "two")
    shown = ShownContent(digest="b" * 64, body="shown", created_at=db_clock.now())

    with CaptureQueriesContext(connection) as asked:
        write_together(
            Insert([first, second]),
            Insert([shown]),
            Update(Requirement, {"request": request.pk, "is_open": True}, {"is_open": False}),
        )

    assert len(asked) == (1 if db.is_postgres() else 3)
    assert first.pk < second.pk
    assert [columns_of(one)["subject"] for one in (first, second)] == ["one", "two"]
    assert columns_of(shown)["body"] == "shown"
    assert not request.requirements.filter(is_open=True).exists()


def test_a_row_is_updated_to_what_saving_it_stores(cast: Cast) -> None:
    request = make_crm(cast)
    with triggers_off():
        for name, value in {"session": "other", "amount_minor": None, "risk_tier": 4}.items():
            setattr(request, name, value)
        request.updated_at = db_clock.now()
        with transaction.atomic():
            request.save()
            saved = columns_of(request)
            transaction.set_rollback(True)
        write_together(Update.of(request))

        assert columns_of(request) == saved

        request.session, request.effect = "third", "not written"
        write_together(Update.of(request, "session"))
        assert columns_of(request) == saved | {"session": "third"}


def test_a_key_that_is_taken_is_left_as_it_is_where_that_was_asked_for(cast: Cast) -> None:
    def shown(body: str) -> ShownContent:
        return ShownContent(digest="c" * 64, body=body, created_at=db_clock.now())

    write_together(Insert([shown("first")]))
    write_together(Insert([shown("second")], unless_there=True))
    with pytest.raises(IntegrityError), transaction.atomic():
        write_together(Insert([shown("third")]))

    assert ShownContent.objects.get(pk="c" * 64).body == "first"


def test_a_row_that_is_not_there_is_an_error_unless_it_may_miss(cast: Cast) -> None:
    request = make_crm(cast)
    elsewhere = {"id": request.pk, "state": State.EXECUTED}

    write_together(Update(ActionRequest, elsewhere, {"session": "x"}, may_miss=True))
    with pytest.raises(LookupError, match="ActionRequest"), transaction.atomic():
        write_together(Update(ActionRequest, elsewhere, {"session": "x"}))


def test_nothing_is_no_statement() -> None:
    with CaptureQueriesContext(connection) as asked:
        write_together(Insert([]))

    assert not asked.captured_queries


def test_a_request_that_has_moved_on_since_it_was_read_is_not_written(cast: Cast) -> None:
    """The lock keeps everybody out; who forgot it is told."""
    request = make_crm(cast)
    behind = ActionRequest.objects.get(pk=request.pk)
    moves = Moves(behind, db_clock.now())
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(**{"state": State.WITHDRAWN})

    moves.take(behind.deny, AuditCode.DENIED, POLICY, {"reason": []})
    with pytest.raises(ConcurrentTransition), transaction.atomic():
        moves.write()

    assert ActionRequest.objects.get(pk=request.pk).state == State.WITHDRAWN
