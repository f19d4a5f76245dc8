"""Canonical bytes (RFC 8785) and digests (SHA-256): what everything later refers to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import rfc8785

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
JsonObject: TypeAlias = Mapping[str, JsonValue]


def canonical(value: JsonValue) -> str:
    """Return the one spelling RFC 8785 gives the value, as text.

    Store this text and never a JSON column: databases re-spell numbers and reorder keys.
    Raises rfc8785.CanonicalizationError for what JSON cannot carry (NaN, huge integers, lone
    surrogates).
    """
    fast = {name: _whole(one) for name, one in value.items()} if type(value) is dict else value
    if _is_plain(fast):
        text = _encode(fast)
        if text.isascii() or _is_encodable(text):
            return text
    return rfc8785.dumps(value).decode("utf-8")


_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
"""The standard library's encoder, many times as fast, writes what is plain as RFC 8785 does."""

_SAFE_INTEGER = 2**53 - 1


def _is_plain(value: Any) -> bool:
    """Whether both encoders give it the same bytes; a property test holds them together.

    Keys are ASCII: RFC 8785 sorts others by their UTF-16 code units, Python by code points. Numbers
    are those that JavaScript and Python spell alike: no exponent, and no ".0".
    """
    kind: Any = type(value)  # exactly: a subclass of a number may spell itself otherwise
    if kind is dict:
        for key, inner in value.items():
            if type(key) is not str or not key.isascii():
                return False
            if type(inner) is not str and not _is_plain(inner):
                return False
        return True
    if kind is list or kind is tuple:
        return all(type(inner) is str or _is_plain(inner) for inner in value)
    if kind is int:
        return abs(value) <= _SAFE_INTEGER
    if kind is float:
        return 0.0001 <= abs(value) < 1e15 and not value.is_integer()
    return kind is bool or value is None or isinstance(value, str)


def _whole(value: JsonValue) -> JsonValue:
    """A whole number as an integer, which JavaScript spells without the ".0" of Python."""
    is_whole = type(value) is float and value.is_integer() and abs(value) <= _SAFE_INTEGER
    return int(value) if is_whole else value  # type: ignore[arg-type]


def _is_encodable(text: str) -> bool:
    """Whether it has no lone surrogates, which the library refuses in words of its own."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def digest(text: str) -> str:
    """SHA-256 of canonical text, in lower-case hex (64 characters)."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def digest_of(value: JsonValue) -> str:
    """SHA-256 of the value's canonical bytes."""
    return digest(canonical(value))
