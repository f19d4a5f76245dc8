"""Everybody against every address: nothing breaks, and nothing changes that has no door.

The crawl asks the resolver, so a new page is in it the day it is registered. Each address is
opened, and hit with a forged POST, a PUT and a DELETE whose CSRF check passes; every row of every
table is compared. CI sends everybody everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from pytest_django import DjangoDbBlocker

from policies.models import Team, User
from policies.roles import ROLES
from tests.admin.addresses import Address, addresses, forged, queries_for
from tests.admin.world import Tables, World, difference, every_row, running
from tests.trials import trials

pytestmark = pytest.mark.django_db

NOT_COMPARED = frozenset(
    {
        "django_session",  # signing in and out, and the message of a refusal
        "sqlite_sequence",  # SQLite's counter, which a rolled back insert moves
    }
)
ACTORS = (*(role.name for role in ROLES), "superuser", "staff without a role", "no staff", "")
"""The empty name is nobody: an anonymous visitor."""

VISITORS = trials(len(ACTORS), least=3)
"""How many of the actors crawl each address: all of them in CI."""

CONFIGURATION = {
    "policies_user", "policies_user_groups", "policies_historicaluser", "policies_approvallimit",
    "policies_historicalapprovallimit", "policies_policyversion",
    "policies_policyedit", "policies_backtest", "approvals_agent",
    "approvals_historicalagent", "approvals_agentkey", "approvals_signingkey",
    "approvals_workloadidentity", "audit_auditevent", "audit_auditstream",
    "audit_requiredevent",
    "approvals_pause", "approvals_firedtrigger", "policies_absence", "policies_authoritychange",
    "django_admin_log",
    "policies_delegation", "policies_historicaldelegation", "approvals_agentbudget",
    "policies_exchangerate", "policies_team", "policies_historicalteam", "policies_ownership",
    "auth_group", "auth_group_permissions", "connectors_connection",
}  # fmt: skip
"""What the doors of configuration may change: people, limits, agents, rates, and the trail."""

ACTIONS = {
    "ops admin": (
        "admin/policies/user/", "admin/policies/approvallimit/", "admin/policies/policyversion/",
        "admin/approvals/agent/", "admin/approvals/pause/", "admin/policies/absence/",
        "admin/policies/authoritychange/", "admin/policies/delegation/",
        "admin/policies/exchangerate/", "admin/policies/team/", "admin/policies/ownership/",
        "admin/connectors/connection/", "admin/approvals/firedtrigger/",
    ),
    "manager": ("admin/policies/delegation/", "admin/policies/authoritychange/"),
    "operations": ("admin/policies/absence/",),
    "agent owner": ("admin/approvals/agent/",),
    "risk owner": ("admin/policies/policyversion/",),
}  # fmt: skip

CONCLUDING = re.compile(
    r"^admin/approvals/\w+inbox/[^/]+/(start|sign-off|resolve|undo|claim|release|reassign)/$"
)
"""Doors without a seal: a team's member may go through them by POST, so a forgery proves nothing.

That everybody else is refused there is crawled; what a member may do is `test_closing`'s.
"""


@pytest.fixture(scope="module")
def world(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """Built once: every test leaves it as it was."""
    with django_db_blocker.unblock(), running(tmp_path_factory.mktemp("systems")) as built:
        yield built


@pytest.fixture
def _django_db_helper(world: World) -> None:
    """The module's transaction stands in for one per test: `world` outlives those."""


def addresses_for(actor: str, world: World) -> list[Address]:
    """Those this actor crawls: with few trials the actors take turns, and none is left out."""
    turn, count = ACTORS.index(actor), len(ACTORS)
    return [
        address
        for number, address in enumerate(addresses(world))
        if (turn - number * VISITORS) % count < VISITORS
    ]


def test_every_role_of_an_installation_crawls(world: World) -> None:
    made = set(Team.objects.values_list("code", flat=True))

    assert set(Group.objects.values_list("name", flat=True)) - made < set(ACTORS)


def test_every_page_has_rows_to_be_crawled(world: World) -> None:
    empty = {m._meta.label for m in admin.site._registry if not m._default_manager.exists()}

    assert not empty
    assert len(addresses(world)) > 150


@pytest.mark.parametrize("actor", ACTORS)
def test_opening_every_address_breaks_and_changes_nothing(world: World, actor: str) -> None:
    client = sign_in(world, actor)
    before = every_row(without=NOT_COMPARED)

    broken = []
    for address in addresses_for(actor, world):
        if not (address.is_first or address.is_page):
            continue
        for query in ("", *queries_for(address)):
            answer = client.get(f"/{address.path}{query}")
            if answer.status_code >= 500 and address.route != "readyz":  # 503 says: not ready
                broken.append(f"{answer.status_code} GET /{address.path}{query}")

    assert not broken
    assert difference(before, every_row(without=NOT_COMPARED)) == []


@pytest.mark.parametrize("actor", ACTORS)
def test_no_forged_request_changes_what_its_sender_may_not(world: World, actor: str) -> None:
    client = sign_in(world, actor)
    before = every_row(without=NOT_COMPARED)
    cookies = client.cookies.output(header="", sep=";")
    wrong: list[str] = []

    for address in addresses_for(actor, world):
        if CONCLUDING.match(address.path) and actor == address.inbox:
            continue
        for method in ("post", "put", "delete") if address.is_first else ("post",):
            with transaction.atomic():
                answer = (
                    client.post(
                        f"/{address.path}",
                        urlencode(forged(world, address), doseq=True),
                        content_type="application/x-www-form-urlencoded",  # as browsers send it
                    )
                    if method == "post"
                    else getattr(client, method)(f"/{address.path}")
                )
                where = f"{method.upper()} /{address.path}: {answer.status_code}"
                if answer.status_code >= 500 and address.route != "readyz":
                    wrong.append(where)
                if answer.status_code < 400 and "/login/" not in answer.headers.get("Location", ""):
                    after = every_row(without=NOT_COMPARED)
                    changes = difference(before, after)
                    if method == "post" and address.route.startswith(ACTIONS.get(actor, ("-",))):
                        changes = [c for c in changes if c.split()[1][:-1] not in CONFIGURATION]
                        changes += privileges_gained(world, actor, before, after)
                    wrong += [f"{where}: {change}" for change in changes]
                transaction.set_rollback(True)
        client.cookies = SimpleCookie(cookies)  # the rollback undid signing out; so does this

    assert not wrong, "\n".join(wrong)
    assert difference(before, every_row(without=NOT_COMPARED)) == []


ORACLES = (
    "agent__keys__secret_sha256__startswith=a", "keys__secret_sha256__startswith=a",
    "secret_sha256__startswith=a", "password__startswith=p", "user__password__startswith=p",
    "decider__password__regex=.*", "target__regex=(a%2B)%2B%24", "effect__icontains=a",
    "contents__action__contains=ch_", "request__agent__keys__secret_sha256__regex=a",
    "document__contains=a", "person__startswith=m", "id__gt=1", "nothing=1", "e=1&x__y__z=1",
)  # fmt: skip
ODD_QUERIES = ("o=..", "o=-1.2.99", "o=%00", "p=-1", "p=99999", "q=%25_%27%22", "all=")


@pytest.mark.parametrize("actor", ["manager", "auditor"])
def test_query_strings_tell_nobody_what_no_column_shows(world: World, actor: str) -> None:
    client = sign_in(world, actor)

    for number, model in enumerate(admin.site._registry):
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        if client.get(path).status_code != 200:
            continue
        for query in a_share_of(ORACLES, number):
            answer = client.get(f"{path}?{query}")
            assert answer.status_code == 400, f"{path}?{query} was answered"
        for query in a_share_of(ODD_QUERIES, number):
            assert client.get(f"{path}?{query}").status_code < 500, f"{path}?{query} broke"


def a_share_of(queries: tuple[str, ...], turn: int) -> list[str]:
    """All of them in CI; with few trials the lists of rows take turns, and no query is left out."""
    size = trials(len(queries), least=3)
    return [q for n, q in enumerate(queries) if (n - turn * size) % len(queries) < size]


def privileges_gained(world: World, actor: str, before: Tables, after: Tables) -> list[str]:
    """What nobody gets for themselves or their accomplices through a legitimate door."""
    me = world.people[actor].pk
    gained = [
        f"own account or roles changed: {change}"
        for table in ("policies_user", "policies_user_groups", "policies_user_user_permissions")
        for change in difference(own(before, table, me), own(after, table, me))
    ]
    if actor == "agent owner":
        kept = {"": [row for row in before["approvals_agent"] if row[0] != world.agent.pk]}
        still = {"": [row for row in after["approvals_agent"] if row in kept[""]]}
        gained += [f"somebody else's agent: {change}" for change in difference(kept, still)]
    if User.objects.filter(is_superuser=True).exclude(username="root").exists():
        gained.append("somebody became a superuser")
    if User.objects.filter(user_permissions__isnull=False).exists():
        gained.append("somebody has a permission of their own")
    return gained


def own(tables: Tables, table: str, user_id: int) -> Tables:
    """The person's own rows; in the tables between, the account is the second column."""
    column = 0 if table == "policies_user" else 1
    return {table: [row for row in tables[table] if row[column] == user_id]}


def sign_in(world: World, actor: str) -> Client:
    client = Client(raise_request_exception=False)
    if actor:
        client.force_login(world.people[actor])
    return client
