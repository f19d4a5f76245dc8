"""What is proposed to the vendors' doubles: every operation of every file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.sandbox.store import Transaction
from tests.faults.soak.actions import Kind, Prepare, case_of, copied


def _numbered(kind: str, name: str, **changed: Any) -> Prepare:
    """The same of GitHub, whose short numbers occur elsewhere too."""

    def prepare(store: Transaction, n: int) -> None:
        found = store.get(kind, f"acme/shop/{name}")
        assert found is not None
        store.put(kind, f"acme/shop/{n}", {**found, **changed, "number": n})

    return prepare


def _both(*prepares: Prepare) -> Prepare:
    def prepare(store: Transaction, n: int) -> None:
        for one in prepares:
            one(store, n)

    return prepare


def _github() -> Iterator[Kind]:
    here = {"owner": "acme", "repository": "shop"}
    issue = _numbered("issue", "12")
    closed = _numbered("issue", "12", state="closed", state_reason="completed")
    pull = {**here, "into": "main", "method": "squash"}
    run = {**here, "workflow": "deploy.yml", "branch": "main"}
    yield Kind(
        "github",
        "pull_request.merge",
        lambda n: {**pull, "number": str(n)},
        lambda n: f"/pulls/{n}/merge",
        _numbered("pull", "7"),
    )
    yield Kind(
        "github",
        "issue.close",
        lambda n: {**here, "number": str(n), "reason": "completed"},
        lambda n: f"/issues/{n}",
        issue,
    )
    yield Kind(
        "github",
        "issue.reopen",
        lambda n: {**here, "number": str(n)},
        lambda n: f"/issues/{n}",
        closed,
    )
    yield Kind(
        "github",
        "workflow.dispatch",
        lambda n: {**run, "environment": f"soak-{n}"},
        lambda n: f'"soak-{n}"',
        weight=3,
    )


def _hubspot() -> Iterator[Kind]:
    def deal(n: int) -> str:
        return str(8_800_000_000 + n)

    def ticket(n: int) -> str:
        return str(5_500_000_000 + n)

    def closed(store: Transaction, n: int) -> None:
        found = store.get("ticket", ticket(n))
        assert found is not None
        found["properties"]["hs_pipeline_stage"] = "4"
        store.put("ticket", ticket(n), found)

    a_deal = copied("deal", "8812345678", "8812345678", deal)
    a_ticket = copied("ticket", "5512345678", "5512345678", ticket)
    yield Kind(
        "hubspot", "deal.stage", lambda n: {"deal": deal(n), "stage": "closedwon"}, deal, a_deal
    )
    yield Kind(
        "hubspot", "ticket.close", lambda n: {"ticket": ticket(n), "stage": "4"}, ticket, a_ticket
    )
    yield Kind(
        "hubspot",
        "ticket.reopen",
        lambda n: {"ticket": ticket(n), "stage": "1"},
        ticket,
        _both(a_ticket, closed),
    )
    yield Kind(
        "hubspot",
        "note.create",
        lambda n: {"deal": deal(n), "text": case_of(n), "noted_at": "2026-11-22T10:00:00Z"},
        deal,
        a_deal,
        weight=2,
    )


def _jira() -> Iterator[Kind]:
    def issue(n: int) -> str:
        return f"SHOP-{n}"

    one = copied("issue", "SHOP-42", "SHOP-42", issue)
    yield Kind(
        "jira",
        "issue.transition",
        lambda n: {"issue": issue(n), "status": "Done"},
        lambda n: f"{issue(n)}/",
        one,
    )
    yield Kind(
        "jira",
        "issue.assign",
        lambda n: {"issue": issue(n), "person": "5b10ac8d82e05b22cc7d4ef5"},
        issue,
        one,
    )
    yield Kind(
        "jira", "issue.comment", lambda n: {"issue": issue(n), "text": case_of(n)}, case_of, one
    )


def _netsuite() -> Iterator[Kind]:
    def customer(n: int) -> str:
        return str(20_000 + n)

    memo = {"customer": "1107", "item": "233", "amount": "180.00", "currency": "EUR"}
    yield Kind(
        "netsuite", "credit_memo.issue", lambda n: {**memo, "memo": case_of(n)}, case_of, weight=2
    )
    yield Kind(
        "netsuite",
        "customer.hold",
        lambda n: {"customer": customer(n), "hold": "ON"},
        customer,
        copied("customer", "1107", "1107", customer),
    )
    yield Kind(
        "netsuite",
        "vendor_bill.approve",
        lambda n: {"bill": customer(n), "amount": "1250.00", "currency": "EUR"},
        customer,
        copied("vendorBill", "5302", "5302", customer),
    )


def _quickbooks() -> Iterator[Kind]:
    def number(n: int) -> str:
        return str(700_000 + n)

    memo = {"customer": "58", "item": "3", "amount": "180.00", "currency": "USD"}
    yield Kind("quickbooks", "sales_credit.issue", lambda n: {**memo, "memo": case_of(n)}, case_of)
    yield Kind(
        "quickbooks",
        "invoice.void",
        lambda n: {"invoice": number(n), "amount": "362.07", "currency": "USD"},
        number,
        copied("Invoice", "130", "130", number),
    )
    yield Kind(
        "quickbooks",
        "customer.update",
        lambda n: {
            "customer": number(n),
            "field": "PrimaryEmailAddr",
            "value": f"accounts{n}@lampenhaus.example",
        },
        number,
        copied("Customer", "58", "58", number),
    )


def _salesforce() -> Iterator[Kind]:
    def opportunity(n: int) -> str:
        return f"0065g{n:013}"

    def case(n: int) -> str:
        return f"5005g{n:013}"

    of, of_case = "0065g00000K3pQhAAJ", "5005g00000Q7mXyAAJ"
    deal = copied("Opportunity", of, of, opportunity)
    yield Kind(
        "salesforce",
        "opportunity.stage",
        lambda n: {"opportunity": opportunity(n), "stage": "Closed Won"},
        opportunity,
        deal,
    )
    yield Kind(
        "salesforce",
        "case.close",
        lambda n: {"case": case(n), "status": "Closed"},
        case,
        copied("Case", of_case, of_case, case),
    )
    yield Kind(
        "salesforce",
        "case.reopen",
        lambda n: {"case": case(n), "status": "Working"},
        case,
        copied("Case", of_case, of_case, case, Status="Closed", IsClosed=True),
    )
    yield Kind(
        "salesforce",
        "task.create",
        lambda n: {"opportunity": opportunity(n), "subject": case_of(n), "due_on": "2026-12-31"},
        opportunity,
        deal,
    )


def _slack() -> Iterator[Kind]:
    def message(n: int) -> str:
        return f"1795341600.{n:06}"

    def person(n: int) -> str:
        return f"U{n:010}"

    said = copied("message", "1795341600.000100", "1795341600.000100", message)
    channel = {"channel": "C0123456789"}
    yield Kind("slack", "message.post", lambda n: {**channel, "text": case_of(n)}, case_of)
    yield Kind(
        "slack",
        "message.update",
        lambda n: {**channel, "message": message(n), "text": case_of(n)},
        message,
        said,
    )
    yield Kind(
        "slack",
        "channel.invite",
        lambda n: {**channel, "person": person(n)},
        person,
        copied("user", "U0123456789", "U0123456789", person),
    )


def _zendesk() -> Iterator[Kind]:
    def ticket(n: int) -> str:
        return str(800_000 + n)

    one = copied("ticket", "35436", "35436", ticket)
    yield Kind(
        "zendesk",
        "ticket.update",
        lambda n: {"ticket": ticket(n), "field": "priority", "value": "urgent"},
        ticket,
        one,
    )
    yield Kind(
        "zendesk",
        "ticket.solve",
        lambda n: {"ticket": ticket(n), "answer": case_of(n)},
        ticket,
        one,
    )
    yield Kind(
        "zendesk",
        "ticket.tag",
        lambda n: {"ticket": ticket(n), "tag": "vip"},
        ticket,
        one,
        weight=2,
    )
    yield Kind(
        "zendesk",
        "ticket.untag",
        lambda n: {"ticket": ticket(n), "tag": "lamp"},
        ticket,
        one,
        weight=2,
    )
    yield Kind(
        "zendesk",
        "ticket.create",
        lambda n: {"requester": "20978392", "subject": f"Case {n}", "description": case_of(n)},
        case_of,
    )


OF_VENDORS = (
    *_github(),
    *_hubspot(),
    *_jira(),
    *_netsuite(),
    *_quickbooks(),
    *_salesforce(),
    *_slack(),
    *_zendesk(),
)
