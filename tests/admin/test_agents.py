"""Agents and keys: kept by who answers for them, secrets shown once, everything on record."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from approvals.models import Agent, AgentKey
from audit.models import AuditEvent
from tests.admin.visit import codes, said, visit
from tests.approvals.make import make_agent, make_house, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _house() -> None:
    make_house()


NEW_AGENT = {
    "name": "mail-bot", "team": "support", "model": "m-1", "action_types": ["email.send"],
    "ceiling": "250.00", "ceiling_currency": "eur",
}  # fmt: skip


def test_an_owner_registers_an_agent_of_their_own_and_of_nobody_else() -> None:
    olga, otto = (make_person(name, "agent owner") for name in ("olga", "otto"))
    add = reverse("admin:approvals_agent_add")

    refused = visit(olga).post(add, NEW_AGENT | {"owner": str(otto.pk)})
    assert refused.status_code == 200
    assert not Agent.objects.exists()

    visit(olga).post(add, NEW_AGENT | {"owner": str(olga.pk)})
    agent = Agent.objects.get()
    assert (agent.owner, agent.ceiling_minor, agent.ceiling_currency) == (olga, 25_000, "EUR")
    assert codes() == ["agent.registered"]


def test_another_owner_s_agent_does_not_exist_for_them() -> None:
    olga, otto = (make_person(name, "agent owner") for name in ("olga", "otto"))
    agent = make_agent(olga)
    page = reverse("admin:approvals_agent_change", args=[agent.pk])
    pause = reverse("admin:approvals_agent_pause", args=[agent.pk])

    assert visit(otto).get(page).status_code == 404
    assert visit(otto).post(pause, {"reason": "spite"}).status_code == 404
    assert visit(make_person("mona", "manager")).get(page).status_code == 200
    assert visit(make_person("max", "manager")).post(pause, {"reason": "x"}).status_code == 403
    assert not Agent.objects.get().is_paused


def test_pausing_needs_a_reason_and_is_on_record() -> None:
    olga = make_person("olga", "agent owner")
    agent = make_agent(olga)
    client = visit(olga)

    client.post(reverse("admin:approvals_agent_pause", args=[agent.pk]), {"reason": ""})
    assert not Agent.objects.get().is_paused
    client.post(reverse("admin:approvals_agent_pause", args=[agent.pk]), {"reason": "odd"})
    assert Agent.objects.get().pause_reason == "odd"
    client.post(reverse("admin:approvals_agent_resume", args=[agent.pk]))
    assert not Agent.objects.get().is_paused
    assert codes() == ["agent.paused", "agent.resumed"]


def test_a_secret_is_shown_once_and_kept_nowhere() -> None:
    olga = make_person("olga", "agent owner")
    agent = make_agent(olga)
    client = visit(olga)

    answer = client.post(
        reverse("admin:approvals_agent_issue_key", args=[agent.pk]), {"days": "30"}
    )
    key = AgentKey.objects.get()
    secret = re.search(r"csk_[0-9a-f]{10}_[\w-]+", said(answer))

    assert secret is not None
    assert AgentKey.hash(secret[0]) == key.secret_sha256
    assert key.expires_at - key.created_at > timedelta(days=29)
    assert "no-store" in answer.headers["Cache-Control"]
    assert secret[0] not in str(dict(client.session)) + str(client.cookies)
    later = client.get(reverse("admin:approvals_agent_change", args=[agent.pk]))
    assert secret[0] not in said(later)
    assert not AuditEvent.objects.filter(data__contains=secret[0][20:]).exists()


def test_a_key_is_revoked_only_on_its_own_agent_s_page() -> None:
    olga = make_person("olga", "agent owner")
    mine, other = make_agent(olga), make_agent(make_person("otto", "agent owner"), "other-bot")
    client = visit(olga)
    client.post(reverse("admin:approvals_agent_issue_key", args=[mine.pk]), {"days": "30"})
    visit(other.owner).post(
        reverse("admin:approvals_agent_issue_key", args=[other.pk]), {"days": "30"}
    )
    revoke = reverse("admin:approvals_agent_revoke_key", args=[mine.pk])

    client.post(revoke, {"key": str(other.keys.get().pk)})
    assert other.keys.get().revoked_at is None

    client.post(revoke, {"key": str(mine.keys.get().pk)})
    assert mine.keys.get().revoked_at is not None
    assert codes()[-1] == "agent.key_revoked"
