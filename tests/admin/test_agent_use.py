"""What ops see of an agent: what became of its proposals, its models, its keys, and who may act."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from approvals.models import ActionRequest, Agent, AgentKey
from approvals.selectors import agent_use
from approvals.selectors.agent_use import use_of
from approvals.services import agents, budgets
from approvals.services.budgets import Budget
from approvals.services.execute import execute
from audit.lib import db_clock
from tests.admin.visit import codes, said, visit
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    make_cast,
    make_key,
    make_person,
    make_request,
    refund,
    reject,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def cast(sandbox: object) -> Cast:
    return make_cast()


def an_agents_page(agent: Agent) -> str:
    return reverse("admin:approvals_agent_change", args=[agent.pk])


def used(agent: Agent) -> agent_use.AgentUse:
    return use_of(agent, agent.keys.all(), at=db_clock.now())


def test_what_became_of_its_proposals_is_counted_with_rates(cast: Cast) -> None:
    allowed = make_request(cast.agent, refund("ch_1002", "20.00"))
    execute(allowed.pk)
    for charge, verdict in (("ch_1004", approve), ("ch_1006", reject), ("ch_1008", reject)):
        request = make_request(cast.agent, refund(charge, "300.00"))
        verdict(request, cast.fred)
    make_request(cast.agent, refund("ch_1001", "900.00"))

    week, month = used(cast.agent).windows

    assert (week.days, month.days) == (7, 30)
    assert (week.proposed, week.allowed, week.denied) == (5, 1, 0)
    assert (week.approved, week.rejected, week.rejection_percent) == (1, 2, 67)
    assert (week.done, week.errors, week.error_percent) == (1, 0, 0)
    assert month.proposed == 5


def test_an_agent_that_proposed_nothing_has_no_rates() -> None:
    agent = Agent(pk=0)

    week, _ = use_of(agent, [], at=db_clock.now()).windows

    assert (week.proposed, week.rejection_percent, week.error_percent) == (0, None, None)


def test_more_than_it_reads_is_said_and_not_counted(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_use, "MOST_READ", 2)
    for charge in ("ch_1002", "ch_1004", "ch_1006", "ch_1008"):
        make_request(cast.agent, refund(charge, "300.00"))

    week, _ = used(cast.agent).windows

    assert week.is_partial
    assert week.proposed == 3


def test_it_costs_the_same_however_much_was_proposed(cast: Cast) -> None:
    make_request(cast.agent, refund("ch_1002", "300.00"))
    with CaptureQueriesContext(connection) as few:
        used(cast.agent)
    for charge in ("ch_1004", "ch_1006", "ch_1008"):
        make_request(cast.agent, refund(charge, "300.00"))
    with CaptureQueriesContext(connection) as more:
        used(cast.agent)

    assert len(more) == len(few)


def test_models_in_use_are_named_and_an_undeclared_one_is_flagged(cast: Cast) -> None:
    make_request(cast.agent, refund("ch_1002", "300.00"))
    named = {"id": "m-2", "prompt_version": "7"}
    for charge in ("ch_1004", "ch_1006"):
        make_request(cast.agent, refund(charge, "300.00"), said={"model": named})

    told = used(cast.agent)
    page = said(visit(cast.owner).get(an_agents_page(cast.agent)))

    assert [(m.model, m.prompt_version, m.count) for m in told.models] == [
        ("m-2", "7", 2),
        ("", "", 1),
    ]
    assert [m.is_undeclared for m in told.models] == [False, True]
    assert "undeclared" in page
    assert "m-2" in page


def test_the_page_says_when_it_was_seen_and_which_keys_are_about_to_end(cast: Cast) -> None:
    key = AgentKey.objects.get(secret_sha256=AgentKey.hash(make_key(cast.agent)))
    long = agents.issue_key(cast.agent.pk, actor=INSTALLER, lifetime=timedelta(days=300)).key
    client = visit(cast.owner)

    page = said(client.get(an_agents_page(cast.agent)))
    listed = said(client.get(reverse("admin:approvals_agent_changelist")))

    assert [k.pk for k in used(cast.agent).keys_ending] == [key.pk]
    assert "Keys about to end" in page
    assert "expires soon" in page
    assert long.prefix in page
    assert "never" in listed
    agents.revoke_key(long.pk, actor=INSTALLER)
    assert "the last ends in 0 days" in said(
        client.get(reverse("admin:approvals_agent_changelist"))
    )
    agents.revoke_key(key.pk, actor=INSTALLER)
    assert "none works" in said(client.get(reverse("admin:approvals_agent_changelist")))


def test_a_budget_shows_what_of_it_is_used(cast: Cast) -> None:
    budgets.set_budget(
        cast.agent.pk, action_type="refund.*", budget=Budget(count=5, minor=90_000), actor=INSTALLER
    )
    make_request(cast.agent, refund("ch_1002", "300.00"))

    page = said(visit(cast.owner).get(an_agents_page(cast.agent)))

    assert "1 of 5" in page
    assert "300.00 EUR of 900.00 EUR" in page


def test_one_click_replaces_a_key_whose_successor_is_shown_once(cast: Cast) -> None:
    make_key(cast.agent)
    old = AgentKey.objects.get()
    client = visit(cast.owner)

    answer = client.post(
        reverse("admin:approvals_agent_rotate_key", args=[cast.agent.pk]),
        {"key": str(old.pk), "hours": "24"},
    )

    secret = re.search(r"csk_[0-9a-f]{10}_[\w-]+", said(answer))
    old.refresh_from_db()
    assert secret is not None
    assert AgentKey.objects.get(secret_sha256=AgentKey.hash(secret[0])).works(db_clock.now())
    assert "no-store" in answer.headers["Cache-Control"]
    assert old.prefix in said(answer)
    assert codes() == ["agent.key_issued", "agent.key_replaced"]
    later = said(client.get(an_agents_page(cast.agent)))
    assert secret[0] not in later
    assert "being replaced" in later


@pytest.mark.parametrize("hours", ["-1", "169", "", "x"])
def test_hours_that_cannot_be_replace_nothing(cast: Cast, hours: str) -> None:
    make_key(cast.agent)
    key = AgentKey.objects.get()

    answer = visit(cast.owner).post(
        reverse("admin:approvals_agent_rotate_key", args=[cast.agent.pk]),
        {"key": str(key.pk), "hours": hours},
    )

    assert answer.status_code < 500
    assert AgentKey.objects.count() == 1


def test_who_only_sees_the_agent_replaces_none_of_its_keys(cast: Cast) -> None:
    make_key(cast.agent)
    key = AgentKey.objects.get()
    replace = reverse("admin:approvals_agent_rotate_key", args=[cast.agent.pk])
    asked = {"key": str(key.pk), "hours": "24"}

    assert visit(cast.mona).post(replace, asked).status_code == 403
    assert visit(make_person("olaf", "agent owner")).post(replace, asked).status_code == 404
    assert AgentKey.objects.count() == 1
    assert "Replace" not in said(visit(cast.mona).get(an_agents_page(cast.agent)))


def test_a_key_of_another_agent_is_not_replaced_here(cast: Cast) -> None:
    make_key(cast.agent)
    other = agents.register_agent(
        name="other-bot", owner=cast.owner, team="support", action_types=[], actor=INSTALLER
    )
    theirs = agents.issue_key(other.pk, actor=INSTALLER, lifetime=timedelta(days=9)).key

    visit(cast.owner).post(
        reverse("admin:approvals_agent_rotate_key", args=[cast.agent.pk]),
        {"key": str(theirs.pk), "hours": "24"},
    )

    assert AgentKey.objects.count() == 2
    assert not ActionRequest.objects.exists()
