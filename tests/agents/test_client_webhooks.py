"""Verifying webhooks, held against the standard's own library."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime

import pytest
from countersign import CountersignError, Webhook
from standardwebhooks.webhooks import Webhook as Standard

pytestmark = pytest.mark.once

OLD, NEW = (f"whsec_{base64.b64encode(letter * 32).decode()}" for letter in (b"a", b"b"))
BODY = json.dumps(
    {"type": "action.done", "timestamp": "2026-03-01T09:30:00Z", "data": {"id": "1"}}
).encode()


def headers(*secrets: str, at: float | None = None, body: bytes = BODY) -> dict[str, str]:
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    signed = [Standard(secret).sign("msg_1", moment, body.decode()) for secret in secrets]
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(moment.timestamp())),
        "Webhook-Signature": " ".join(signed),
    }


def test_what_the_library_signs_is_verified() -> None:
    event = Webhook(NEW).verify(BODY, headers(NEW))

    assert (event.id, event.type, event.action.id) == ("msg_1", "action.done", "1")


@pytest.mark.parametrize("known", [(OLD,), (NEW,), (OLD, NEW)])
def test_while_secrets_change_either_one_is_enough(known: tuple[str, ...]) -> None:
    assert Webhook(*known).verify(BODY, headers(OLD, NEW)).id == "msg_1"


@pytest.mark.parametrize(
    ("known", "sent"),
    [
        (NEW, headers(OLD)),
        (NEW, headers(NEW) | {"Webhook-Id": "msg_2"}),
        (NEW, headers(NEW, body=BODY + b" ")),
        (NEW, headers(NEW, at=time.time() - 301)),
        (NEW, headers(NEW, at=time.time() + 3600)),
        (NEW, headers(NEW) | {"Webhook-Signature": "v1,"}),
        (NEW, headers(NEW) | {"Webhook-Signature": "v1,not base64"}),
        (NEW, headers(NEW) | {"Webhook-Signature": "v2," + headers(NEW)["Webhook-Signature"][3:]}),
        (NEW, headers(NEW) | {"Webhook-Timestamp": "soon"}),
        (NEW, {}),
    ],
)
def test_what_is_forged_changed_or_old_is_refused(known: str, sent: dict[str, str]) -> None:
    with pytest.raises(CountersignError):
        Webhook(known).verify(BODY, sent)
