"""Fifty proposals at once over HTTP with repeated keys: each distinct one is stored once."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from approvals.models import ActionRequest, RequestContent
from audit.reading import one_snapshot
from audit.verify import verify
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import Cast, make_key, refund
from tests.races.make import at_once

KEYS = 10
TIMES = 5


@pytest.mark.django_db(transaction=True)
def test_repeated_keys_make_exactly_the_distinct_requests(cast: Cast) -> None:
    client = AgentClient(make_key(cast.agent))
    bodies = {f"key-{n}": a_proposal(refund(f"ch_{1002 + n}", "20.00")) for n in range(KEYS)}

    answers: list[Any] = at_once(
        *(
            partial(client.propose, body, key=key)
            for _ in range(TIMES)
            for key, body in bodies.items()
        )
    )

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[201] == KEYS, statuses
    assert set(statuses) <= {200, 201, 409}  # replayed, opened, still being worked on
    assert ActionRequest.objects.count() == KEYS
    assert RequestContent.objects.count() == KEYS
    assert set(ActionRequest.objects.values_list("state", flat=True)) == {"approved"}
    ids = {answer.json()["id"] for answer in answers if answer.status_code != 409}
    assert ids == {str(pk) for pk in ActionRequest.objects.values_list("pk", flat=True)}
    with one_snapshot():
        assert verify().problem is None


@pytest.mark.django_db(transaction=True)
def test_one_key_with_two_bodies_at_once_stores_one_and_refuses_the_other(cast: Cast) -> None:
    client = AgentClient(make_key(cast.agent))
    bodies = [a_proposal(refund("ch_1002", amount)) for amount in ("20.00", "30.00")]

    answers: list[Any] = at_once(*(partial(client.propose, body, key="once") for body in bodies))

    assert sorted(answer.status_code for answer in answers) == [201, 422]
    assert ActionRequest.objects.count() == 1
