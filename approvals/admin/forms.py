"""The forms of the review page. They check shape; what an answer means, the services check."""

from __future__ import annotations

from typing import Any

from django import forms

from approvals.choices import ReasonCode

_LONGEST = 4_000
PASSWORD = "password"  # noqa: S105 - the name of a field
R = ReasonCode

_CHOOSE = ("", "Choose a reason")


def _choices(*codes: ReasonCode) -> list[tuple[str, str]]:
    return [_CHOOSE, *((code.value, str(code.label)) for code in codes)]


def _text(label: str, *, rows: int = 3, hint: str = "", placeholder: str = "") -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows, "placeholder": placeholder})
    return forms.CharField(
        label=label, required=False, max_length=_LONGEST, widget=widget, help_text=hint
    )


class AnswerForm(forms.Form):
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


class SealedForm(AnswerForm):
    """Carries the proof of which page was open: content, person, single use."""

    seal = forms.CharField(max_length=2_000, required=False, widget=forms.HiddenInput)


class ApproveForm(SealedForm):
    reason_code = forms.ChoiceField(
        label="Reason",
        required=False,
        choices=_choices(R.AS_PROPOSED, R.CORRECTED, R.OTHER),
    )
    comment = _text("Comment", rows=2, hint="Kept on record. The agent reads it too.")


class RejectForm(SealedForm):
    reason_code = forms.ChoiceField(
        label="Reason",
        required=False,
        choices=_choices(
            R.WRONG_AMOUNT, R.WRONG_TARGET, R.NOT_JUSTIFIED, R.EVIDENCE_MISSING, R.DUPLICATE,
            R.POLICY, R.SUSPICIOUS, R.OTHER,
        ),
    )  # fmt: skip
    comment = _text("Comment", rows=2, hint="The agent reads reason and comment.")


class AskForm(SealedForm):
    question = _text("What should the agent answer or change?")


class EscalateForm(SealedForm):
    reason = _text("Why should somebody else decide?")


class BreakGlassForm(SealedForm):
    proving_hint = "Asked every time."
    reason = _text(
        "What is the emergency?",
        rows=4,
        hint="At least 40 characters. Everybody named above reads it, and so does the review.",
    )


class StartForm(AnswerForm):
    """Nothing to fill in: the click is the answer."""


class SignOffForm(AnswerForm):
    note = _text("Note", rows=2, hint="What you checked before closing the record.")


class ResolveForm(AnswerForm):
    applied = forms.ChoiceField(
        label="Did it happen?",
        choices=[("", "Choose what you found"), ("yes", "Yes, applied"), ("no", "No, not applied")],
        error_messages={"required": "Say whether it happened."},
    )
    outcome = _text("What really happened, and how do you know?")


class UndoForm(AnswerForm):
    reason = _text("Why should it be undone?", rows=2)
