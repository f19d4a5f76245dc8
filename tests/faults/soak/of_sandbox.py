"""What is proposed to the sandbox's systems, whose effects carry the key of their execution."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from connectors.sandbox.store import Transaction
from tests.faults.soak.actions import Kind, case_of, copied


def _sandbox() -> Iterator[Kind]:
    """Effects there carry the key of their execution, by which they are counted."""

    def none(n: int) -> str:
        return ""

    until = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
    yield Kind(
        "payments",
        "refund.issue",
        lambda n: {
            "charge": f"ch_{n}",
            "amount": f"{n % 9 + 1}.00",
            "currency": "EUR",
            "reason": case_of(n),
        },
        none,
        copied("charge", "ch_1002", "ch_1002", lambda n: f"ch_{n}"),
    )
    yield Kind(
        "payments",
        "vendor.pay",
        lambda n: {
            "vendor": "acct_5001",
            "amount": f"{n % 40 + 1}.00",
            "currency": "EUR",
            "invoice": f"INV-{n}",
            "purchase_order": f"PO-{n}",
        },
        none,
    )
    yield Kind(
        "email",
        "email.send",
        lambda n: {
            "to": f"customer{1002 + n % 30}@mail.example",
            "subject": case_of(n),
            "body": "Dear customer,\nit is on its way.\n",
        },
        none,
    )
    yield Kind(
        "records",
        "crm.update",
        lambda n: {"record": f"acct_{2002 + n % 30}", "fields": {"notes": case_of(n)}},
        none,
    )
    yield Kind(
        "records",
        "crm.tag",
        lambda n: {"record": f"acct_{2002 + n % 30}", "tag": f"case-{n}"},
        none,
    )
    yield Kind(
        "records",
        "order.correct",
        lambda n: {"order": f"ord_{3001 + n % 10}", "fields": {"quantity": n % 900 + 1}},
        none,
    )
    yield Kind(
        "directory",
        "access.grant",
        lambda n: {"user": f"user.{n}", "group": "warehouse-readers", "until": until},
        none,
        copied("user", "mia.keller", "mia.keller", lambda n: f"user.{n}"),
    )
    yield Kind(
        "changes",
        "config.change",
        lambda n: {"service": "checkout", "key": f"soak_{n}", "value": str(n)},
        none,
        _setting,
    )
    yield Kind(
        "logistics",
        "shipment.reroute",
        lambda n: {"shipment": f"shp_{n}", "depot": "HAM-2", "reason": case_of(n)},
        none,
        copied("shipment", "shp_6001", "shp_6001", lambda n: f"shp_{n}"),
    )


def _setting(store: Transaction, n: int) -> None:
    """A service of the changes system takes values only for settings that it has."""
    checkout = store.get("service", "checkout")
    assert checkout is not None
    checkout["config"][f"soak_{n}"] = "0"
    store.put("service", "checkout", checkout)


OF_SANDBOX = tuple(_sandbox())
