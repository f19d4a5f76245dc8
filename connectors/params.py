"""The params of an action type: what their schemas (JSON Schema 2020-12) are made of, and checking.

Every string has a maximum length and every identifier an ASCII pattern. `description` is the
sentence people and agents read when a value is refused, so it says what a good value looks like.
Every error is told at once, each with its path and its fix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

import jsonschema_rs

from audit.lib.canonical import JsonObject, JsonValue, canonical
from audit.lib.money import MoneyError
from connectors.catalogue import ActionType


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


_MOST_ERRORS = 25


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with the params: where ("params.amount") and what to do about it."""

    path: str
    message: str


def validate_params(action_type: ActionType, params: JsonValue) -> list[FieldError]:
    """Everything wrong with the params, empty when they can be used; at most 25 errors.

    The caller has capped depth and size before (they come from agents). Meaning and money are
    checked as far as the params they depend on have the right shape.
    """
    validator = _validator(canonical(action_type.schema))
    errors: list[FieldError] = []
    wrong: set[str] = set()
    for problem in _worth_telling(validator.iter_errors(params)):
        errors.extend(_explain(problem, action_type.schema))
        if len(errors) >= _MOST_ERRORS:
            return errors[:_MOST_ERRORS]
        wrong.update(_names(problem, params))
    if isinstance(params, Mapping):
        errors.extend(_errors_of_meaning(action_type, params, wrong))
    return errors[:_MOST_ERRORS]


def _worth_telling(
    problems: Iterable[jsonschema_rs.ValidationError],
) -> Iterator[jsonschema_rs.ValidationError]:
    """All of them, but that text of a wrong form is no date, say, either."""
    told: set[tuple[str | int, ...]] = set()
    left: list[jsonschema_rs.ValidationError] = []
    for problem in problems:
        if isinstance(problem.kind, jsonschema_rs.ValidationErrorKind.Format):
            left.append(problem)
            continue
        told.add(tuple(problem.instance_path))
        yield problem
    yield from (problem for problem in left if tuple(problem.instance_path) not in told)


def _names(problem: jsonschema_rs.ValidationError, params: JsonValue) -> set[str]:
    """The params that cannot be relied on because of it; all where it is about them together."""
    kinds = jsonschema_rs.ValidationErrorKind
    if problem.instance_path:
        return {str(problem.instance_path[0])}
    if isinstance(problem.kind, kinds.AdditionalProperties):
        return set(problem.kind.unexpected)
    if isinstance(problem.kind, kinds.Required):
        return {problem.kind.property}
    return set(params) if isinstance(params, Mapping) else set()


def _errors_of_meaning(
    action_type: ActionType, params: JsonObject, wrong: set[str]
) -> list[FieldError]:
    errors: list[FieldError] = []
    with suppress(_WrongParam):
        for name, message in action_type.field_errors(_without(wrong, params)).items():
            errors.append(FieldError(f"params.{name}", message))
            wrong = {*wrong, name}
    with suppress(_WrongParam):
        try:
            action_type.amount(_without(wrong, params))
        except MoneyError as error:
            errors.append(FieldError("params.amount", str(error)))
    return errors


def _without(wrong: set[str], params: JsonObject) -> JsonObject:
    return _Params(params, wrong) if wrong else params


class _WrongParam(Exception):
    """A check needs a param that has an error already: there is nothing more to say about it."""


class _Params(Mapping[str, JsonValue]):
    """Params as checks of meaning may read them: reading one that is wrong or missing raises."""

    def __init__(self, params: JsonObject, wrong: set[str]) -> None:
        self._params, self._wrong = params, wrong

    def __getitem__(self, name: str) -> JsonValue:
        if name in self._wrong:
            raise _WrongParam
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)


@lru_cache(maxsize=256)
def _validator(schema_text: str) -> jsonschema_rs.Draft202012Validator:
    # RegexOptions is the linear-time engine: no pattern can be made to backtrack.
    return jsonschema_rs.Draft202012Validator(
        schema_text,
        retriever=_refuse_to_fetch,
        pattern_options=jsonschema_rs.RegexOptions(),
        validate_formats=True,
    )


def _refuse_to_fetch(uri: str) -> NoReturn:
    # A remote $ref would make this server fetch an address somebody else chose.
    raise ValueError("Schemas do not refer to other documents.")


def _explain(problem: jsonschema_rs.ValidationError, schema: JsonObject) -> list[FieldError]:
    kinds = jsonschema_rs.ValidationErrorKind
    path = ["params", *(str(part) for part in problem.instance_path)]
    kind = problem.kind
    if isinstance(kind, kinds.AdditionalProperties):
        allowed = ", ".join(_properties_at(schema, problem.schema_path))
        return [
            FieldError(".".join([*path, _ascii(name)]), f"Not a known field; known are: {allowed}.")
            for name in kind.unexpected
        ]
    if isinstance(kind, kinds.Required):
        hint = _hint(schema, [*problem.schema_path[:-1], "properties", kind.property])
        return [FieldError(".".join([*path, kind.property]), f"Required. {hint}".strip())]
    hint = _hint(schema, problem.schema_path[:-1])
    return [FieldError(".".join(path), _sentence(kind, hint))]


def _sentence(kind: object, hint: str) -> str:
    kinds = jsonschema_rs.ValidationErrorKind
    match kind:
        case kinds.Type():
            wanted = " or ".join(str(name) for name in kind.types)
            return f"Must be of type {wanted}. {hint}".strip()
        case kinds.Enum():
            return f"Must be one of: {', '.join(str(option) for option in _options(kind))}."
        case kinds.MaxLength():
            return f"Too long: at most {kind.limit} characters. {hint}".strip()
        case kinds.MinLength():
            return f"Too short: at least {kind.limit} character(s). {hint}".strip()
        case kinds.Minimum():
            return f"Must be at least {kind.limit}. {hint}".strip()
        case kinds.Maximum():
            return f"Must be at most {kind.limit}. {hint}".strip()
        case kinds.MinProperties():
            return f"Name at least {kind.limit} field(s). {hint}".strip()
        case kinds.Format():
            return f"There is no such {kind.format}. {hint}".strip()
        case kinds.Pattern():
            return f"Not in the form expected. {hint}".strip()
    return f"Not accepted here. {hint}".strip()


def _options(kind: jsonschema_rs.ValidationErrorKind.Enum) -> Sequence[object]:
    options: object = kind.options
    return options if isinstance(options, list | tuple) else [options]


def _hint(schema: JsonObject, path: Sequence[str | int]) -> str:
    found = _walk(schema, path)
    description = found.get("description", "") if isinstance(found, Mapping) else ""
    return str(description)


def _properties_at(schema: JsonObject, path: Sequence[str | int]) -> list[str]:
    found = _walk(schema, [*path[:-1], "properties"])
    return sorted(found) if isinstance(found, Mapping) else []


def _walk(schema: JsonObject, path: Sequence[str | int]) -> JsonValue:
    found: JsonValue = schema
    for part in path:
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[str(part)]
    return found


def _ascii(name: str) -> str:
    # The key is the agent's: keep the path readable whatever was sent.
    return name.encode("ascii", "backslashreplace").decode("ascii")[:60]
