"""Connections for tests: a second payments account, and changes two people agree to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from approvals.models import ActionRequest
from approvals.services.connections import Terms, set_connection
from audit.actors import Actor
from connectors.models import Connection
from connectors.sandbox.server import Sandbox
from policies.models import AuthorityChange
from policies.services.dual_control import agree
from tests.approvals.make import INSTALLER, Cast, approve, make_request, manager_refund

VARIABLE = "CREDENTIAL_PAYMENTS_EU"
SECRET = "sk_test_sandbox"


PAYING = ("vendor.pay", "vendor.reverse")
INVOICE = {
    "vendor": "acct_5001", "amount": "250.00", "currency": "EUR", "invoice": "INV-2040",
    "purchase_order": "PO-7001",
}  # fmt: skip


def at(running: Sandbox) -> dict[str, str]:
    """Where that company's payments are."""
    return {"base_url": running.addresses["payments"]}


def an_approved_refund(cast: Cast) -> ActionRequest:
    """One that a manager approved, and nobody has begun."""
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    return request


def terms(cast: Cast, **changes: Any) -> Terms:
    """A second payments account, called as the environment says."""
    given = Terms(
        name="payments-eu",
        system="payments",
        values={"base_url": "http://127.0.0.1:9"},
        credential_source="environment",
        credential_name=VARIABLE,
        owner=cast.ada.person,
    )
    return replace(given, **changes)


def connect(wanted: Terms) -> Connection:
    """In force at once, as the installation sets it up."""
    made = set_connection(wanted, actor=INSTALLER, reason="set up")
    assert isinstance(made, Connection)
    return made


def agreed(cast: Cast, wanted: Terms) -> Connection:
    """Ada asks and Alan agrees."""
    change = set_connection(wanted, actor=Actor.human(cast.ada), reason="moved")
    assert isinstance(change, AuthorityChange)
    agree(change.pk, actor=Actor.human(cast.alan), reason="seen")
    return Connection.objects.get(name=wanted.name)
