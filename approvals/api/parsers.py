"""Reading JSON strictly: what is ambiguous, oversized or not text is refused before any work."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any

from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_KEYS = 2000
MAX_INTEGER = 2**53 - 1  # beyond it JSON numbers stop being exact (RFC 8785, section 3.2.2.3)

# A string without an end is a token, too: looking for its end again from each quote within it would
# take minutes. The repeats give nothing back.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]|[:,]', re.DOTALL)


class BodyTooLarge(APIException):
    """The body is over the cap."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The body is larger than {MAX_BYTES} bytes."
    default_code = "body_too_large"


class StrictJSONParser(BaseParser):
    """JSON (RFC 8259) in UTF-8: no duplicate keys, no NaN, no NUL, no lone surrogates."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        charset = (media_type or "").lower().partition("charset=")[2].strip(" \"'")
        if charset not in ("", "utf-8", "utf8"):
            raise ParseError("Bodies are UTF-8; leave the charset out.", code="wrong_charset")
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise BodyTooLarge
        _scan(body)
        try:
            value = json.loads(
                body.decode("utf-8"),
                object_pairs_hook=_unique,
                parse_constant=_no_constant,
                parse_float=_finite,
                parse_int=_exact,
            )
        except UnicodeDecodeError:
            raise ParseError("The body is not valid UTF-8.") from None
        except json.JSONDecodeError as error:
            raise ParseError(
                f"Not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
            ) from None
        _check_text(value)
        return value


def _scan(body: bytes) -> None:
    """Depth and size by one pass over the bytes, before anything recursive sees them."""
    depth = members = 0
    for token in _TOKEN.finditer(body):
        match token.group()[:1]:
            case b"[" | b"{":
                depth += 1
                if depth > MAX_DEPTH:
                    raise ParseError(f"Nested deeper than {MAX_DEPTH} levels.", code="too_deep")
            case b"]" | b"}":
                depth -= 1
            case b":" | b",":
                members += 1
                if members > 2 * MAX_KEYS:
                    raise ParseError("Too many keys or items.", code="too_many_keys")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        before: set[str] = set()
        twice = next(key for key, _ in pairs if key in before or before.add(key))  # type: ignore[func-returns-value]
        raise ParseError(f"The key {json.dumps(twice[:50])} appears twice.", code="duplicate_key")
    return result


def _no_constant(name: str) -> Any:
    raise ParseError(f"{name} is not JSON.", code="malformed_json")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ParseError("A number is too large.", code="number_out_of_range")
    return value


def _exact(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        raise ParseError("A whole number is too large.", code="number_out_of_range")
    return int(text)


def _check_text(value: Any) -> None:
    """No text that one of the databases, or UTF-8, could not keep."""
    if isinstance(value, str):
        if "\x00" in value:
            raise ParseError("Text must not contain NUL.", code="nul_in_text")
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise ParseError("Text must not contain lone surrogates.", code="surrogate_in_text")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)
