"""Log lines: JSON, with ids, without payloads and secrets."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import structlog

from config import logs


def _line(message: str, *args: Any, error: Exception | None = None, **extra: Any) -> dict[str, Any]:
    record = logging.LogRecord("room", logging.INFO, __file__, 1, message, args, None)
    if error is not None:
        record.exc_info = (type(error), error, error.__traceback__)
    vars(record).update(extra)
    written: dict[str, Any] = json.loads(logs.formatter().format(record))
    return written


def test_a_line_carries_the_ids_bound_to_it() -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1", action_id="a1"):
        line = _line("claimed")

    assert line["event"] == "claimed"
    assert (line["request_id"], line["action_id"], line["level"]) == ("r1", "a1", "info")


def test_payloads_are_dropped_and_secrets_hidden() -> None:
    line = _line("called", params={"iban": "DE02"}, request=object(), api_key="k", status=200)

    assert "params" not in line
    assert "request" not in line
    assert line["api_key"] == "[redacted]"
    assert line["status"] == 200


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc.def-hidden",
        "postgresql://root:hidden@db/x",
        "the key sk_live_hidden123 was used",
        "csk_AbCd1234_hiddenhiddenhidden",
        "key=csk_AbCd1234_hiddenhidden&x=1",
        "password=hidden",
        "password: hidden",
        'Password="hidden and hidden"',
        "{'password': 'hidden', 'user': 'ada'}",
        '{"passwd":"hidden"}',
        "DB_PASSWORD=hidden",
    ],
)
def test_secrets_inside_text_are_hidden(text: str) -> None:
    assert "hidden" not in _line("said %s", text)["event"]


@pytest.mark.parametrize(
    "text",
    ["the password was changed", "12 wrong passwords", "task_id of risk_tier", "tokens: none left"],
)
def test_ordinary_words_about_secrets_stay(text: str) -> None:
    assert _line("said %s", text)["event"] == f"said {text}"


@pytest.mark.parametrize("unit", ["password=", "csk_", "pass: '", 'token="', "https://a"])
def test_redacting_takes_time_in_proportion_to_the_text(unit: str) -> None:
    hidden = _line("%s", unit * (1_000_000 // len(unit)))

    assert len(hidden["event"]) <= 2_000_000


def test_a_traceback_keeps_its_place_and_loses_the_row_the_database_repeats() -> None:
    try:
        raise ValueError("duplicate key\nDETAIL:  Key (iban)=(DE02) already exists.")
    except ValueError as error:
        line = _line("failed", error=error)

    assert "test_logs.py" in line["exception"]
    assert "DE02" not in line["exception"]
