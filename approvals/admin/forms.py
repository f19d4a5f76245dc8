"""The forms of the review page. They check shape; what an answer means, the services check."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import RegexValidator

from approvals.choices import REASONS, DecisionVerdict
from approvals.exceptions import FieldProblem

_LONGEST = 4_000
_LONGEST_KEY = 120
_MOST_DIGITS = 6
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
        unsaid = ("seal", "confirmed", "visible_seconds", "evidence_opened", PASSWORD)
        return {name: value for name, value in self.cleaned_data.items() if name not in unsaid}

    def add_problems(self, problems: tuple[FieldProblem, ...]) -> None:
        """Put the service's sentences beside the fields they are about."""
        for problem in problems:
            if problem.field in self.fields:
                self.add_error(problem.field, problem.message)

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


class SecondsField(forms.Field):
    """A whole number the browser counted; anything else is no measurement, and stops nobody."""

    widget = forms.HiddenInput

    def clean(self, value: Any) -> int | None:
        counted = str(value or "")
        is_number = counted.isascii() and counted.isdecimal() and len(counted) <= _MOST_DIGITS
        return int(counted) if is_number else None


class DigestsField(forms.Field):
    """Digests with commas between them; which of them mean anything, the service knows."""

    widget = forms.HiddenInput

    def clean(self, value: Any) -> tuple[str, ...]:
        return tuple(str(value or "").split(","))


class SnapshotForm(ActionForm):
    """Carries the token that says which page was open: content, person, single use.

    Beside it what visible.js noted of how the page was read.
    """

    seal = forms.CharField(max_length=8_000, required=False, widget=forms.HiddenInput)
    visible_seconds = SecondsField(required=False)
    evidence_opened = DigestsField(required=False)


class TickedField(forms.MultipleChoiceField):
    """Keys of what was ticked; which there are, the page says, and what is needed, the service."""

    def valid_value(self, value: str) -> bool:
        return len(value) <= _LONGEST_KEY


class ApproveForm(SnapshotForm):
    confirmed = TickedField(required=False)
    """Shown with the facts themselves, not among the form's own fields."""
    reason_code = reason_field(DecisionVerdict.APPROVE)
    comment = _text("Comment", rows=2, hint="Kept on record. The agent reads it too.")


class RejectForm(SnapshotForm):
    reason_code = reason_field(DecisionVerdict.REJECT)
    comment = _text("Comment", rows=2, hint="The agent reads reason and comment.")


class AskForm(SnapshotForm):
    question = _text("What should the agent answer or change?")


class EscalateForm(SnapshotForm):
    reason = _text("Why should somebody else decide?")


class AbstainForm(SnapshotForm):
    reason = _text("Why do you leave it to others?", rows=2, hint="Colleagues read it.")


class NoteForm(ActionForm):
    text = _text("What should your colleagues know or answer?", hint="The agent never reads it.")


class SuggestRuleForm(ActionForm):
    """Until when and how much together; the rest of the rule is what the case is."""

    until = forms.DateField(
        label="Until", widget=forms.DateInput(attrs={"type": "date"}), required=True
    )
    total = forms.CharField(label="At most", max_length=40, required=False)
    reason = _text("Why would you always say yes?", rows=2, hint="Risk owners read it.")

    def __init__(self, *args: Any, has_amount: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        total = self.fields["total"]
        if has_amount:
            total.label = f"At most, together in 30 days ({settings.BASE_CURRENCY})"
        else:
            total.label = "At most so many times in 30 days"


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


class StopForm(ActionForm):
    reason = _text(
        "Why does it have to stop?", rows=2, hint="Everybody who approved it reads this."
    )


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
