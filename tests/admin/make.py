"""Plain functions for tests of the pages: signed-in browsers and the addresses they open."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from approvals.models import ActionRequest, Agent
from policies.models import User
from tests.approvals.make import DEFAULT_POLICY, make_agent, make_house, make_limit, make_person

_SEAL = re.compile(r'name="seal" value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class House:
    """One person per role, and an agent."""

    olga: User  # owns the agent
    fred: User  # finance, up to 500 EUR
    fay: User  # finance, up to 2,000 EUR
    mona: User  # manager, up to 20,000 EUR
    sam: User  # security
    agent: Agent


def make_people(policy: str = DEFAULT_POLICY) -> House:
    """Everybody the pages need."""
    make_house(policy)
    olga = make_person("olga", "agent owner")
    fred, fay = make_person("fred", "finance"), make_person("fay", "finance")
    mona, sam = make_person("mona", "manager"), make_person("sam", "security")
    make_limit(fred, "500.00")
    make_limit(fay, "2000.00")
    make_limit(mona, "20000.00")
    return House(olga, fred, fay, mona, sam, make_agent(olga))


def browser(user: User, **options: Any) -> Client:
    """A signed-in browser; what goes wrong in a view is a 500, as it would be."""
    client = Client(raise_request_exception=False, **options)
    client.force_login(user)
    return client


def inbox(team: str = "finance") -> str:
    return reverse("admin:inbox", args=[team])


def page(request: ActionRequest, team: str = "finance") -> str:
    return reverse("admin:inbox_request", args=[team, request.pk])


def action_url(request: ActionRequest, name: str, team: str = "finance") -> str:
    return reverse(f"admin:inbox_{name}", args=[team, request.pk])


def seal_of(response: HttpResponse) -> str:
    """The token in the forms of a rendered page."""
    found = _SEAL.search(response.content.decode())
    assert found, "the page offers no decision"
    return found[1]


def look(client: Client, request: ActionRequest, team: str = "finance") -> str:
    """Open the page and return its token."""
    return seal_of(client.get(page(request, team)))


def state_of(request: ActionRequest) -> str:
    return str(ActionRequest.objects.get(pk=request.pk).state)


def text_of(response: HttpResponse) -> str:
    return response.content.decode()
