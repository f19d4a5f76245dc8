"""The building blocks of params schemas (JSON Schema 2020-12).

Every string has a maximum length and every identifier an ASCII pattern. `description` is the
sentence people and agents read when a value is refused, so it says what a good value looks like.
"""

from __future__ import annotations

from collections.abc import Mapping

from audit.canonical import JsonObject


def identifier(pattern: str, description: str, *, longest: int = 80) -> JsonObject:
    """An ASCII id; the pattern is anchored here and never matches before a trailing newline."""
    return {
        "type": "string",
        "pattern": f"^(?:{pattern})$",
        "maxLength": longest,
        "description": description,
    }


def one_line(description: str, *, longest: int, shortest: int = 1) -> JsonObject:
    """Free text without line breaks or control characters."""
    return {
        "type": "string",
        "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]*$",
        "minLength": shortest,
        "maxLength": longest,
        "description": description,
    }


def free_text(description: str, *, longest: int, shortest: int = 1) -> JsonObject:
    """Free text with line breaks and tabs, but no other control character."""
    return {
        "type": "string",
        "pattern": "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$",
        "minLength": shortest,
        "maxLength": longest,
        "description": description,
    }


def choice(description: str, *values: str) -> JsonObject:
    return {"type": "string", "enum": list(values), "description": description}


def whole_number(description: str, *, smallest: int, largest: int) -> JsonObject:
    return {
        "type": "integer",
        "minimum": smallest,
        "maximum": largest,
        "description": description,
    }


def params_object(
    required: Mapping[str, JsonObject], optional: Mapping[str, JsonObject] | None = None
) -> JsonObject:
    """The params of an action type; any other key is refused."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": sorted(required),
        "additionalProperties": False,
    }


AMOUNT: JsonObject = {
    "type": "string",
    "pattern": "^(0|[1-9][0-9]*)(\\.[0-9]+)?$",
    "maxLength": 20,
    "description": 'A decimal string with exactly the currency\'s decimals, such as "180.00".',
}
CURRENCY: JsonObject = {
    "type": "string",
    "pattern": "^[A-Z]{3}$",
    "maxLength": 3,
    "description": 'An ISO 4217 currency code in capitals, such as "EUR".',
}
