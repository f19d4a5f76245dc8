"""The form for approving with edits, made from the action type's JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from approvals.admin.forms import PASSWORD, SealedForm
from approvals.choices import ReasonCode
from approvals.exceptions import FieldProblem
from audit.canonical import JsonObject, JsonValue
from connectors.catalogue import ActionType

_PREFIX = "param-"
_ONE_LINE = 400
_LONGEST = 100_000


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


class EditForm(SealedForm):
    """One field per param, filled with what is proposed now."""

    def __init__(self, *args: Any, kind: ActionType, params: JsonObject, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kind, self._params = kind, params
        properties = kind.schema["properties"]
        assert isinstance(properties, Mapping)  # noqa: S101 - every type's schema is an object's
        for name, schema in properties.items():
            assert isinstance(schema, Mapping)  # noqa: S101 - and each property a schema
            self.fields[_PREFIX + name] = self._field(name, schema)
        codes = ReasonCode
        self.fields["reason_code"] = forms.ChoiceField(
            label="Why you change it",
            required=False,
            choices=[
                ("", "Choose a reason"),
                *(
                    (code.value, str(code.label))
                    for code in (codes.CORRECTED, codes.WRONG_AMOUNT, codes.WRONG_TARGET,
                                 codes.POLICY, codes.OTHER)
                ),
            ],
        )  # fmt: skip
        self.fields["comment"] = forms.CharField(
            label="Comment",
            required=False,
            max_length=4_000,
            widget=forms.Textarea(attrs={"rows": 2}),
            help_text="The agent reads reason and comment.",
        )

    @property
    def param_fields(self) -> list[forms.BoundField]:
        return [field for field in self if field.name.startswith(_PREFIX)]

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
            name = _PREFIX + problem.field.removeprefix("params.").split(".")[0]
            self.add_error(name if name in self.fields else None, problem.message)

    def _edited(self) -> dict[str, JsonValue]:
        """The params as the form has them; what was left as it was keeps its exact bytes."""
        edited: dict[str, JsonValue] = {}
        for key in self._kind.schema["properties"]:  # type: ignore[union-attr]
            value = self.cleaned_data[_PREFIX + str(key)]
            before = self._params.get(str(key))
            if isinstance(value, str):
                value = _unix(value)
                if isinstance(before, str) and value == _unix(before):
                    value = before
            if value in (None, "") and str(key) not in self._params:
                continue
            if value in (None, "") and str(key) not in self._required:
                continue
            edited[str(key)] = value
        return edited

    @property
    def _required(self) -> list[str]:
        required = self._kind.schema.get("required", [])
        return [str(name) for name in required] if isinstance(required, list) else []

    def _field(self, name: str, schema: JsonObject) -> forms.Field:
        label = name.replace("_", " ").capitalize()
        if name in self._kind.protected:
            label += " (protected)"
        common: dict[str, Any] = {
            "label": label,
            "required": False,
            "initial": self._params.get(name, ""),
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
        size = longest if isinstance(longest, int) else _LONGEST
        is_long = size > _ONE_LINE or "\n" in str(common["initial"])
        widget = forms.Textarea(attrs={"rows": 6}) if is_long else forms.TextInput()
        # No max_length and no stripping: the schema is what judges the value, as it was typed.
        return forms.CharField(widget=widget, strip=False, max_length=_LONGEST, **common)


def _unix(text: str) -> str:
    # Browsers send every line break of a form as CRLF.
    return text.replace("\r\n", "\n").replace("\r", "\n")
