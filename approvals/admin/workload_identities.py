"""Workload identities of an agent: whose tokens it signs in with, on its page."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from approvals.exceptions import NotFound
from approvals.models import Agent, WorkloadIdentity
from approvals.selectors.visibility import visible_agents
from approvals.services import workload_identities
from approvals.services.workload_identities import IdentityTerms, claims_from
from audit.actors import Actor
from audit.lib.admin import ObjectActionsAdmin, ReadOnlyAdmin
from audit.lib.admin_filters import equal_to
from policies.admin.changes import onwards
from policies.authority import is_ops_admin, roles_of
from policies.models import AuthorityChange, User


class RegisterIdentityForm(forms.Form):
    """Whose tokens are this agent's."""

    issuer = forms.CharField(max_length=300)
    audience = forms.CharField(max_length=300)
    keys_url = forms.CharField(max_length=300, required=False)
    claims = forms.CharField(max_length=6_000)
    reason = forms.CharField(max_length=200)


class RemoveIdentityForm(forms.Form):
    """Which identity of this agent ends."""

    identity = forms.IntegerField(min_value=1)


class IdentitiesAdmin(ObjectActionsAdmin):
    """The page of an agent, as far as it is about its identities."""

    identity_actions: ClassVar[tuple[tuple[str, type[forms.Form]], ...]] = (
        ("register_identity", RegisterIdentityForm),
        ("remove_identity", RemoveIdentityForm),
    )

    def identities_of(self, agent: Agent) -> list[WorkloadIdentity]:
        """Those in force."""
        return list(agent.identities.filter(removed_at=None))

    def identities_shown(
        self, request: HttpRequest, identities: list[WorkloadIdentity]
    ) -> dict[str, Any]:
        """What the page shows of them."""
        return {
            "identities": identities,
            "oidc_hosts": ", ".join(settings.OIDC_HOSTS),
            "may_register_identities": is_ops_admin(roles_of(cast(User, request.user))),
            "default_audience": settings.BASE_URL,
        }

    def register_identity(
        self, request: HttpRequest, agent: Agent, form: forms.Form
    ) -> HttpResponse | str:
        values = form.cleaned_data
        terms = IdentityTerms(
            issuer=values["issuer"].strip(),
            audience=values["audience"].strip(),
            keys_url=values["keys_url"].strip(),
            claims=claims_from(values["claims"]),
        )
        change = workload_identities.register_identity(
            agent.pk, terms, actor=_actor(request), reason=values["reason"]
        )
        assert isinstance(change, AuthorityChange)  # noqa: S101 - a person's always waits
        return onwards(request, change)

    def remove_identity(self, request: HttpRequest, agent: Agent, form: forms.Form) -> str:
        found = agent.identities.filter(pk=form.cleaned_data["identity"]).first()
        if found is None:
            raise NotFound("This agent has no such identity.")
        workload_identities.remove_identity(found.pk, actor=_actor(request))
        return f"Tokens of {found.issuer} for {found.claims['sub']} no longer count."


@admin.register(WorkloadIdentity)
class WorkloadIdentityAdmin(ReadOnlyAdmin):
    """Which identities there are and were. They begin and end on their agent's page."""

    list_display = ("subject", "agent", "issuer", "created_at", "last_used_at", "removed_at")
    list_select_related = ("agent",)
    list_filter = (equal_to("agent", "agent__name", parameter="agent"),)
    list_filter_submit = True
    fields = readonly_fields = (
        "agent", "issuer", "audience", "keys_url", "shown_claims", "created_at", "last_used_at",
        "removed_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkloadIdentity]:
        rows: QuerySet[WorkloadIdentity] = super().get_queryset(request)
        mine = visible_agents(cast(User, request.user)).order_by().values("pk")
        return rows.filter(agent__in=mine)

    @display(description="subject")  # type: ignore[untyped-decorator]
    def subject(self, identity: WorkloadIdentity) -> str:
        return str(identity.claims["sub"])

    @display(description="claims")  # type: ignore[untyped-decorator]
    def shown_claims(self, identity: WorkloadIdentity) -> str:
        return "\n".join(f"{name} = {value}" for name, value in sorted(identity.claims.items()))


def _actor(request: HttpRequest) -> Actor:
    return Actor.human(cast(User, request.user))
