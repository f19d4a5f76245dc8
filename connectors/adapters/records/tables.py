"""The records database as it is seen from here, for any engine SQLAlchemy speaks."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, Text

METADATA = MetaData()

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("email", String(254), nullable=False, index=True),
    Column("segment", String(40), nullable=False),
    Column("stage", String(40), nullable=False),
    Column("owner", String(80), nullable=False),
    Column("phone", String(40), nullable=False),
    Column("notes", Text, nullable=False),
    Column("refunds_90d", Integer, nullable=False),
    Column("complaints_90d", Integer, nullable=False),
)

ACCOUNT_TAGS = Table(
    "account_tags",
    METADATA,
    Column("account", ForeignKey(ACCOUNTS.c.id), primary_key=True),
    Column("tag", String(40), primary_key=True),
)

ORDERS = Table(
    "orders",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("account", ForeignKey(ACCOUNTS.c.id), nullable=False),
    Column("item", String(200), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("status", String(40), nullable=False),
    Column("address", String(300), nullable=False),
)

TICKETS = Table(
    "tickets",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("account", ForeignKey(ACCOUNTS.c.id), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("status", String(40), nullable=False),
)

DRAFTS = Table(
    "drafts",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("ticket", ForeignKey(TICKETS.c.id), nullable=False),
    Column("body", Text, nullable=False),
    Column("status", String(40), nullable=False),
)

APPLIED_CHANGES = Table(
    "applied_changes",
    METADATA,
    Column("key", String(200), primary_key=True),
    Column("kind", String(80), nullable=False),
    Column("record", String(80), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("at", String(40), nullable=False),
)
"""One row per idempotency key, written in the transaction of the change it stands for."""
