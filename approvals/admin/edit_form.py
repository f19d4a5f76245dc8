"""The form for approving with edits, made from the action type's JSON Schema.

Each param is a field with a widget of its own; objects with named fields are those fields, what
says who or what is meant stands apart, and money is typed as its reader spells it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from approvals.admin.forms import PASSWORD, SnapshotForm, reason_field
from approvals.choices import DecisionVerdict
from approvals.exceptions import FieldProblem
from audit.lib.canonical import JsonObject, JsonValue
from audit.lib.money import Money, MoneyError
from connectors.catalogue import ActionType

_PREFIX = "param-"
_ONE_LINE = 400
_LONGEST_VALUE = 100_000


class JsonField(forms.CharField):
    """A value written as JSON: objects and lists, whole."""

    widget = forms.Textarea

    def prepare_value(self, value: object) -> str:
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)

    def clean(self, value: object) -> Any:
        text = super().clean(value)
        if text in self.empty_values:
            return None
        try:
            return json.loads(text)
        except ValueError:
            raise ValidationError('Write it as JSON, such as {"stage": "won"}.') from None


class EditForm(SnapshotForm):
    """One field per param, filled with what is proposed now."""

    def __init__(
        self,
        *args: Any,
        kind: ActionType,
        params: JsonObject,
        instead: JsonObject | None = None,
        **kwargs: Any,
    ) -> None:
        """`instead`: params the form is filled in with in the place of those proposed."""
        super().__init__(*args, **kwargs)
        self._kind, self._params, self._shown = kind, params, {**params, **(instead or {})}
        for path, schema in _leaves(kind.schema):
            self.fields[_PREFIX + ".".join(path)] = self._field(path, schema)
        self.fields["reason_code"] = reason_field(DecisionVerdict.EDIT, "Why you change it")
        self.fields["comment"] = forms.CharField(
            label="Comment",
            required=False,
            max_length=4_000,
            widget=forms.Textarea(attrs={"rows": 2}),
            help_text="The agent reads reason and comment.",
        )

    @property
    def param_fields(self) -> list[forms.BoundField]:
        """What may be set right without saying that somebody or something else is meant."""
        return [field for field in self._params_shown() if not self._is_protected(field.name)]

    @property
    def protected_fields(self) -> list[forms.BoundField]:
        """Who or what is meant: another payee is another action."""
        return [field for field in self._params_shown() if self._is_protected(field.name)]

    @property
    def reason_fields(self) -> list[forms.BoundField]:
        names = ("reason_code", "comment", PASSWORD)
        return [self[name] for name in names if name in self.fields]

    def said(self) -> dict[str, Any]:
        return {
            "params": self._edited(),
            "reason_code": self.cleaned_data["reason_code"],
            "comment": self.cleaned_data["comment"],
        }

    def add_problems(self, problems: tuple[FieldProblem, ...]) -> None:
        """Put the service's sentences beside the fields they are about."""
        for problem in problems:
            path = problem.field.removeprefix("params.").split(".")
            names = (_PREFIX + ".".join(path[:length]) for length in range(len(path), 0, -1))
            name = next((name for name in names if name in self.fields), None)
            self.add_error(name, problem.message)

    def _params_shown(self) -> list[forms.BoundField]:
        return [field for field in self if field.name.startswith(_PREFIX)]

    def _is_protected(self, name: str) -> bool:
        return name.removeprefix(_PREFIX).partition(".")[0] in self._kind.protected

    def _edited(self) -> dict[str, JsonValue]:
        """The params as the form has them; what was left as it was keeps its exact bytes."""
        edited: dict[str, JsonValue] = {}
        for path, schema in _leaves(self._kind.schema):
            value = self._value(path, schema)
            if value in (None, "", False) and not self._stays(path, value):
                continue
            place: Any = edited
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = value
        return edited

    def _value(self, path: tuple[str, ...], schema: JsonObject) -> JsonValue:
        """One field's value as a param; money and dates as params spell them."""
        value = self.cleaned_data[_PREFIX + ".".join(path)]
        before = _at(self._params, path)
        if isinstance(value, date):
            return value.isoformat()
        if not isinstance(value, str):
            return value
        value = _unix(value)
        if isinstance(before, str) and value == _unix(before):
            return before
        return self._as_money(value) if _is_amount(path, schema) else value

    def _as_money(self, typed: str) -> str:
        """ "1.200,50" as "1200.50"; what is no amount stays as typed, for the schema to refuse."""
        currency = self.cleaned_data.get(f"{_PREFIX}currency") or self._params.get("currency", "")
        try:
            return Money.typed(typed, str(currency)).decimal
        except MoneyError:
            return typed

    def _stays(self, path: tuple[str, ...], value: JsonValue) -> bool:
        """Whether an empty value is sent: as it was, or in the place of what must be there."""
        if value is False:
            return _at(self._params, path) is not None
        was_there = _at(self._params, path) is not None
        is_required = len(path) == 1 and path[0] in self._required
        return was_there and (is_required or _at(self._params, path) == value)

    @property
    def _required(self) -> list[str]:
        required = self._kind.schema.get("required", [])
        return [str(name) for name in required] if isinstance(required, list) else []

    def _field(self, path: tuple[str, ...], schema: JsonObject) -> forms.Field:
        label = path[-1].replace("_", " ").capitalize()
        if path[0] in self._kind.protected:
            label += " (protected)"
        common: dict[str, Any] = {
            "label": label,
            "required": False,
            "initial": _at(self._shown, path, ""),
            "help_text": str(schema.get("description", "")),
        }
        choices, longest = schema.get("enum"), schema.get("maxLength")
        if isinstance(choices, list):
            options = [(str(one), str(one)) for one in choices]
            return forms.ChoiceField(choices=[("", "Nothing chosen"), *options], **common)
        if schema.get("type") == "integer":
            return forms.IntegerField(**common)
        if schema.get("type") == "boolean":
            return forms.BooleanField(**common)
        if schema.get("type") in ("object", "array", "number"):
            return JsonField(widget=forms.Textarea(attrs={"rows": 5, "class": "is-code"}), **common)
        if schema.get("format") == "date":
            return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}), **common)
        if _is_amount(path, schema):
            widget = forms.TextInput(attrs={"inputmode": "decimal", "class": "is-money"})
            common["help_text"] = "As you write it: 750, 750.00 or 1.200,50."
            return forms.CharField(widget=widget, max_length=40, **common)
        size = longest if isinstance(longest, int) else _LONGEST_VALUE
        is_long = size > _ONE_LINE or "\n" in str(common["initial"])
        text = forms.Textarea(attrs={"rows": 6}) if is_long else forms.TextInput()
        # No max_length and no stripping: the schema is what checks the value, as it was typed.
        return forms.CharField(widget=text, strip=False, max_length=_LONGEST_VALUE, **common)


def _unix(text: str) -> str:
    # Browsers send every line break of a form as CRLF.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _leaves(schema: JsonObject) -> Iterator[tuple[tuple[str, ...], JsonObject]]:
    """Every param by its path; objects with named fields are those fields."""
    properties = schema["properties"]
    assert isinstance(properties, Mapping)  # noqa: S101 - every type's schema is an object's
    for name, inner in properties.items():
        assert isinstance(inner, Mapping)  # noqa: S101 - and each property a schema
        if isinstance(inner.get("properties"), Mapping) and inner["properties"]:
            for path, leaf in _leaves(inner):
                yield (str(name), *path), leaf
        else:
            yield (str(name),), inner


def _at(params: JsonObject, path: tuple[str, ...], absent: JsonValue = None) -> JsonValue:
    value: JsonValue = params
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return absent
        value = value[name]
    return value


def _is_amount(path: tuple[str, ...], schema: JsonObject) -> bool:
    return path[-1] == "amount" and schema.get("type") == "string"
