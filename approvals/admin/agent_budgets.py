"""Budgets of an agent, on its page: set by who answers for it, loosened by ops admins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextInputWidget

from approvals.exceptions import ApprovalError, InvalidProposal, NotFound
from approvals.models import Agent, AgentBudget
from approvals.services import budgets
from approvals.services.budgets import Budget
from audit.actors import Actor
from audit.lib.admin import ObjectActionsAdmin
from audit.lib.money import Money, MoneyError
from policies.models import User


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
    used: int
    used_amount: str


def rows_of(agent: Agent) -> list[BudgetRow]:
    """The budgets in force with what 24 hours have used, in the order they were set."""
    return [
        BudgetRow(
            row,
            amount="" if row.most_minor is None else _base(row.most_minor),
            used=used,
            used_amount=_base(used_minor),
        )
        for row, used, used_minor in budgets.spent_of(agent.pk)
    ]


def _base(minor: int) -> str:
    return str(Money(minor, settings.BASE_CURRENCY))


class BudgetsAdmin(ObjectActionsAdmin):
    """The page of an agent, as far as it is about budgets."""

    budget_actions: ClassVar[tuple[tuple[str, type[forms.Form]], ...]] = (
        ("set_budget", BudgetForm),
        ("remove_budget", RemoveBudgetForm),
    )

    def set_budget(self, request: HttpRequest, agent: Agent, form: forms.Form) -> str:
        values = form.cleaned_data
        try:
            row = budgets.set_budget(
                agent.pk,
                action_type=values["action_type"],
                budget=values["budget"],
                actor=_actor(request),
            )
        except InvalidProposal as refusal:
            raise ApprovalError(" ".join(p.message for p in refusal.problems)) from refusal
        return f"The budget for {row.action_type} counts from now on."

    def remove_budget(self, request: HttpRequest, agent: Agent, form: forms.Form) -> str:
        row = agent.budgets.filter(pk=form.cleaned_data["budget"]).first()
        if row is None:
            raise NotFound("This agent has no such budget.")
        budgets.remove_budget(row.pk, actor=_actor(request))
        return f"The budget for {row.action_type} is removed."


def _actor(request: HttpRequest) -> Actor:
    return Actor.human(cast(User, request.user))
