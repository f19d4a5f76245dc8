"""What the main paths cost in statements: a budget each, to be lowered and never raised lightly.

Counted with BEGIN and COMMIT. PostgreSQL is asked and told many things at once; SQLite, where a
statement is a function call, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals.domain import dispatch
from approvals.services.decide import approve
from approvals.services.execute import execute
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import Cast, fresh, look_at, make_crm, make_key, refund

PROPOSE = 10 if settings.IS_POSTGRES else 23
"""Over HTTP, whether policy allows it or people decide."""

APPROVE = 11 if settings.IS_POSTGRES else 30
"""Two of them only in a process that has not read the policy in force yet."""

EXECUTE = 25 if settings.IS_POSTGRES else 62
"""With its reading back and sign-off."""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What workers announce is not counted."""
    told: list[UUID] = []
    monkeypatch.setattr(dispatch, "announcement_of", told.append)


def statements(work: Callable[[], object]) -> list[str]:
    """What the work asks the database."""
    with CaptureQueriesContext(connection) as asked:
        work()
    return [query["sql"][:100] for query in asked]


@pytest.mark.parametrize("amount", ["20.00", "900.00"])
def test_a_proposal(cast: Cast, amount: str) -> None:
    client = AgentClient(make_key(cast.agent))
    client.propose(a_proposal(refund("ch_1003", "10.00")))  # whatever is looked up once a process

    answers: list[Any] = []
    asked = statements(
        lambda: answers.append(client.propose(a_proposal(refund("ch_1001", amount))))
    )

    assert answers[0].status_code == 201
    assert len(asked) <= PROPOSE, asked


def test_approving_and_executing(cast: Cast) -> None:
    request = make_crm(cast)
    page = look_at(request, cast.otto)

    approving = statements(lambda: approve(request.pk, decider=cast.otto, reviewed=page))
    executing = statements(lambda: execute(request.pk))

    assert fresh(request).state in ("verified", "audited")
    assert len(approving) <= APPROVE, approving
    assert len(executing) <= EXECUTE, executing
