"""The records adapter on a database with real concurrent writers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from pytest_django.fixtures import Settings

from connectors.base import Action, ConnectorError
from connectors.registry import action_type, connector_for
from connectors.sandbox.records import create_records_database, records_effects

pytestmark = pytest.mark.postgres


@pytest.fixture
def records_url(settings: Settings) -> Iterator[str]:
    """A records database of its own next to the tests' database."""
    server = settings.DATABASES["default"]
    credentials = f"{server['USER']}:{server['PASSWORD']}" if server["USER"] else ""
    address = f"{credentials}@{server['HOST'] or '127.0.0.1'}:{server['PORT'] or 5432}"
    name = f"connectors_records_{uuid4().hex[:12]}"
    with psycopg.connect(f"postgresql://{address}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            url = f"postgresql://{address}/{name}"
            create_records_database(url)
            settings.CONNECTORS = {"records": {"url": url}}
            settings.CONNECTOR_TIMEOUT = timedelta(seconds=8)
            yield url
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            admin.execute(drop)


def stage(value: str) -> Action:
    return Action("crm.update", {"record": "acct_2001", "fields": {"stage": value}})


def test_eight_writers_with_one_key_have_one_effect(records_url: str) -> None:
    connector = connector_for(action_type("crm.update"))

    with ThreadPoolExecutor(8) as pool:
        receipts = list(
            pool.map(lambda _: connector.execute(stage("won"), idempotency_key="k"), range(8))
        )

    assert all(receipt == receipts[0] for receipt in receipts)
    assert len(records_effects(records_url)) == 1


def test_each_pre_image_is_what_the_writer_before_left(records_url: str) -> None:
    connector = connector_for(action_type("crm.update"))
    stages = ["lead", "qualified", "proposal", "negotiation", "won", "lost"]
    first = connector.preview(stage("won")).before["stage"]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: connector.execute(stage(name), idempotency_key=name), stages))

    changes = [effect["detail"] for effect in records_effects(records_url)]
    left = [change["after"]["stage"] for change in changes]
    found = [change["before"]["stage"] for change in changes]
    last = connector.preview(stage("won")).before["stage"]
    assert sorted([*found, last]) == sorted([first, *left])


@pytest.mark.django_db  # failed calls are counted
def test_a_locked_record_is_given_up_in_time_and_nothing_changed(
    records_url: str, settings: Settings
) -> None:
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=2)
    connector = connector_for(action_type("crm.update"))

    with psycopg.connect(records_url) as holder:
        holder.execute("SELECT 1 FROM accounts WHERE id = 'acct_2001' FOR UPDATE")
        started = time.monotonic()
        with pytest.raises(ConnectorError) as refusal:
            connector.execute(stage("won"), idempotency_key="k")

    assert time.monotonic() - started < 2.5
    assert not refusal.value.permanent
    assert records_effects(records_url) == []
