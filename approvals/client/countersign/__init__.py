"""The client of Countersign. All of it is in `client.py`, which may be copied on its own."""

from .client import (
    Action,
    AsyncCountersign,
    Countersign,
    CountersignError,
    Details,
    Event,
    NeedsAgent,
    NotDone,
    Pending,
    Refused,
    Unavailable,
    Unclear,
    Unsettled,
    Webhook,
    calling,
    idempotency_key,
)

__all__ = [
    "Action",
    "AsyncCountersign",
    "Countersign",
    "CountersignError",
    "Details",
    "Event",
    "NeedsAgent",
    "NotDone",
    "Pending",
    "Refused",
    "Unavailable",
    "Unclear",
    "Unsettled",
    "Webhook",
    "calling",
    "idempotency_key",
]
