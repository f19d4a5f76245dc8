"""Agents: registered, changed, paused, given keys and budgets by who answers for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from approvals.admin.agent_budgets import BudgetsAdmin, rows_of
from approvals.admin.agent_keys import IssueKeyForm, RevokeKeyForm, RotateKeyForm
from approvals.admin.signing_keys import SigningKeysAdmin, signing_keys_of
from approvals.admin.webhooks import WebhooksAdmin, webhooks_of
from approvals.admin.workload_identities import IdentitiesAdmin
from approvals.exceptions import ApprovalError, InvalidProposal, NotFound
from approvals.models import Agent, AgentKey
from approvals.selectors.agent_use import SOON, use_of, with_keys
from approvals.selectors.visibility import keepable_agents, may_register_agents, visible_agents
from approvals.services import agents
from approvals.services.agents import IssuedKey
from audit.actors import Actor
from audit.lib import db_clock
from audit.lib.admin import ReasonForm
from audit.lib.admin_filters import equal_to, one_of
from audit.lib.dates import format_moment
from audit.lib.money import Money, MoneyError
from connectors.registry import action_types
from policies.authority import is_ops_admin, roles_of
from policies.exceptions import PolicyError
from policies.models import User
from policies.teams import team_choices


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """What an agent is and may propose. The ceiling is typed as money is written."""

    team = forms.ChoiceField(
        choices=team_choices,
        widget=UnfoldAdminSelectWidget,
        help_text="The role group the agent works for.",
    )
    action_types = forms.MultipleChoiceField(
        required=False,
        choices=lambda: [(kind.key, f"{kind.title} ({kind.key})") for kind in action_types()],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What it may propose. It may propose nothing else, whoever asks it to.",
    )
    ceiling = forms.CharField(
        required=False,
        max_length=30,
        widget=UnfoldAdminTextInputWidget,
        help_text=(
            'Largest amount it may propose, such as "500.00". Amounts in other currencies count '
            "by the exchange rate of the day. Empty: no ceiling of its own."
        ),
    )
    ceiling_currency = forms.CharField(
        required=False,
        max_length=3,
        widget=UnfoldAdminTextInputWidget,
        help_text="ISO 4217 code, such as EUR.",
    )
    level = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        choices=[(n, f"{n}: {word}") for n, word in agents.LEVELS.items()],
        widget=UnfoldAdminSelectWidget,
        help_text="How far it is trusted; policy says what that means. An owner's new agent "
        "begins at 0, and an ops admin who does not own it raises it.",
    )

    class Meta:
        model = Agent
        fields = (
            "name", "owner", "team", "model", "action_types", "level", "reports_complaints",
            "tokens_only", "signatures_required",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        agent = self.instance
        if agent.pk and agent.ceiling is not None:
            self.initial["ceiling"] = agent.ceiling.decimal

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        amount = cleaned.get("ceiling", "").strip()
        currency = cleaned.get("ceiling_currency", "").strip().upper()
        cleaned["money"] = None
        if amount:
            try:
                cleaned["money"] = Money.parse(amount, currency)
            except MoneyError as error:
                raise ValidationError({"ceiling": str(error)}) from error
        return cleaned


_LATER = ("level", "reports_complaints", "tokens_only", "signatures_required")
"""What is said of an agent once there is one."""


@admin.register(Agent)
class AgentAdmin(BudgetsAdmin, IdentitiesAdmin, SigningKeysAdmin, WebhooksAdmin):
    form = AgentForm
    fields = (
        "name", "owner", "team", "model", "action_types", "ceiling", "ceiling_currency", "level",
        "reports_complaints", "tokens_only", "signatures_required",
    )  # fmt: skip
    refusals = (ApprovalError, PolicyError)
    object_actions = (
        ("pause", ReasonForm),
        ("resume", forms.Form),
        ("issue_key", IssueKeyForm),
        ("rotate_key", RotateKeyForm),
        ("revoke_key", RevokeKeyForm),
        *BudgetsAdmin.budget_actions,
        *IdentitiesAdmin.identity_actions,
        *SigningKeysAdmin.signing_key_actions,
        *WebhooksAdmin.webhook_actions,
    )
    ordering = ("name",)
    list_display = (
        "name", "owner", "team", "model", "ceiling", "trusted", "status", "last_seen", "keys",
    )  # fmt: skip
    list_select_related = ("owner",)
    list_filter = (
        one_of("team", "team", team_choices),
        equal_to("owner", "owner__username", parameter="owner"),
    )
    list_filter_submit = True
    search_fields = ("name",)
    search_help_text = "The beginning of a name."
    change_form_outer_after_template = "admin/approvals/record_agent.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        visible = visible_agents(_person(request)).order_by(*self.ordering)
        return with_keys(visible, at=db_clock.now())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Agent], search_term: str
    ) -> tuple[QuerySet[Agent], bool]:
        term = search_term.strip()
        return (queryset.filter(name__startswith=term) if term else queryset), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and may_register_agents(_person(request))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if not super().has_change_permission(request, obj):
            return False
        mine = keepable_agents(_person(request))
        return mine.filter(pk=obj.pk).exists() if isinstance(obj, Agent) else mine.exists()

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> Any:
        """A name stays: keys and records carry it. Owners do not hand agents on by themselves."""
        if not self.has_change_permission(request, obj) and obj is not None:
            return self.fields
        return ("name",) if obj is not None else ()

    def get_fields(self, request: HttpRequest, obj: Agent | None = None) -> Any:
        """How far a new agent is trusted follows from who registers it."""
        return self.fields if obj is not None else self.fields[: -len(_LATER)]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "owner":
            me = _person(request)
            people = User.objects.filter(is_active=True).order_by("username")
            kwargs["queryset"] = people if is_ops_admin(roles_of(me)) else people.filter(pk=me.pk)
            kwargs["initial"] = me.pk
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def call_service(self, request: HttpRequest, obj: Any, form: Any, *, change: bool) -> Agent:
        values = form.cleaned_data
        given: dict[str, Any] = {
            "owner": values["owner"],
            "team": values["team"],
            "model": values["model"],
            "action_types": values["action_types"],
            "ceiling": values["money"],
            "actor": _actor(request),
        }
        try:
            if change:
                given |= {name: values[name] for name in _LATER}
                agent = agents.change_agent(obj.pk, **given)
                if "owner" in form.changed_data:
                    messages.info(request, "A new owner: every old key and identity ended.")
                return agent
            return agents.register_agent(name=values["name"], **given)
        except InvalidProposal as refusal:
            sentences = " ".join(problem.message for problem in refusal.problems)
            raise ApprovalError(sentences, code=refusal.code) from refusal

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = dict(extra_context or {})
        if object_id is not None:
            agent, now = self.get_object(request, object_id), db_clock.now()
            keys, identities = list(agent.keys.all()), self.identities_of(agent)
            context |= {
                "keys": [(key, key.works(now)) for key in keys],
                "now": now,
                "use": use_of(agent, keys, identities, at=now),
                "longest_overlap": int(agents.LONGEST_OVERLAP.total_seconds() // 3600),
                "may_change": self.has_change_permission(request, agent),
                "longest_days": agents.LONGEST_KEY_LIFE.days,
                "budgets": rows_of(agent),
                "may_remove_budgets": is_ops_admin(roles_of(_person(request))),
                "base_currency": settings.BASE_CURRENCY,
                **self.identities_shown(request, identities),
                **signing_keys_of(agent),
                **webhooks_of(agent),
            }
        return super().changeform_view(request, object_id, form_url, context)

    def pause(self, request: HttpRequest, agent: Agent, form: forms.Form) -> str:
        agents.pause_agent(agent.pk, actor=_actor(request), reason=form.cleaned_data["reason"])
        return f"{agent.name} is paused: nothing new is taken, nothing approved for it runs."

    def resume(self, request: HttpRequest, agent: Agent, form: forms.Form) -> str:
        agents.resume_agent(agent.pk, actor=_actor(request))
        return f"{agent.name} may propose again."

    def issue_key(self, request: HttpRequest, agent: Agent, form: forms.Form) -> HttpResponse:
        lifetime = timedelta(days=form.cleaned_data["days"])
        issued = agents.issue_key(agent.pk, actor=_actor(request), lifetime=lifetime)
        return self._key_shown_once(request, agent, issued, None)

    def rotate_key(self, request: HttpRequest, agent: Agent, form: forms.Form) -> HttpResponse:
        old = _key(agent, form)
        overlap = timedelta(hours=form.cleaned_data["hours"])
        issued = agents.rotate_key(old.pk, actor=_actor(request), overlap=overlap)
        old.refresh_from_db()
        return self._key_shown_once(request, agent, issued, old)

    def _key_shown_once(
        self, request: HttpRequest, agent: Agent, issued: IssuedKey, old: AgentKey | None
    ) -> HttpResponse:
        """The secret exists in this answer and nowhere else: no session, no message, no cache."""
        answer = TemplateResponse(
            request,
            "admin/approvals/record_key.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": agent,
                "title": agent.name,
                "subtitle": "New key",
                "issued": issued,
                "old": old,
            },
        )
        answer["Cache-Control"] = "no-store, private"
        return answer

    def revoke_key(self, request: HttpRequest, agent: Agent, form: forms.Form) -> str:
        key = _key(agent, form)
        agents.revoke_key(key.pk, actor=_actor(request))
        return f"Key {key.prefix} is revoked; it has stopped working."

    @display(description="trusted")  # type: ignore[untyped-decorator]
    def trusted(self, agent: Agent) -> str:
        return f"{agent.level}: {agents.LEVELS.get(agent.level, 'unknown')}"

    @display(description="ceiling")  # type: ignore[untyped-decorator]
    def ceiling(self, agent: Agent) -> str:
        if agent.ceiling is None:
            return ""
        return str(agent.ceiling)

    @display(  # type: ignore[untyped-decorator]
        description="status", label={"paused": "warning", "active": "success"}
    )
    def status(self, agent: Agent) -> str:
        return "paused" if agent.is_paused else "active"

    @display(description="last seen")  # type: ignore[untyped-decorator]
    def last_seen(self, agent: Any) -> str:
        seen = max(filter(None, (agent.key_seen_at, agent.token_seen_at)), default=None)
        return format_moment(seen) if seen else "never"

    @display(  # type: ignore[untyped-decorator]
        description="signs in",
        label={
            "none works": "danger",
            "by key": "success",
            "soon": "warning",
            "by token": "success",
        },
    )
    def keys(self, agent: Any) -> str | tuple[str, str]:
        if agent.tokens_only or agent.works_until is None:
            return "by token" if agent.has_tokens else "none works"
        days = (agent.works_until - db_clock.now()) // timedelta(days=1)
        return "by key" if days >= SOON.days else ("soon", f"the last ends in {max(days, 0)} days")


def _key(agent: Agent, form: forms.Form) -> AgentKey:
    key = agent.keys.filter(pk=form.cleaned_data["key"]).first()
    if key is None:
        raise NotFound("This agent has no such key.")
    return key


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)


def _actor(request: HttpRequest) -> Actor:
    return Actor.human(_person(request))
