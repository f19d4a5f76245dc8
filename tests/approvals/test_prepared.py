"""Queries compiled once and rows inserted at once: the ORM says what they must find and store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import Count, Model, Q, QuerySet, Sum
from django.test.utils import CaptureQueriesContext
from uuid6 import uuid7

from approvals.choices import State
from approvals.models import (
    ActionRequest,
    Agent,
    Decision,
    EvidenceItem,
    Grant,
    PolicyDecision,
    RequestContent,
    Requirement,
    ShownContent,
    TargetReading,
    VelocityBucket,
)
from approvals.selectors.requests import contents_of, forget_read, read_at_once
from approvals.services.decide import approve
from audit.lib import db, db_clock
from audit.lib.prepared import Given, Prepared, asked_together
from audit.models import AuditEvent
from policies.models import User
from tests.approvals.make import Cast, look_at, make_agent, make_crm, make_request, refund
from tests.database import triggers_off


def all_columns(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.mark.django_db
def test_it_finds_what_the_queryset_finds_with_what_is_joined(cast: Cast) -> None:
    first, second = make_request(cast.agent), make_request(cast.agent, refund("ch_1001"))
    of_id = Prepared(
        lambda: ActionRequest.objects.select_related("agent__owner").filter(pk=Given("pk"))
    )

    for request in (first, second, first):
        with CaptureQueriesContext(connection) as asked:
            (found,) = of_id.all(pk=request.pk)
            owner = found.agent.owner.username
        assert len(asked) == 1
        assert all_columns(found) == all_columns(ActionRequest.objects.get(pk=request.pk))
        assert owner == cast.agent.owner.username
    assert of_id.first(pk=uuid7()) is None


@pytest.mark.django_db
def test_values_are_adapted_as_fields_adapt_them(cast: Cast) -> None:
    request = make_request(cast.agent)
    asked = Prepared(
        lambda: ActionRequest.objects.filter(
            Q(pk=Given("pk")) | Q(pk=Given("other")),
            state=Given("state"),
            created_at__gte=Given("since"),
            agent=Given("agent"),
        )
    )
    values = {
        "pk": request.pk,
        "other": None,
        "state": State(request.state),
        "since": request.created_at,
        "agent": cast.agent.pk,
    }

    assert asked.all(**values) == [request]
    assert asked.all(**values | {"state": State.EXECUTED}) == []


@pytest.mark.django_db
def test_value_lists_and_sums(cast: Cast) -> None:
    make_request(cast.agent)
    make_request(cast.agent, refund("ch_1001"))

    def sums(since: Any) -> QuerySet[VelocityBucket, Any]:
        return (
            VelocityBucket.objects.order_by("counter_id")
            .values_list("counter_id")
            .annotate(recent=Sum("count", filter=Q(hour__gte=since), default=0))
        )

    since = VelocityBucket.objects.latest("hour").hour
    assert Prepared(lambda: sums(Given("since"))).all(since=since) == list(sums(since))


@pytest.mark.django_db
def test_a_value_that_is_missing_is_an_error(cast: Cast) -> None:
    with pytest.raises(KeyError, match="pk"):
        Prepared(lambda: Agent.objects.filter(pk=Given("pk"))).all(name="x")


@pytest.mark.django_db(transaction=True)
def test_rows_are_locked_in_a_transaction_only(cast: Cast) -> None:
    held = Prepared(lambda: Agent.objects.select_for_update().filter(pk=Given("pk")))

    for _ in range(2):  # asked for the first time, and compiled
        with transaction.atomic():
            assert held.all(pk=cast.agent.pk) == [cast.agent]
        with pytest.raises(transaction.TransactionManagementError):
            held.all(pk=cast.agent.pk)


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_threads_ask_at_the_same_time_each_on_its_own_connection(cast: Cast) -> None:
    agents = [cast.agent, *(make_agent(cast.agent.owner, f"bot-{n}") for n in range(5))]
    named = Prepared(lambda: Agent.objects.select_related("owner").filter(pk=Given("pk")))

    def ask(agent: Agent) -> list[str]:
        try:
            return [found.name for _ in range(30) for found in named.all(pk=agent.pk)]
        finally:
            connection.close()

    with ThreadPoolExecutor(len(agents)) as threads:
        answers = list(threads.map(ask, agents))

    assert answers == [[agent.name] * 30 for agent in agents]


@pytest.mark.django_db
def test_managers_see_their_own_requests_rows_after_everything_was_read_at_once(
    cast: Cast,
) -> None:
    request, other = make_request(cast.agent), make_request(cast.agent, refund("ch_1001"))
    own = [row.pk for row in request.contents.all()]

    read_at_once(request)

    with CaptureQueriesContext(connection) as asked:
        assert [row.pk for row in contents_of(request)] == own
    assert not asked.captured_queries
    for relation in ("contents", "evidence", "requirements", "policy_decisions", "readings"):
        found = list(getattr(request, relation).filter(version=1))
        assert found == list(getattr(request, relation).all()), relation
        assert all(row.request_id == request.pk for row in found), relation
    assert other.contents.count() == 1
    forget_read(request)
    with CaptureQueriesContext(connection) as asked:
        contents_of(request)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "build",
    [
        lambda: Agent.objects.prefetch_related("requests"),
        lambda: Agent.objects.values("pk"),
        lambda: Agent.objects.values_list("pk", flat=True),
    ],
)
@pytest.mark.django_db
def test_what_is_no_single_statement_of_rows_is_refused(build: Any) -> None:
    with pytest.raises(ValueError, match="models or value lists"):
        Prepared(build).all()


@pytest.mark.django_db
def test_inserted_rows_are_those_bulk_create_stores(cast: Cast) -> None:
    request = make_crm(cast)
    approve(request.pk, decider=cast.otto, reviewed=look_at(request, cast.otto))
    kinds: list[type[Model]] = [
        *(RequestContent, TargetReading, EvidenceItem, PolicyDecision, Requirement, Decision),
        *(Grant, AuditEvent, ActionRequest.history.model),
    ]

    for kind in kinds:
        model: Any = kind
        with transaction.atomic():
            rows = list(model.objects.order_by("pk"))
            assert rows or model is EvidenceItem, model
            stored = [all_columns(row) for row in rows]
            again = [model(**columns | {model._meta.pk.attname: None}) for columns in stored]
            with triggers_off():
                model.objects.all()._raw_delete(connection.alias)
            db.insert(again)
            found = [all_columns(row) for row in model.objects.order_by("pk")]
            transaction.set_rollback(True)
        key = model._meta.pk.attname
        assert [one.pk for one in again] == [one[key] for one in found]
        assert all(not one._state.adding for one in again)
        assert [one | {key: 0} for one in found] == [one | {key: 0} for one in stored]


@pytest.mark.django_db
def test_no_rows_are_no_statement() -> None:
    with CaptureQueriesContext(connection) as asked:
        assert db.insert(list[User]()) == []
    assert not asked.captured_queries


@pytest.mark.django_db
def test_a_key_that_is_given_is_stored() -> None:
    db.insert_one(ShownContent(digest="a" * 64, body="shown", created_at=db_clock.now()))

    assert ShownContent.objects.get().pk == "a" * 64


def every_kind_of_query() -> list[Prepared[Any]]:
    return [
        Prepared(lambda: RequestContent.objects.filter(request=Given("request"))),
        Prepared(lambda: PolicyDecision.objects.filter(request=Given("request"))),
        Prepared(
            lambda: (
                ActionRequest.objects.select_related("agent__owner")
                .filter(pk=Given("request"))
                .annotate(seen=Count("contents"))
            )
        ),
        Prepared(lambda: Decision.objects.filter(request=Given("request")).order_by("-id")),
        Prepared(
            lambda: (
                PolicyDecision.objects.filter(request=Given("request"))
                .values_list("created_at", "decide_within", "evidence_required", "request")
                .annotate(tiers=Sum("tier"))
            )
        ),
    ]


@pytest.mark.django_db
def test_what_is_asked_together_is_what_each_finds_alone(cast: Cast) -> None:
    request = make_crm(cast)
    queries = every_kind_of_query()
    alone = [query.all(request=request.pk) for query in queries]

    with CaptureQueriesContext(connection) as asked:  # noqa: SIM117 - two different things
        with asked_together(*(query.asking(request=request.pk) for query in queries)) as at:
            together = [query.all(request=request.pk) for query in queries]

    assert len(asked) == 1 or not db.is_postgres()
    assert abs(at - db_clock.now()) < timedelta(seconds=10)
    assert at.utcoffset() == timedelta(0)
    for mine, theirs in zip(together, alone, strict=True):
        columns = [all_columns(row) if isinstance(row, Model) else row for row in mine]
        expected = [all_columns(row) if isinstance(row, Model) else row for row in theirs]
        assert columns == expected
    assert together[2][0].agent.owner == cast.agent.owner
    assert together[2][0].seen == 1


@pytest.mark.django_db
def test_only_the_block_answers_from_what_was_asked_and_only_those_values(cast: Cast) -> None:
    request, other = make_request(cast.agent), make_request(cast.agent, refund("ch_1001"))
    found = Prepared(lambda: ActionRequest.objects.filter(pk=Given("pk")))

    with asked_together(found.asking(pk=request.pk)):
        with CaptureQueriesContext(connection) as asked:
            assert found.all(pk=request.pk) == [request]
            assert found.first(pk=request.pk) is not found.first(pk=request.pk)
        assert not asked.captured_queries
        with CaptureQueriesContext(connection) as asked:
            assert found.all(pk=other.pk) == [other]
        assert len(asked) == 1
    with CaptureQueriesContext(connection) as asked:
        assert found.all(pk=request.pk) == [request]
    assert len(asked) == 1


@pytest.mark.django_db(transaction=True)
def test_rows_asked_for_together_are_locked_too_and_in_a_transaction_only(cast: Cast) -> None:
    held = Prepared(lambda: Agent.objects.filter(pk=Given("pk")), shares=True).asking(
        pk=cast.agent.pk
    )

    with transaction.atomic(), asked_together(held):
        assert held.all() == [cast.agent]
        if db.is_postgres():
            with ThreadPoolExecutor(1) as elsewhere, pytest.raises(OperationalError):
                elsewhere.submit(_change_without_waiting, cast.agent.pk).result()
    with pytest.raises(transaction.TransactionManagementError), asked_together(held):
        pass


def _change_without_waiting(pk: int) -> None:
    try:
        with transaction.atomic():
            Agent.objects.select_for_update(nowait=True).get(pk=pk)
    finally:
        connection.close()
