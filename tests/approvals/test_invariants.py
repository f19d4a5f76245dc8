"""What the database refuses whoever asks, with the same words on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django_fsm import TransitionNotAllowed

from approvals.choices import State
from approvals.models import (
    ActionRequest,
    Decision,
    Escalation,
    EvidenceItem,
    Execution,
    Grant,
    PolicyDecision,
    RequestContent,
    ShownContent,
    TargetReading,
    ThreadEntry,
    Verification,
)
from approvals.proposal import SuppliedEvidence
from approvals.services.agent_replies import answer
from approvals.services.execute import execute
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.models import AuditEvent
from audit.services import record
from tests.approvals.make import (
    Cast,
    approve,
    ask,
    fresh,
    make_access,
    make_crm,
    make_older,
    make_request,
)
from tests.approvals.story import DECIDED, ROUTED, assert_story, codes, rows_of, snapshot
from tests.database import as_superuser

TABLE = ActionRequest._meta.db_table


def assert_refused(request: ActionRequest, attempt: Callable[[], object]) -> None:
    before, known = snapshot(request), codes(request)

    with as_superuser(), pytest.raises(DatabaseError), transaction.atomic():
        attempt()  # triggers stop even whom no missing right stops

    assert (snapshot(request), codes(request)) == (before, known)


def sql(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def pk_of(request: ActionRequest) -> object:
    return request.pk.hex if connection.vendor == "sqlite" else request.pk


@pytest.mark.parametrize("state", sorted(set(State.values) - {"pending_approval"}))
def test_no_state_is_written_without_its_event(cast: Cast, state: str) -> None:
    request = make_crm(cast)

    # the one way around the state machine a careless hand would take
    assert_refused(
        request, lambda: ActionRequest.objects.filter(pk=request.pk).update(**{"state": state})
    )


def test_nor_in_bulk_nor_by_sql_nor_by_a_constructor(cast: Cast) -> None:
    request = make_crm(cast)
    copy = fresh(request)
    vars(copy)["state"] = "approved"  # past the protected field

    assert_refused(request, lambda: ActionRequest.objects.bulk_update([copy], ["state"]))
    assert_refused(request, lambda: copy.save_base(raw=True))
    assert_refused(
        request, lambda: sql(f"UPDATE {TABLE} SET state = 'approved' WHERE id = %s", pk_of(request))
    )
    twin = fresh(request)
    vars(twin).update(id=None, pk=None, idempotency_key="twin")
    twin._state.adding = True
    assert_refused(request, lambda: ActionRequest.objects.bulk_create([twin]))
    assert ActionRequest.objects.count() == 1


def test_an_old_event_does_not_vouch_for_an_old_state(cast: Cast) -> None:
    request = make_crm(cast)
    first = AuditEvent.objects.get(subject_id=str(request.pk), seq=1)

    assert_refused(
        request,
        lambda: sql(f"UPDATE {TABLE} SET state = %s WHERE id = %s", first.state, pk_of(request)),
    )


def test_an_event_without_its_state_does_not_let_another_state_in(cast: Cast) -> None:
    request = make_crm(cast)

    def forge() -> None:
        mine = ActionRequest.objects.locked(request.pk)
        record(AuditCode.REMINDED, actor=Actor.system("villain"), subject=mine)
        ActionRequest.objects.filter(pk=mine.pk).update(**{"state": "approved"})

    assert_refused(request, forge)


def test_a_request_is_never_deleted(cast: Cast) -> None:
    request = make_crm(cast)

    assert_refused(request, lambda: sql(f"DELETE FROM {TABLE} WHERE id = %s", pk_of(request)))
    assert_refused(
        request, lambda: ActionRequest.objects.filter(pk=request.pk)._raw_delete("default")
    )


def lived(cast: Cast) -> ActionRequest:
    """A request with a row in every table that must not change."""
    photo = SuppliedEvidence(kind="photo", title="Photo")
    request = make_request(
        cast.agent,
        {"record": "acct_2001", "fields": {"stage": "won"}},
        action_type="crm.update",
        evidence=(photo,),
    )
    ask(request, cast.otto)
    answer(request.pk, agent=cast.agent, body="ord_3001")
    at = db_clock.now()
    Escalation.objects.create(
        request=request, version=1, step="reminder_50", due_at=at, created_at=at
    )
    approve(request, cast.otto)
    execute(request.pk)
    return request


KEPT = (
    RequestContent,
    EvidenceItem,
    TargetReading,
    PolicyDecision,
    ShownContent,
    Decision,
    ThreadEntry,
    Verification,
    Escalation,
    AuditEvent,
)


def test_what_was_written_stays_in_every_table_that_promises_it(cast: Cast) -> None:
    lived(cast)

    for model in KEPT:
        table, key = model._meta.db_table, model._meta.pk.column
        before = rows_of(model)
        assert before, table
        for attempt in (f"UPDATE {table} SET {key} = {key}", f"DELETE FROM {table}"):
            with (
                as_superuser(),
                pytest.raises(DatabaseError, match="append-only"),
                transaction.atomic(),
            ):
                sql(attempt)
        assert rows_of(model) == before


def test_there_is_one_usable_grant(cast: Cast) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    grant = request.grants.get()
    values = {f.attname: getattr(grant, f.attname) for f in Grant._meta.concrete_fields}
    values.pop("id")

    assert_refused(request, lambda: Grant.objects.create(**values))
    assert_refused(
        request,
        lambda: Grant.objects.filter(pk=grant.pk).update(
            consumed_at=db_clock.now(), revoked_at=db_clock.now()
        ),
    )


def test_a_person_decides_once_per_version_whatever_the_service_thinks(cast: Cast) -> None:
    request = make_access(cast)
    decision = approve(request, cast.otto)
    values = {f.attname: getattr(decision, f.attname) for f in Decision._meta.concrete_fields}
    values.pop("id")

    for changes in (
        {"nonce": "another", "verdict": "reject"},
        {"nonce": "another", "group": "security", "decider_id": cast.oona.pk},
        {"person": "somebody else"},  # the same page again
    ):
        assert_refused(request, lambda c=changes: Decision.objects.create(**{**values, **c}))  # type: ignore[misc]


def test_one_execution_per_grant_and_one_key_per_execution(cast: Cast) -> None:
    first, second = make_crm(cast), make_crm(cast, stage="lost")
    approve(first, cast.otto)
    execute(first.pk)
    approve(second, cast.otto)
    done = first.executions.get()

    for grant, key in ((done.grant, "other"), (second.grants.get(), done.provider_key)):
        assert_refused(
            second,
            lambda g=grant, k=key: Execution.objects.create(  # type: ignore[misc]
                request=second, grant=g, state="running", provider_key=k, started_at=db_clock.now()
            ),
        )


def test_money_and_tiers_outside_their_range_are_not_stored(cast: Cast) -> None:
    request = make_crm(cast)
    rows = ActionRequest.objects.filter(pk=request.pk)

    assert_refused(request, lambda: rows.update(amount_minor=-1, currency="EUR"))
    assert_refused(request, lambda: rows.update(amount_minor=1, currency=""))
    assert_refused(request, lambda: rows.update(risk_tier=6))


def test_transitions_outside_the_graph_are_refused_before_the_database_is_asked(
    cast: Cast,
) -> None:
    request = make_crm(cast)

    with pytest.raises(TransitionNotAllowed):
        fresh(request).begin()
    with pytest.raises(AttributeError):
        fresh(request).state = "approved"

    assert_story(request, "pending_approval", ROUTED)


def test_clocks_may_move_without_an_event_because_they_are_no_state(cast: Cast) -> None:
    request = make_crm(cast)

    make_older(request, timedelta(hours=1))
    approve(request, cast.otto)

    assert_story(request, "approved", [*ROUTED, *DECIDED])
