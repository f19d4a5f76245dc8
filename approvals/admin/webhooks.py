"""Webhooks of an agent: where it is told of its requests, and what did not get through."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.decorators import display

from approvals.exceptions import NotFound
from approvals.models import Agent, WebhookDelivery, WebhookEndpoint
from approvals.selectors.visibility import visible_agents
from approvals.selectors.webhooks import endpoints_of, undelivered
from approvals.services import webhooks
from approvals.services.webhooks import IssuedSecret
from audit.actors import Actor
from audit.lib import db_clock
from audit.lib.admin import ObjectActionsAdmin, ReadOnlyAdmin
from audit.lib.admin_filters import equal_to
from policies.models import User


class RegisterWebhookForm(forms.Form):
    """The address to tell the agent at."""

    url = forms.URLField(max_length=500, assume_scheme="https")


class EndpointForm(forms.Form):
    """Which endpoint of this agent."""

    endpoint = forms.IntegerField(min_value=1)


class NewSecretForm(EndpointForm):
    """How long the old secret signs beside the new one."""

    hours = forms.IntegerField(
        min_value=0, max_value=int(webhooks.LONGEST_OVERLAP.total_seconds() // 3600)
    )


class DisableWebhookForm(EndpointForm):
    """Why nothing is sent there any more."""

    reason = forms.CharField(max_length=200)


class ReplayForm(EndpointForm):
    """How far back."""

    hours = forms.IntegerField(
        min_value=1, max_value=int(webhooks.LONGEST_REPLAY.total_seconds() // 3600)
    )


class RedeliverForm(forms.Form):
    """Which delivery to this agent."""

    delivery = forms.IntegerField(min_value=1)


def webhooks_of(agent: Agent) -> dict[str, Any]:
    """What the agent's page shows of them."""
    return {"webhook_endpoints": endpoints_of(agent), "undelivered": undelivered(agent)}


class WebhooksAdmin(ObjectActionsAdmin):
    """The page of an agent, as far as it is about webhooks."""

    webhook_actions: ClassVar[tuple[tuple[str, type[forms.Form]], ...]] = (
        ("register_webhook", RegisterWebhookForm),
        ("change_webhook_secret", NewSecretForm),
        ("disable_webhook", DisableWebhookForm),
        ("enable_webhook", EndpointForm),
        ("replay_webhooks", ReplayForm),
        ("redeliver_webhook", RedeliverForm),
    )

    def register_webhook(
        self, request: HttpRequest, agent: Agent, form: forms.Form
    ) -> HttpResponse:
        issued = webhooks.register_webhook(
            agent.pk, url=form.cleaned_data["url"], actor=_actor(request)
        )
        return self._shown_once(request, agent, issued)

    def change_webhook_secret(
        self, request: HttpRequest, agent: Agent, form: forms.Form
    ) -> HttpResponse:
        overlap = timedelta(hours=form.cleaned_data["hours"])
        issued = webhooks.change_secret(
            _endpoint(agent, form).pk, actor=_actor(request), overlap=overlap
        )
        return self._shown_once(request, agent, issued)

    def disable_webhook(self, request: HttpRequest, agent: Agent, form: forms.Form) -> str:
        endpoint = webhooks.disable_webhook(
            _endpoint(agent, form).pk, actor=_actor(request), reason=form.cleaned_data["reason"]
        )
        return f"Nothing more is sent to {endpoint.url}; what waits goes out if it is enabled."

    def enable_webhook(self, request: HttpRequest, agent: Agent, form: forms.Form) -> str:
        endpoint = webhooks.enable_webhook(_endpoint(agent, form).pk, actor=_actor(request))
        return f"{endpoint.url} is told of changes again. Replay what it missed, if it needs it."

    def replay_webhooks(self, request: HttpRequest, agent: Agent, form: forms.Form) -> str:
        since = db_clock.now() - timedelta(hours=form.cleaned_data["hours"])
        count = webhooks.replay(_endpoint(agent, form).pk, since=since, actor=_actor(request))
        return f"{count} requests changed in that time; each is told as it is now."

    def redeliver_webhook(self, request: HttpRequest, agent: Agent, form: forms.Form) -> str:
        found = WebhookDelivery.objects.filter(
            pk=form.cleaned_data["delivery"], endpoint__agent=agent
        ).first()
        if found is None:
            raise NotFound("This agent has no such delivery.")
        webhooks.redeliver(found.pk, actor=_actor(request))
        return "It is sent again within seconds."

    def _shown_once(self, request: HttpRequest, agent: Agent, issued: IssuedSecret) -> HttpResponse:
        """The secret exists in this answer and nowhere else: no session, no message, no cache."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": agent,
            "title": agent.name,
            "subtitle": "Webhook secret",
            "issued": issued,
        }
        answer = TemplateResponse(request, "admin/approvals/record_webhook.html", context)
        answer["Cache-Control"] = "no-store, private"
        return answer


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """Every message to an agent and what came of it. Sent again from the agent's page."""

    list_display = ("agent", "endpoint", "state", "created_at", "attempts", "status", "problem")
    list_select_related = ("endpoint__agent",)
    list_filter = (equal_to("agent", "endpoint__agent__name", parameter="agent"),)
    list_filter_submit = True
    fields = readonly_fields = (
        "message_id", "agent", "endpoint", "request", "state", "created_at", "attempts", "status",
        "next_attempt_at", "delivered_at", "given_up_at", "problem",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        rows: QuerySet[WebhookDelivery] = super().get_queryset(request)
        mine = visible_agents(cast(User, request.user)).order_by().values("pk")
        return rows.filter(endpoint__agent__in=mine)

    @display(description="agent")  # type: ignore[untyped-decorator]
    def agent(self, delivery: WebhookDelivery) -> str:
        return delivery.endpoint.agent.name

    @display(  # type: ignore[untyped-decorator]
        description="status",
        label={"delivered": "success", "waiting": "info", "given up": "danger", "disabled": ""},
    )
    def status(self, delivery: WebhookDelivery) -> str:
        if delivery.delivered_at is not None:
            return "delivered"
        if delivery.given_up_at is not None:
            return "given up"
        return "waiting" if delivery.endpoint.disabled_at is None else "disabled"


def _endpoint(agent: Agent, form: forms.Form) -> WebhookEndpoint:
    found: WebhookEndpoint | None = agent.webhook_endpoints.filter(
        pk=form.cleaned_data["endpoint"]
    ).first()
    if found is None:
        raise NotFound("This agent has no such endpoint.")
    return found


def _actor(request: HttpRequest) -> Actor:
    return Actor.human(cast(User, request.user))
