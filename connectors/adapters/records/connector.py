"""Record updates with their pre-image, tags and drafts; one change per key, read back after."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, update

from audit.lib.canonical import JsonObject, JsonValue, digest_of
from connectors.adapters.records.actions import changed_fields
from connectors.adapters.records.client import (
    ACCOUNT_TAGS,
    ACCOUNTS,
    DRAFTS,
    ORDERS,
    TICKETS,
    Change,
    RecordsClient,
    find,
    only,
)
from connectors.base import (
    Action,
    ConnectorError,
    DispatchingConnector,
    Preview,
    ReadBack,
    Receipt,
    SystemEvidence,
    cannot_undo,
    compare,
)
from connectors.catalogue import text


class RecordsConnector(DispatchingConnector):
    """A SQL database; a key stays known as long as the database does."""

    system = "records"

    def __init__(self, url: str) -> None:
        client = RecordsClient(url)
        super().__init__(
            {
                "crm.update": _Fields(client, ACCOUNTS, "record"),
                "order.correct": _Fields(client, ORDERS, "order"),
                "crm.tag": _Tagging(client, tagged=True),
                "crm.untag": _Tagging(client, tagged=False),
                "draft.reply": _Drafting(client),
                "draft.discard": _Discarding(client),
            }
        )


class _Operation:
    """What all record changes share: the key's row is the receipt."""

    def __init__(self, client: RecordsClient) -> None:
        self._client = client

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        made = self._client.apply_once(
            key, action.type, lambda connection: self._change(connection, action, key)
        )
        return _receipt(made, key)

    def look_up(self, action: Action, key: str) -> Receipt | None:
        made = self._client.applied(key)
        return _receipt(made, key) if made else None

    def _change(self, connection: Connection, action: Action, key: str) -> Change:
        raise NotImplementedError


class _Fields(_Operation):
    """Sets columns of one row."""

    def __init__(self, client: RecordsClient, table: Table, id_param: str) -> None:
        super().__init__(client)
        self._table = table
        self._id_param = id_param

    def preview(self, action: Action) -> Preview:
        record, wanted = text(action.params, self._id_param), changed_fields(action.params)
        row = self._client.row(self._table, record)
        before = only(row, wanted)
        account = row
        evidence: tuple[SystemEvidence, ...] = ()
        if self._table is not ACCOUNTS:
            evidence = (SystemEvidence("source_record", f"Record {record}", row),)
            account = self._client.row(ACCOUNTS, row["account"])
        return Preview(
            before=before,
            after=dict(wanted),
            target_version=digest_of(before),
            evidence=(*evidence, customer_record(account)),
            facts=customer_facts(account),
            offered=self._offered(account),
        )

    def _offered(self, account: dict[str, Any]) -> JsonObject:
        """What rules may ask about the record beside what is changed; see `ActionType.offers`."""
        if self._table is not ACCOUNTS:
            return {}
        deal = self._client.deal(account["id"])
        owner: JsonObject = {"owner": account["owner"]}
        if deal is None:
            return owner
        return {**owner, "deal_minor": deal["value_minor"], "deal_currency": deal["currency"]}

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        wanted = changed_fields(action.params)
        row = self._client.row(self._table, text(action.params, self._id_param))
        observed = only(row, wanted)
        return ReadBack(observed, compare(wanted, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        earlier = receipt.pre_image
        if not earlier:
            raise cannot_undo("The receipt does not hold the earlier values.")
        record = action.params[self._id_param]
        return Action(action.type, {self._id_param: record, "fields": dict(earlier)})

    def _change(self, connection: Connection, action: Action, key: str) -> Change:
        record, wanted = text(action.params, self._id_param), changed_fields(action.params)
        row = find(connection, self._table, record, lock=True)
        connection.execute(
            update(self._table).where(self._table.c.id == record).values(dict(wanted))
        )
        return Change(record, only(row, wanted), dict(wanted))


class _Tagging(_Operation):
    """Puts a tag on an account or takes it off."""

    def __init__(self, client: RecordsClient, *, tagged: bool) -> None:
        super().__init__(client)
        self._tagged = tagged

    def preview(self, action: Action) -> Preview:
        account = self._client.row(ACCOUNTS, text(action.params, "record"))
        before = {"tagged": self._is_tagged(action)}
        return Preview(
            before=before,
            after={"tagged": self._tagged},
            target_version=digest_of(before),
            evidence=(customer_record(account),),
            facts=customer_facts(account),
        )

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        observed = {"tagged": self._is_tagged(action)}
        return ReadBack(observed, compare({"tagged": self._tagged}, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        if receipt.pre_image.get("tagged") == self._tagged:
            raise cannot_undo("The tag was like this before; there is nothing to undo.")
        return Action("crm.untag" if self._tagged else "crm.tag", dict(action.params))

    def _is_tagged(self, action: Action) -> bool:
        return self._client.exists(ACCOUNT_TAGS, **_tag(action))

    def _change(self, connection: Connection, action: Action, key: str) -> Change:
        record = text(action.params, "record")
        find(connection, ACCOUNTS, record, lock=True)  # taggers of one account queue here
        removed = connection.execute(delete(ACCOUNT_TAGS).filter_by(**_tag(action))).rowcount
        if self._tagged:
            connection.execute(insert(ACCOUNT_TAGS).values(**_tag(action)))
        return Change(record, {"tagged": removed > 0}, {"tagged": self._tagged})


class _Drafting(_Operation):
    """Stores a reply for a person to send."""

    def preview(self, action: Action) -> Preview:
        ticket = self._client.row(TICKETS, text(action.params, "ticket"))
        return Preview(
            before={},
            after={"draft": text(action.params, "body")},
            target_version=digest_of({"ticket": ticket["id"], "status": ticket["status"]}),
            evidence=(SystemEvidence("source_record", f"Ticket {ticket['id']}", ticket),),
        )

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        draft = self._client.row(DRAFTS, receipt.reference)
        observed = only(draft, {"ticket": 0, "body": 0, "status": 0})
        expected = {**action.params, "status": "draft"}
        return ReadBack(observed, compare(expected, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        return Action("draft.discard", {"draft": receipt.reference})

    def _change(self, connection: Connection, action: Action, key: str) -> Change:
        ticket = find(connection, TICKETS, text(action.params, "ticket"))
        draft = f"draft_{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        values = {"ticket": ticket["id"], "body": text(action.params, "body"), "status": "draft"}
        connection.execute(insert(DRAFTS).values(id=draft, **values))
        return Change(draft, {}, values)


class _Discarding(_Operation):
    """Marks a draft as discarded; its text stays for the record."""

    def preview(self, action: Action) -> Preview:
        draft = self._client.row(DRAFTS, text(action.params, "draft"))
        before = only(draft, {"status": 0})
        return Preview(
            before=before,
            after={"status": "discarded"},
            target_version=digest_of(before),
            evidence=(SystemEvidence("source_record", f"Draft {draft['id']}", draft),),
        )

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        observed = self._status(action)
        return ReadBack(observed, compare({"status": "discarded"}, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        raise cannot_undo("A discarded draft is not restored; draft the reply again.")

    def _status(self, action: Action) -> dict[str, Any]:
        return only(self._client.row(DRAFTS, text(action.params, "draft")), {"status": 0})

    def _change(self, connection: Connection, action: Action, key: str) -> Change:
        draft = find(connection, DRAFTS, text(action.params, "draft"), lock=True)
        if draft["status"] != "draft":
            raise ConnectorError(
                f"Draft {draft['id']} is {draft['status']} already.",
                permanent=True,
                code="not_a_draft",
            )
        connection.execute(
            update(DRAFTS).where(DRAFTS.c.id == draft["id"]).values(status="discarded")
        )
        return Change(draft["id"], {"status": draft["status"]}, {"status": "discarded"})


def customer_record(account: Mapping[str, Any]) -> SystemEvidence:
    """The account as evidence."""
    return SystemEvidence("customer_record", f"Account {account['id']}", dict(account))


def customer_facts(account: Mapping[str, Any]) -> Mapping[str, JsonValue]:
    """What policy may know about the account's customer."""
    return {
        "customer.id": account["id"],
        "customer.known": True,
        "customer.segment": account["segment"],
        "customer.refunds_90d": account["refunds_90d"],
        "customer.complaints_90d": account["complaints_90d"],
    }


def _tag(action: Action) -> dict[str, str]:
    return {"account": text(action.params, "record"), "tag": text(action.params, "tag")}


def _receipt(made: Change, key: str) -> Receipt:
    detail: JsonObject = {"record": made.record, "after": made.after, "key": key}
    return Receipt(made.record, f"Changed {made.record}.", detail, made.before)
