"""Canonical bytes (RFC 8785) and digests (SHA-256): what everything later refers to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

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
    return rfc8785.dumps(value).decode("utf-8")


def digest(text: str) -> str:
    """SHA-256 of canonical text, in lower-case hex (64 characters)."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def digest_of(value: JsonValue) -> str:
    """SHA-256 of the value's canonical bytes."""
    return digest(canonical(value))
