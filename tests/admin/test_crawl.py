"""Everybody against every address: nothing breaks, and nothing changes that has no door.

The crawl asks the resolver, so a new page is in it the day it is registered. Each address is
opened, and hit with a forged POST, a PUT and a DELETE whose CSRF check passes; every row of every
table is compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Model, TextField
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern
from pytest_django import DjangoDbBlocker

from policies.models import User
from policies.roles import ROLES
from tests.admin.world import Tables, World, difference, every_row, running

pytestmark = pytest.mark.django_db

NOT_COMPARED = frozenset(
    {
        "django_session",  # signing in and out, and the message of a refusal
        "sqlite_sequence",  # SQLite's counter, which a rolled back insert moves
    }
)
ACTORS = (*(role.name for role in ROLES), "superuser", "staff without a role", "no staff", "")
"""The empty name is nobody: an anonymous visitor."""

CONFIGURATION = {
    "policies_user", "policies_user_groups", "policies_historicaluser", "policies_approvallimit",
    "policies_historicalapprovallimit", "policies_policyversion", "approvals_agent",
    "approvals_historicalagent", "approvals_agentkey", "audit_auditevent", "audit_auditstream",
    "django_admin_log",
}  # fmt: skip
"""What the doors of configuration may change: people, limits, drafts, agents, and the trail."""

DOORS = {
    "ops admin": (
        "admin/policies/user/", "admin/policies/approvallimit/", "admin/policies/policyversion/",
        "admin/approvals/agent/",
    ),
    "agent owner": ("admin/approvals/agent/",),
}  # fmt: skip

CONCLUDING = re.compile(r"^admin/approvals/\w+inbox/[^/]+/(start|sign-off|resolve|undo)/$")
"""Doors without a seal: a team's member may go through them by POST, so a forgery proves nothing.

That everybody else is refused there is crawled; what a member may do is `test_review`'s.
"""


@dataclass(frozen=True, slots=True)
class Address:
    """One address with real ids in it."""

    route: str  # as the resolver has it
    path: str
    object_id: str
    is_first: bool = True  # of the addresses of its route

    @property
    def is_page(self) -> bool:
        """It shows one row: there the second row is opened too."""
        return self.route.endswith("change/")

    @property
    def inbox(self) -> str:
        found = re.match(r"admin/approvals/(\w+)inbox/", self.route)
        return found[1] if found else ""


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


def test_every_role_of_an_installation_crawls(world: World) -> None:
    assert set(Group.objects.values_list("name", flat=True)) < set(ACTORS)


def test_every_page_has_rows_to_be_crawled(world: World) -> None:
    empty = {m._meta.label for m in admin.site._registry if not m._default_manager.exists()}

    assert not empty
    assert len(addresses(world)) > 150


@pytest.mark.parametrize("actor", ACTORS)
def test_opening_every_address_breaks_and_changes_nothing(world: World, actor: str) -> None:
    client = sign_in(world, actor)
    before = every_row(without=NOT_COMPARED)

    broken = []
    for address in addresses(world):
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

    for address in addresses(world):
        if CONCLUDING.match(address.path) and actor == address.inbox:
            continue
        for method in ("post", "put", "delete") if address.is_first else ("post",):
            with transaction.atomic():
                answer = (
                    client.post(f"/{address.path}", forged(world, address))
                    if method == "post"
                    else getattr(client, method)(f"/{address.path}")
                )
                where = f"{method.upper()} /{address.path}: {answer.status_code}"
                if answer.status_code >= 500 and address.route != "readyz":
                    wrong.append(where)
                if answer.status_code < 400 and "/login/" not in answer.headers.get("Location", ""):
                    after = every_row(without=NOT_COMPARED)
                    changes = difference(before, after)
                    if method == "post" and address.route.startswith(DOORS.get(actor, ("-",))):
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


@pytest.mark.parametrize("actor", ["manager", "auditor"])
def test_query_strings_tell_nobody_what_no_column_shows(world: World, actor: str) -> None:
    client = sign_in(world, actor)

    for model in admin.site._registry:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        if client.get(path).status_code != 200:
            continue
        for query in ORACLES:
            answer = client.get(f"{path}?{query}")
            assert answer.status_code == 400, f"{path}?{query} was answered"
        for query in ("o=..", "o=-1.2.99", "o=%00", "p=-1", "p=99999", "q=%25_%27%22", "all="):
            assert client.get(f"{path}?{query}").status_code < 500, f"{path}?{query} broke"


def addresses(world: World) -> list[Address]:
    """Every address of the resolver, with ids of rows that exist and of one that does not."""
    found = []
    for route in routes(get_resolver().url_patterns):
        for number, object_id in enumerate(ids_for(route, world)):
            path = fill(route, object_id, world)
            found.append(Address(route, path, object_id, is_first=number == 0))
    return found


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    """Every route, included ones too. Regular expressions of Django's own admin are written out."""
    for one in patterns:
        if isinstance(one.pattern, RegexPattern):
            regex = str(one.pattern)
            if "app_label" in regex:
                yield from (f"{prefix}{label}/" for label in ("approvals", "policies", "audit"))
            else:
                assert "url" in regex, f"{regex}: say here how to crawl it"
                yield f"{prefix}no/such/page"
        elif isinstance(one, URLResolver):
            yield from routes(one.url_patterns, prefix + str(one.pattern))
        else:
            yield prefix + str(one.pattern)


def ids_for(route: str, world: World) -> list[str]:
    """Ids of two rows the route may be about: the first and the last of its model."""
    if "<" not in route:
        return [""]
    model = model_of(route)
    if model is None or model._meta.concrete_model is type(world.requests["done"]):
        chosen = [world.requests["pending"], world.requests["undone"]]
        return [str(request.pk) for request in chosen]
    rows = model._default_manager.order_by("pk")
    return list(dict.fromkeys(str(row.pk) for row in (rows.first(), rows.last()) if row))


def model_of(route: str) -> type[Model] | None:
    found = re.match(r"admin/(\w+)/(\w+)/", route)
    try:
        return apps.get_model(found[1], found[2]) if found else None
    except LookupError:
        return None


def fill(route: str, object_id: str, world: World) -> str:
    """The route with real values; a parameter nobody foresaw fails the test."""
    values = {
        "object_id": object_id,
        "request_id": object_id,
        "content_type_id": str(ContentType.objects.get_for_model(world.agent).pk),
    }
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda match: values[match[1]], route)


def queries_for(address: Address) -> tuple[str, ...]:
    """The query strings pages of this kind understand."""
    if address.route.endswith("autocomplete/"):
        return tuple(
            f"?app_label={model._meta.app_label}&model_name={model._meta.model_name}"
            f"&field_name={field.name}&term="
            for model in admin.site._registry
            for field in model._meta.fields
            if field.is_relation
        )
    if address.route.endswith(("add/", "change/")):
        return ("?_popup=1&_to_field=id",)
    if re.fullmatch(r"admin/\w+/\w+/", address.route):
        return ("?_popup=1&_to_field=id&q=a",)
    return ()


def forged(world: World, address: Address) -> dict[str, Any]:
    """What somebody posts who knows Django's admin and our forms."""
    model = model_of(address.route)
    columns = {field.name: "forged" for field in model._meta.fields} if model else {}
    if model and "<" in address.route:  # what a form of the row as it is would send, one word new
        row = model._default_manager.get(pk=address.object_id)
        columns = {
            field.name: "forged" if isinstance(field, TextField) else field.value_to_string(row)
            for field in model._meta.fields
        }
    groups = [str(pk) for pk in range(1, 12)]
    wishes = ["ops admin", "finance", "manager"]
    return columns | {
        "_save": "1", "post": "yes", "action": "delete_selected", "index": "0",
        "_selected_action": address.object_id or str(world.requests["pending"].pk),
        "select_across": "1", "state": "approved", "status": "published", "version": "9",
        "is_superuser": "on", "is_staff": "on", "is_active": "on", "groups": groups,
        "user_permissions": groups, "roles": wishes, "username": "villain", "person": "villain", "same_person_as": "",
        "first_name": "V", "last_name": "V", "email": "v@retailer.example",
        "password": "a villain's long phrase", "again": "a villain's long phrase",
        "password1": "a villain's long phrase", "password2": "a villain's long phrase",
        "old_password": "wrong", "reason": "forged", "reason_code": "as_proposed",
        "comment": "forged", "question": "forged", "outcome": "executed", "verdict": "approve",
        "seal": "forged", "nonce": "forged", "digest": "0" * 64, "risk_tier": "0",
        "amount": "1.00", "amount_minor": "1", "each": "999999.00", "per_day": "",
        "currency": "EUR", "action_type": "*", "account": str(world.people["finance"].pk),
        "role": "", "document": "rules: []", "days": "1", "key": "1", "name": "villain-bot",
        "owner": str(world.people["agent owner"].pk), "team": "support", "model": "",
        "action_types": ["refund.issue"], "ceiling": "", "ceiling_currency": "",
        "attempts-TOTAL_FORMS": "1", "attempts-INITIAL_FORMS": "0", "attempts-0-fence": "9",
        "verifications-TOTAL_FORMS": "0", "verifications-INITIAL_FORMS": "0",
    }  # fmt: skip


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
