"""An agent's budgets on its page: what is typed, and what is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextInputWidget

from approvals.models import Agent, AgentBudget
from approvals.services.budgets import Budget
from audit.money import Money, MoneyError


class BudgetForm(forms.Form):
    """The most an agent may propose of a kind in 24 hours; what is left empty is not limited."""

    action_type = forms.CharField(max_length=60, widget=UnfoldAdminTextInputWidget)
    count = forms.IntegerField(required=False, min_value=0)
    amount = forms.CharField(required=False, max_length=30)
    per_target = forms.IntegerField(required=False, min_value=0)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        amount = cleaned.get("amount", "").strip()
        minor = None
        if amount:
            try:
                minor = Money.parse(amount, settings.BASE_CURRENCY).minor
            except MoneyError as error:
                raise ValidationError({"amount": str(error)}) from error
        cleaned["budget"] = Budget(
            count=cleaned.get("count"), minor=minor, per_target=cleaned.get("per_target")
        )
        return cleaned


class RemoveBudgetForm(forms.Form):
    """Which budget of this agent goes."""

    budget = forms.IntegerField(min_value=1)


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One budget in force, as the page shows it."""

    budget: AgentBudget
    amount: str


def rows_of(agent: Agent) -> list[BudgetRow]:
    """The budgets in force, in the order they were set."""
    return [
        BudgetRow(
            row,
            "" if row.most_minor is None else str(Money(row.most_minor, settings.BASE_CURRENCY)),
        )
        for row in agent.budgets.filter(valid=True)
    ]
