"""Signing keys of an agent: with whose signatures its messages count, on its page."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from approvals.exceptions import NotFound
from approvals.models import Agent, SigningKey
from approvals.selectors.visibility import visible_agents
from approvals.services import signing_keys
from audit.actors import Actor
from audit.lib.admin import ObjectActionsAdmin, ReadOnlyAdmin
from audit.lib.admin_filters import equal_to
from policies.admin.changes import onwards
from policies.models import AuthorityChange, User


class RegisterSigningKeyForm(forms.Form):
    """The public key the agent signs with."""

    public_key = forms.CharField(max_length=1_000)
    reason = forms.CharField(max_length=200)


class RemoveSigningKeyForm(forms.Form):
    """Which signing key of this agent ends."""

    key = forms.IntegerField(min_value=1)


def signing_keys_of(agent: Agent) -> dict[str, Any]:
    """What the agent's page shows of them."""
    return {"signing_keys": agent.signing_keys.filter(removed_at=None)}


class SigningKeysAdmin(ObjectActionsAdmin):
    """The page of an agent, as far as it is about signing keys."""

    signing_key_actions: ClassVar[tuple[tuple[str, type[forms.Form]], ...]] = (
        ("register_signing_key", RegisterSigningKeyForm),
        ("remove_signing_key", RemoveSigningKeyForm),
    )

    def register_signing_key(
        self, request: HttpRequest, agent: Agent, form: forms.Form
    ) -> HttpResponse:
        values = form.cleaned_data
        change = signing_keys.register_signing_key(
            agent.pk, values["public_key"], actor=_actor(request), reason=values["reason"]
        )
        assert isinstance(change, AuthorityChange)  # noqa: S101 - a person's always waits
        return onwards(request, change)

    def remove_signing_key(self, request: HttpRequest, agent: Agent, form: forms.Form) -> str:
        found = agent.signing_keys.filter(pk=form.cleaned_data["key"]).first()
        if found is None:
            raise NotFound("This agent has no such signing key.")
        signing_keys.remove_signing_key(found.pk, actor=_actor(request))
        return f"New signatures with the key {found.key_id} no longer count."


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    """Which signing keys there are and were. They begin and end on their agent's page."""

    list_display = ("key_id", "agent", "created_at", "last_used_at", "removed_at")
    list_select_related = ("agent",)
    list_filter = (equal_to("agent", "agent__name", parameter="agent"),)
    list_filter_submit = True
    fields = readonly_fields = (
        "key_id", "agent", "public_key", "created_at", "last_used_at", "removed_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[SigningKey]:
        rows: QuerySet[SigningKey] = super().get_queryset(request)
        mine = visible_agents(cast(User, request.user)).order_by().values("pk")
        return rows.filter(agent__in=mine)


def _actor(request: HttpRequest) -> Actor:
    return Actor.human(cast(User, request.user))
