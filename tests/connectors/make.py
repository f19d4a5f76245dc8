"""One example of every action type, and how to break each target behind our back."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from connectors.base import Action, Connector, Receipt
from connectors.registry import action_type, connector_for
from connectors.sandbox.server import Sandbox

Tamper = Callable[[Sandbox, Receipt], None]


@dataclass(frozen=True)
class Example:
    """An action, its target's system, and what else a test of it needs to know."""

    key: str
    params: dict[str, Any]
    tamper: Tamper
    first: Example | None = None  # must have been executed before
    from_first: Callable[[Receipt], dict[str, Any]] = lambda receipt: {}
    undone_by: str = ""

    @property
    def system(self) -> str:
        return action_type(self.key).system

    @property
    def connector(self) -> Connector:
        return connector_for(action_type(self.key))

    def prepared(self) -> Action:
        """The action, after what it builds on has been done."""
        if self.first is None:
            return Action(self.key, self.params)
        earlier = self.first.prepared()
        receipt = self.first.connector.execute(earlier, idempotency_key=f"first-{self.key}")
        return Action(self.key, {**self.params, **self.from_first(receipt)})


def change_object(sandbox: Sandbox, system: str, kind: str, object_id: str, **values: Any) -> None:
    """Change one of the sandbox's objects as if somebody else had."""
    with sandbox.store.transaction(system) as store:
        found = store.get(kind, object_id)
        assert found is not None
        store.put(kind, object_id, {**found, **values})


def change_row(sandbox: Sandbox, sql: str, *values: Any) -> None:
    """Change the records database as if somebody else had."""
    path = sandbox.records_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(sql, values).rowcount == 1


def _object(system: str, kind: str, **values: Any) -> Tamper:
    return lambda sandbox, receipt: change_object(
        sandbox, system, kind, receipt.reference, **values
    )


def _named(system: str, kind: str, object_id: str, **values: Any) -> Tamper:
    return lambda sandbox, receipt: change_object(sandbox, system, kind, object_id, **values)


def _row(sql: str, *values: Any) -> Tamper:
    return lambda sandbox, receipt: change_row(sandbox, sql, *values)


def _mail(sandbox: Sandbox, receipt: Receipt) -> None:
    with sandbox.store.transaction("email") as store:
        (mail,) = store.all("mail")
        store.put("mail", mail["id"], {**mail, "body": "Something else entirely."})


REFUND = Example(
    "refund.issue",
    {"charge": "ch_1001", "amount": "180.00", "currency": "EUR", "reason": "damaged"},
    _object("payments", "refund", amount=90_000),
)
PAYMENT = Example(
    "vendor.pay",
    {
        "vendor": "acct_5001",
        "amount": "1250.00",
        "currency": "EUR",
        "invoice": "INV-2040",
        "purchase_order": "PO-7001",
    },
    _object("payments", "transfer", destination="acct_5002"),
    undone_by="vendor.reverse",
)
BANK_ACCOUNT = Example(
    "vendor.bank_account",
    {"vendor": "acct_5002", "iban": "DE02120300000000202051", "holder": "Papierwerk Kollnau"},
    _named("payments", "account", "acct_5002", external_accounts={"data": []}),
)
REVERSAL = Example(
    "vendor.reverse",
    {"amount": "1250.00", "currency": "EUR"},
    _object("payments", "transfer_reversal", amount=1),
    first=PAYMENT,
    from_first=lambda receipt: {"transfer": receipt.reference},
)
EMAIL = Example(
    "email.send",
    {
        "to": "customer1002@mail.example",
        "subject": "Your lamp, Zoë",
        "body": "Dear Zoë,\n\n.a line with a dot\nwe are sorry.\n",
    },
    _mail,
)
CRM = Example(
    "crm.update",
    {"record": "acct_2001", "fields": {"stage": "won", "notes": "Signed on Friday."}},
    _row("UPDATE accounts SET stage = 'lost' WHERE id = 'acct_2001'"),
    undone_by="crm.update",
)
ORDER = Example(
    "order.correct",
    {"order": "ord_3001", "fields": {"quantity": 7, "address": "Hauptstrasse 1, Łódź"}},
    _row("UPDATE orders SET quantity = 8 WHERE id = 'ord_3001'"),
    undone_by="order.correct",
)
TAG = Example(
    "crm.tag",
    {"record": "acct_2002", "tag": "vip"},
    _row("DELETE FROM account_tags WHERE account = 'acct_2002'"),
    undone_by="crm.untag",
)
UNTAG = Example(
    "crm.untag",
    {"record": "acct_2002", "tag": "vip"},
    _row("INSERT INTO account_tags VALUES ('acct_2002', 'vip')"),
    first=TAG,
    undone_by="crm.tag",
)
DRAFT = Example(
    "draft.reply",
    {"ticket": "tick_4001", "body": "We will send a new lamp."},
    _row("UPDATE drafts SET body = 'No lamp for you.' WHERE status = 'draft'"),
    undone_by="draft.discard",
)
DISCARD = Example(
    "draft.discard",
    {},
    _row("UPDATE drafts SET status = 'draft'"),
    first=DRAFT,
    from_first=lambda receipt: {"draft": receipt.reference},
)
GRANT = Example(
    "access.grant",
    {"user": "mia.keller", "group": "crm-editors", "until": "2026-12-31"},
    _named("directory", "group", "crm-editors", members=[]),
    undone_by="access.revoke",
)
REVOKE = Example(
    "access.revoke",
    {"user": "mia.keller", "group": "crm-editors"},
    _named(
        "directory",
        "group",
        "crm-editors",
        members=[{"value": "mia.keller", "until": "2030-01-01"}],
    ),
    first=GRANT,
    undone_by="access.grant",
)
CONFIG = Example(
    "config.change",
    {"service": "checkout", "key": "max_items", "value": "60"},
    _named("changes", "service", "checkout", config={"max_items": "61"}),
    undone_by="config.change",
)
REROUTE = Example(
    "shipment.reroute",
    {"shipment": "shp_6002", "depot": "CGN-3", "reason": "motorway closed"},
    _named("logistics", "shipment", "shp_6002", depot="BER-1"),
    undone_by="shipment.reroute",
)
REPORT = Example(
    "shipment.report",
    {"shipment": "shp_6003", "status": "delivered", "hours_late": 0, "note": "signed for"},
    _named("logistics", "shipment", "shp_6003", status="cancelled"),
    undone_by="shipment.report",
)
ROBOT = Example(
    "robot.run",
    {"robot": "robot-1", "task": "pick", "zone": "A"},
    _object("logistics", "run", zone="Z"),
)
EXAMPLES = (
    REFUND, PAYMENT, BANK_ACCOUNT, REVERSAL, EMAIL, CRM, ORDER, TAG, UNTAG, DRAFT, DISCARD, GRANT,
    REVOKE, CONFIG, REROUTE, REPORT, ROBOT,
)  # fmt: skip
OVER_HTTP = (
    REFUND, PAYMENT, BANK_ACCOUNT, REVERSAL, GRANT, REVOKE, CONFIG, REROUTE, REPORT, ROBOT,
)  # fmt: skip


def params_of(example: Example, **changes: Any) -> dict[str, Any]:
    return {**example.params, **changes}


def without(example: Example, name: str) -> Example:
    return replace(example, params={k: v for k, v in example.params.items() if k != name})


def plan_fault(sandbox: Sandbox, system: str, **fault: Any) -> None:
    """Plan a fault through the sandbox's own address, as outside scripts do."""
    request = urllib.request.Request(
        f"{sandbox.addresses[system]}/_faults", data=json.dumps(fault).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 201


def effects_of(sandbox: Sandbox, example: Example) -> list[dict[str, Any]]:
    """The effects of this example's kind that really happened, by the sandbox's own book."""
    kinds = {
        "refund.issue": "refund",
        "vendor.pay": "transfer",
        "vendor.reverse": "reversal",
        "vendor.bank_account": "bank_account",
    }
    kind = kinds.get(example.key, example.key)
    with urllib.request.urlopen(
        f"{sandbox.addresses['payments']}/_effects?system={example.system}", timeout=5
    ) as answer:
        return [effect for effect in json.load(answer) if effect["kind"] == kind]
