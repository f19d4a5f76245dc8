"""The forms of the review page. They check shape; what an answer means, the services check.

The one for approving with edits is made from the action type's JSON Schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from approvals.choices import REASONS, DecisionVerdict
from approvals.exceptions import FieldProblem
from audit.lib.canonical import JsonObject, JsonValue
from connectors.catalogue import ActionType

_LONGEST = 4_000
PASSWORD = "password"  # noqa: S105 - the name of a field


def reason_field(verdict: DecisionVerdict, label: str = "Reason") -> forms.ChoiceField:
    """The reasons for that verdict, from `approvals.choices.REASONS`."""
    offered = [(code.value, str(code.label)) for code in REASONS[verdict]]
    choices = [("", "Choose a reason"), *offered]
    return forms.ChoiceField(label=label, required=False, choices=choices)


def _text(label: str, *, rows: int = 3, hint: str = "", placeholder: str = "") -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows, "placeholder": placeholder})
    return forms.CharField(
        label=label, required=False, max_length=_LONGEST, widget=widget, help_text=hint
    )


class ActionForm(forms.Form):
    """What every form of the page is. Missing words are the service's to refuse."""

    use_required_attribute = False
    proving_hint = "Then not again for five minutes."
    proof: int | None = None
    """The proof of identity this session holds, for the service."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)

    def said(self) -> dict[str, Any]:
        """The values for the service."""
        unsaid = ("seal", PASSWORD)
        return {name: value for name, value in self.cleaned_data.items() if name not in unsaid}

    def ask_password(self) -> None:
        """One more field: who is at the page proves that it is them."""
        self.fields.setdefault(
            PASSWORD,
            forms.CharField(
                label="Confirm with your password",
                strip=False,
                max_length=128,
                widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
                help_text=self.proving_hint,
                error_messages={
                    "required": "Type your password: this weighs too much for a click."
                },
            ),
        )


class SnapshotForm(ActionForm):
    """Carries the token that says which page was open: content, person, single use."""

    seal = forms.CharField(max_length=8_000, required=False, widget=forms.HiddenInput)


class ApproveForm(SnapshotForm):
    reason_code = reason_field(DecisionVerdict.APPROVE)
    comment = _text("Comment", rows=2, hint="Kept on record. The agent reads it too.")


class RejectForm(SnapshotForm):
    reason_code = reason_field(DecisionVerdict.REJECT)
    comment = _text("Comment", rows=2, hint="The agent reads reason and comment.")


class AskForm(SnapshotForm):
    question = _text("What should the agent answer or change?")


class EscalateForm(SnapshotForm):
    reason = _text("Why should somebody else decide?")


class BreakGlassForm(SnapshotForm):
    proving_hint = "Asked every time."
    reason = _text(
        "What is the emergency?",
        rows=4,
        hint="At least 40 characters. Everybody named above reads it, and so does the review.",
    )


class SupplyForm(SnapshotForm):
    """Evidence from a colleague; what kind is asked for, the policy says."""

    kind = forms.CharField(
        label="What it is",
        max_length=40,
        validators=[
            RegexValidator(
                r"\A[a-z][a-z0-9_]*\Z", "Small letters, digits and _, as in hazard_check."
            )
        ],
        widget=forms.TextInput(attrs={"placeholder": "hazard_check"}),
        error_messages={"required": "Say what kind of evidence it is."},
    )
    title = forms.CharField(
        label="Title",
        max_length=200,
        error_messages={"required": "Give it a title."},
    )
    text = _text("What you found", rows=4, hint="Reviewers and the trail keep your words.")
    uri = forms.CharField(
        label="Address",
        required=False,
        max_length=500,
        validators=[RegexValidator(r"\Ahttps://", "Only https:// addresses, or none.")],
        help_text="Where it can be read. Countersign never fetches it.",
    )


class ReadAgainForm(SnapshotForm):
    """Nothing to fill in."""


class EmptyForm(ActionForm):
    """Nothing to fill in: the click is the answer."""


class SignOffForm(ActionForm):
    note = _text("Note", rows=2, hint="What you checked before closing the record.")


class ResolveForm(ActionForm):
    applied = forms.ChoiceField(
        label="Did it happen?",
        choices=[("", "Choose what you found"), ("yes", "Yes, applied"), ("no", "No, not applied")],
        error_messages={"required": "Say whether it happened."},
    )
    outcome = _text("What really happened, and how do you know?")


class UndoForm(ActionForm):
    reason = _text("Why should it be undone?", rows=2)


class ReassignForm(ActionForm):
    """To whom, and why. Whether that person may decide it, the service asks."""

    to = forms.IntegerField(error_messages={"required": "Choose a colleague."})
    reason = forms.CharField(
        max_length=500, error_messages={"required": "Write why somebody else should do it."}
    )


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

    def __init__(self, *args: Any, kind: ActionType, params: JsonObject, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kind, self._params = kind, params
        properties = kind.schema["properties"]
        assert isinstance(properties, Mapping)  # noqa: S101 - every type's schema is an object's
        for name, schema in properties.items():
            assert isinstance(schema, Mapping)  # noqa: S101 - and each property a schema
            self.fields[_PREFIX + name] = self._field(name, schema)
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
        size = longest if isinstance(longest, int) else _LONGEST_VALUE
        is_long = size > _ONE_LINE or "\n" in str(common["initial"])
        widget = forms.Textarea(attrs={"rows": 6}) if is_long else forms.TextInput()
        # No max_length and no stripping: the schema is what checks the value, as it was typed.
        return forms.CharField(widget=widget, strip=False, max_length=_LONGEST_VALUE, **common)


def _unix(text: str) -> str:
    # Browsers send every line break of a form as CRLF.
    return text.replace("\r\n", "\n").replace("\r", "\n")
