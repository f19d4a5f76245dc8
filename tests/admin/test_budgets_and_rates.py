"""Budgets, levels and exchange rates on their pages: typed as written, refused where it must."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from approvals.models import Agent, AgentBudget
from policies.models import ExchangeRate, User
from policies.services.rates import set_rate
from tests.admin.visit import codes, said, visit
from tests.approvals.make import INSTALLER, make_agent, make_house, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _house() -> None:
    make_house()


def page_of(agent: Agent) -> str:
    return reverse("admin:approvals_agent_change", args=[agent.pk])


def set_page(agent: Agent) -> str:
    return reverse("admin:approvals_agent_set_budget", args=[agent.pk])


# --- Budgets


def test_an_owner_sets_a_budget_and_the_page_shows_it() -> None:
    olga = make_person("olga", "agent owner")
    agent = make_agent(olga)

    visit(olga).post(
        set_page(agent),
        {"action_type": "refund.*", "count": "5", "amount": "500.00", "per_target": ""},
    )

    row = AgentBudget.objects.get()
    assert (row.most_count, row.most_minor, row.most_per_target) == (5, 50_000, None)
    assert "500.00 EUR" in said(visit(olga).get(page_of(agent)))
    assert codes() == ["budget.set"]


@pytest.mark.parametrize(
    "typed",
    [
        {"action_type": "*"},
        {"action_type": "*", "amount": "5,00"},
        {"action_type": "*", "count": "-1"},
        {"action_type": "no such ☃", "count": "1"},
        {"count": "1"},
    ],
)
def test_what_is_no_budget_is_said_so(typed: dict[str, str]) -> None:
    olga = make_person("olga", "agent owner")
    agent = make_agent(olga)

    answer = visit(olga).post(set_page(agent), typed, follow=True)

    assert answer.status_code == 200
    assert not AgentBudget.objects.exists()


def test_an_owner_neither_loosens_nor_removes_it_and_an_ops_admin_does() -> None:
    olga, ada = make_person("olga", "agent owner"), make_person("ada", "ops admin")
    agent = make_agent(olga)
    visit(olga).post(set_page(agent), {"action_type": "*", "count": "5"})
    row = AgentBudget.objects.get()
    remove = reverse("admin:approvals_agent_remove_budget", args=[agent.pk])

    refused = visit(olga).post(set_page(agent), {"action_type": "*", "count": "6"}, follow=True)
    visit(olga).post(remove, {"budget": row.pk})

    assert "Only an ops admin loosens a budget." in said(refused)
    assert remove not in said(visit(olga).get(page_of(agent)))
    assert AgentBudget.objects.get().valid
    assert remove in said(visit(ada).get(page_of(agent)))
    visit(ada).post(remove, {"budget": row.pk})
    assert not AgentBudget.objects.get().valid


def test_another_agents_budget_is_not_removed_from_here() -> None:
    olga, ada = make_person("olga", "agent owner"), make_person("ada", "ops admin")
    first, second = make_agent(olga), make_agent(olga, "second-bot")
    visit(olga).post(set_page(first), {"action_type": "*", "count": "5"})

    visit(ada).post(
        reverse("admin:approvals_agent_remove_budget", args=[second.pk]),
        {"budget": AgentBudget.objects.get().pk},
    )

    assert AgentBudget.objects.get().valid


@pytest.mark.parametrize("role", ["manager", "auditor", "agent owner", ""])
def test_nobody_else_sets_one(role: str) -> None:
    villain = make_person("vera", *([role] if role else []))
    User.objects.filter(pk=villain.pk).update(is_superuser=True)
    agent = make_agent(make_person("olga", "agent owner"))

    visit(villain).post(set_page(agent), {"action_type": "*", "count": "0"})

    assert not AgentBudget.objects.exists()


# --- Levels


def test_a_new_agent_of_an_owner_is_on_probation_whatever_the_form_says() -> None:
    olga, ada = make_person("olga", "agent owner"), make_person("ada", "ops admin")
    values = {
        "name": "mail-bot", "owner": olga.pk, "team": "support", "model": "m",
        "action_types": ["email.send"], "ceiling": "", "ceiling_currency": "", "level": "3",
    }  # fmt: skip

    visit(olga).post(reverse("admin:approvals_agent_add"), values)
    agent = Agent.objects.get()
    assert agent.level == 0
    refused = visit(olga).post(page_of(agent), values)
    assert "Only an ops admin raises" in said(refused)
    visit(ada).post(page_of(agent), values | {"level": "2"})

    assert Agent.objects.get().level == 2
    assert "on probation" in said(visit(olga).get(page_of(agent)))


# --- Exchange rates


def rate(**values: str) -> dict[str, str]:
    return {"currency": "usd", "day": "2026-11-20", "rate": "0.9215", **values}


def test_an_ops_admin_adds_a_rate_and_the_list_says_who() -> None:
    ada = make_person("ada", "ops admin")

    visit(ada).post(reverse("admin:policies_exchangerate_add"), rate())

    row = ExchangeRate.objects.get()
    listed = said(visit(ada).get(reverse("admin:policies_exchangerate_changelist")))
    assert (row.currency, row.rate, row.set_by) == ("USD", Decimal("0.9215"), ada)
    assert "0.9215 EUR" in listed
    assert "ada" in listed
    assert codes() == ["rate.set"]


@pytest.mark.parametrize("bad", [{"currency": "EUR"}, {"currency": "XXY"}, {"rate": "-1"}])
def test_what_is_no_rate_comes_back_with_the_reason(bad: dict[str, str]) -> None:
    ada = make_person("ada", "ops admin")

    answer = visit(ada).post(reverse("admin:policies_exchangerate_add"), rate(**bad))

    assert answer.status_code == 200
    assert not ExchangeRate.objects.exists()


@pytest.mark.parametrize("role", ["auditor", "risk owner", "manager"])
def test_a_rate_is_added_by_nobody_else_and_changed_by_nobody(role: str) -> None:
    villain, ada = make_person("vera", role), make_person("ada", "ops admin")
    User.objects.filter(pk=villain.pk).update(is_superuser=True)
    today = timezone.now().date()
    row = set_rate("USD", today - timedelta(days=1), Decimal("0.9"), actor=INSTALLER)
    change = reverse("admin:policies_exchangerate_change", args=[row.pk])

    added = visit(villain).post(reverse("admin:policies_exchangerate_add"), rate())
    changed = visit(ada).post(change, rate(rate="9"))

    assert (added.status_code, changed.status_code) == (403, 403)
    assert ExchangeRate.objects.get().rate == Decimal("0.9")
    assert visit(ada).get(change).status_code == 200
