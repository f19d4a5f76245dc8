"""Every address of the resolver with real ids in it, and what a villain would send there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, TextField
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern

from approvals.models import SavedView
from policies.teams import team_codes
from tests.admin.world import World


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


def addresses(world: World) -> list[Address]:
    """Every address of the resolver, with ids of rows that exist and of one that does not."""
    found = []
    for route in of_every_inbox(routes(get_resolver().url_patterns)):
        for number, object_id in enumerate(ids_for(route, world)):
            path = fill(route, object_id, world)
            found.append(Address(route, path, object_id, is_first=number == 0))
    return found


def of_every_inbox(found: Iterator[str]) -> Iterator[str]:
    """The routes, those of inboxes for each team and for what is asked of one person."""
    for route in found:
        teams = (*team_codes(), "@deputy") if "<team>" in route else ("",)
        yield from (route.replace("<team>", team) for team in teams)


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
        "plan_id": object_id,
        "view_id": str(SavedView.objects.values_list("pk", flat=True).get()),
        "what": "owners",
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
        "user_permissions": groups, "roles": wishes, "username": "villain", "person": "villain",
        "same_person_as": "",
        "first_name": "V", "last_name": "V", "email": "v@retailer.example",
        "password": "a villain's long phrase", "again": "a villain's long phrase",
        "password1": "a villain's long phrase", "password2": "a villain's long phrase",
        "old_password": "wrong", "reason": "forged", "reason_code": "as_proposed",
        "comment": "forged", "question": "forged", "outcome": "executed", "applied": "yes",
        "verdict": "approve", "seal": "forged", "nonce": "forged", "digest": "0" * 64,
        "risk_tier": "0",
        "amount": "1.00", "amount_minor": "1", "each": "999999.00", "per_day": "",
        "currency": "EUR", "action_type": "*", "account": str(world.people["finance"].pk),
        "role": "", "document": "rules: []", "days": "1", "key": "1", "name": "villain-bot",
        "owner": str(world.people["agent owner"].pk), "team": "support", "model": "",
        "action_types": ["refund.issue"], "ceiling": "", "ceiling_currency": "",
        "code": "villains", "hours": "", "escalates_to": "manager",
        "members": str(world.people["finance"].pk), "system": "*", "pattern": "*",
        "kind": "data", "lines": "person,manager\nfinance,villain", "manager": "villain",
        "attempts-TOTAL_FORMS": "1", "attempts-INITIAL_FORMS": "0", "attempts-0-fence": "9",
        "verifications-TOTAL_FORMS": "0", "verifications-INITIAL_FORMS": "0",
    }  # fmt: skip
