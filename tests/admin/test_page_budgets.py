"""What a page costs in statements: a budget each, to be lowered and never raised lightly.

Counted on PostgreSQL; SQLite asks no clock and stays below. Each page is opened a second time, as
whatever is kept for some seconds is there for most who open it.
"""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from approvals.models import ActionRequest, Verification
from approvals.services.execute import execute
from tests.admin.make import House, browser, inbox, page
from tests.approvals.make import approve, make_person

INBOX = 12
REVIEW = 26
"""The last of an inbox asks twice what comes next: what is due later, then the first of all."""
RECORD = 16
CARRIED_OUT = 20
"""The record of what was approved, carried out and read back."""

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def statements(client: Client, address: str) -> list[str]:
    """What opening the page asks the database."""
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(address)
    assert answer.status_code == 200
    return [query["sql"][:120] for query in asked]


def test_an_inbox(house: House, request_: ActionRequest) -> None:
    asked = statements(browser(house.fred), inbox())

    assert len(asked) <= INBOX, asked


def test_a_review_page(house: House, request_: ActionRequest) -> None:
    asked = statements(browser(house.fred), page(request_))

    assert len(asked) <= REVIEW, asked


def test_a_record(house: House, request_: ActionRequest) -> None:
    auditor = make_person("ada", "auditor")
    address = reverse("admin:approvals_actionrequest_change", args=[request_.pk])

    asked = statements(browser(auditor), address)

    assert len(asked) <= RECORD, asked


def test_a_record_of_what_was_carried_out(house: House, request_: ActionRequest) -> None:
    approve(request_, house.fred)
    execute(request_.pk)
    auditor = make_person("ada", "auditor")
    address = reverse("admin:approvals_actionrequest_change", args=[request_.pk])

    asked = statements(browser(auditor), address)

    assert Verification.objects.filter(execution__request=request_).exists()
    assert len(asked) <= CARRIED_OUT, asked
