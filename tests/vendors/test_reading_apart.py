"""What only reads shows a credential of its own, where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from approvals.selectors.connections import connection_in_force
from connectors.base import Action, ConnectorError
from connectors.connections import route_of
from connectors.credentials import credential_for_reading
from connectors.registry import action_type, connector_for
from tests.vendors.catalogue import VENDORS
from tests.vendors.conftest import KEY, Starter, configure
from tests.vendors.double import Vendor

pytestmark = pytest.mark.django_db

HUBSPOT = VENDORS["hubspot"]
OPERATION = next(one for one in HUBSPOT.file.operations if one.type.key == "deal.stage")
ACTION = Action("deal.stage", OPERATION.example or {})
ONLY_READS, WRITES = "reads-0123456789-reads", "writes-0123456789-writes"


@pytest.fixture
def hubspot(vendor_at: Starter, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """An account with two credentials, of which the double takes one at a time."""
    running = vendor_at(HUBSPOT)
    configure(HUBSPOT, running.url, WRITES, settings)
    monkeypatch.setenv("HUBSPOT_TOKEN_READ", ONLY_READS)
    return running.system


def test_reads_and_writes_show_one_each(hubspot: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = connector_for(action_type("deal.stage"))

    monkeypatch.setattr(hubspot, "credential", ONLY_READS)
    assert connector.preview(ACTION).sentence.startswith("Move the deal ")
    with pytest.raises(ConnectorError, match="credential"):
        connector.execute(ACTION, idempotency_key=KEY)
    assert hubspot.applied == []

    monkeypatch.setattr(hubspot, "credential", WRITES)
    with pytest.raises(ConnectorError, match="credential"):
        connector.preview(ACTION)
    connector.execute(ACTION, idempotency_key=KEY)
    assert len(hubspot.applied) == 1


def test_its_page_says_so_and_shows_neither(hubspot: Vendor) -> None:
    view = connection_in_force("hubspot")

    assert view is not None
    assert view.credential == "variable HUBSPOT_TOKEN, another one for reading"
    assert ONLY_READS not in repr(route_of("deal.stage", "hubspot"))


def test_the_twin_lies_beside_the_credential(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CREDENTIALS_DIR = str(tmp_path)
    (tmp_path / "eu.read").write_text(f"{ONLY_READS}\n")
    monkeypatch.setenv("CREDENTIAL_EU_READ", ONLY_READS)

    assert credential_for_reading("environment", "CREDENTIAL_EU") == ONLY_READS
    assert credential_for_reading("file", "eu") == ONLY_READS
    assert credential_for_reading("file", "us") == ""
    assert credential_for_reading("", "") == ""
