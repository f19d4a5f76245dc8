"""What is SQL's own: what is not listed cannot be named, and equal means equal letter by letter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audit.lib.yaml_source import YamlError
from connectors.adapters.records.tables import parse_tables
from connectors.base import Action, ConnectorError
from connectors.params import validate_params
from connectors.registry import action_type, connector_for
from tests.peers.sql import FOLDER, Database

pytestmark = pytest.mark.django_db

TEXT = (Path(FOLDER) / "erp.yaml").read_text()
UPDATE = "erp_customer.update"
BLOCK = Action(UPDATE, {"record": "K-1001", "fields": {"status": "blocked"}})


@pytest.mark.parametrize(
    "params",
    [
        {"record": "K-1001", "fields": {"company": "Somebody else"}},
        {"record": "K-1001", "fields": {"row_version": 1}},
        {"record": "K-1001", "fields": {"status": "deleted"}},
        {"record": "K-1001", "fields": {"credit_limit": 1_000_001}},
        {"record": "K-1001", "fields": {}},
        {"record": "K-1001' OR ''='", "fields": {"status": "blocked"}},
        {"record": "K-1001", "table": "suppliers", "fields": {"status": "blocked"}},
    ],
)
def test_what_the_file_does_not_list_cannot_be_proposed(
    erp_on_sqlite: Database, params: dict[str, object]
) -> None:
    assert validate_params(action_type(UPDATE), params) != []  # type: ignore[arg-type]


@pytest.mark.parametrize("record", ["k-1001", "K-1001x"])
def test_a_key_is_equal_letter_by_letter(erp_on_mariadb: Database, record: str) -> None:
    """MariaDB takes "k-1001" for "K-1001", and so would change a row nobody approved."""
    naive = f"SELECT count(*) FROM customers WHERE number = '{record}'"
    assert erp_on_mariadb.one(naive) == (1 if record == "k-1001" else 0)
    connector = connector_for(action_type(UPDATE))
    action = Action(UPDATE, {**BLOCK.params, "record": record})

    with pytest.raises(ConnectorError) as unread:
        connector.preview(action)

    assert unread.value.code == "not_found"


def test_keys_of_what_was_done_are_told_apart_by_case(erp_on_mariadb: Database) -> None:
    connector = connector_for(action_type(UPDATE))
    guard = connector.preview(BLOCK).guard
    connector.execute(BLOCK, idempotency_key="a" * 64, guard=guard)

    assert connector.look_up(BLOCK, idempotency_key="a" * 64) is not None
    assert connector.look_up(BLOCK, idempotency_key="A" * 64) is None


@pytest.mark.parametrize("peer", ["erp_on_postgresql", "erp_on_mariadb"])
def test_of_eight_writers_with_keys_of_their_own_one_finds_what_was_approved(
    peer: str, request: pytest.FixtureRequest
) -> None:
    """All hold an approval of the same state: the first changes it, for the others it has moved."""
    database: Database = request.getfixturevalue(peer)
    kind = "erp_supplier.update"
    action = Action(kind, {"record": "L-1", "fields": {"status": "blocked"}})
    connector = connector_for(action_type(kind))
    guard = connector.preview(action).guard

    def write(number: int) -> str:
        try:
            connector.execute(action, idempotency_key=f"{number:064d}", guard=guard)
        except ConnectorError as refused:
            return refused.code
        return "done"

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(write, range(8)))

    assert said.count("done") == 1
    assert set(said) <= {"done", "conflict", "unavailable"}  # a deadlock's victim did nothing
    assert database.one("SELECT count(*) FROM applied_changes") == 1


@pytest.mark.parametrize(
    ("instead_of", "write", "says"),
    [
        ("  customers:\n", '  "customers; drop":\n', "cannot be the name of a table"),
        ("row_version: row_version", 'row_version: "a b"', "cannot be the name of a table"),
        ("verb: update", "verb: updat", "not one of"),
        ("action: erp_customer.update", "action: Update", "is no action type"),
        ("system: erp", "system: crm", "describes the system erp"),
        ("{type: integer, minimum: 0, maximum: 1000000,", "{type: integer,", "minimum"),
    ],
)
def test_a_mistake_in_the_file_is_told(instead_of: str, write: str, says: str) -> None:
    assert instead_of in TEXT

    with pytest.raises(YamlError) as refused:
        parse_tables(TEXT.replace(instead_of, write, 1), "erp")

    assert any(says in str(problem) for problem in refused.value.problems)
