"""Connections: where each leads, how it fares; changed by two ops admins, tried by one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from approvals.admin.sign_ins import SignsInAdmin
from approvals.choices import PauseScope
from approvals.exceptions import ApprovalError
from approvals.selectors.connections import (
    connection_in_force,
    connections_in_force,
)
from approvals.services import connections, pauses, sign_ins
from approvals.services.connections import Terms
from audit.lib.admin import Answer, ReasonForm
from audit.lib.admin_filters import one_of
from audit.lib.dates import format_moment
from connectors.connections import names_of
from connectors.models import Connection, CredentialSource
from connectors.registry import action_type, action_types
from policies.admin.access import actor_at, configures
from policies.admin.changes import onwards
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, User


def _systems() -> list[tuple[str, str]]:
    return [(name, name) for name in sorted({kind.system for kind in action_types()})]


def _kinds() -> list[tuple[str, str]]:
    found = sorted(action_types(), key=lambda kind: (kind.system, kind.key))
    return [(kind.key, f"{kind.key}: {kind.title} ({kind.system})") for kind in found]


_STATED = ("sender", "archive_url", "allowed", "groups", "users", "disabled_by")
"""What connections of some systems have to state beside their address."""


def _stated(system: str | None = None) -> tuple[str, ...]:
    """Those of that system; without one, of any system there is here."""
    names = [system] if system else [name for name, _ in _systems()]
    known = {value for name in names for value in names_of(name)}
    return tuple(name for name in _STATED if name in known)


class ConnectionForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """Where it leads, where its credential is, who answers for it, what goes through it."""

    system = forms.ChoiceField(choices=_systems, widget=UnfoldAdminSelectWidget)
    address = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="Such as https://api.company.example; smtp+starttls://user@host for mail and "
        "postgresql://user@host/name for records. Never with a password.",
    )
    sender = forms.CharField(
        required=False, max_length=254, widget=UnfoldAdminTextInputWidget, help_text="Mail only."
    )
    archive_url = forms.CharField(
        required=False,
        max_length=300,
        label="Archive",
        widget=UnfoldAdminTextInputWidget,
        help_text="Mail only: where a sent mail is found again.",
    )
    allowed = forms.CharField(
        required=False,
        max_length=300,
        label="ARNs",
        widget=UnfoldAdminTextInputWidget,
        help_text="AWS IAM only: the groups, users and policies that may be named, with * for any.",
    )
    groups = forms.CharField(
        required=False,
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="LDAP only: what all groups are below, such as ou=groups,dc=company,dc=example.",
    )
    users = forms.CharField(
        required=False,
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="LDAP only: what all users are below, such as ou=people,dc=company,dc=example.",
    )
    disabled_by = forms.CharField(
        required=False,
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="LDAP only: what a disabled user has, such as nsAccountLock=true.",
    )
    credential_source = forms.ChoiceField(
        required=False,
        label="Credential is in",
        choices=CredentialSource.choices,
        widget=UnfoldAdminSelectWidget,
    )
    credential_name = forms.CharField(
        required=False,
        max_length=100,
        label="Called",
        widget=UnfoldAdminTextInputWidget,
        help_text="The variable (CREDENTIAL_PAYMENTS_EU) or the file; never the credential itself.",
    )
    answers = forms.ModelChoiceField(
        queryset=User.objects.filter(is_active=True).order_by("username"),
        label="Owner",
        widget=UnfoldAdminSelectWidget,
        help_text="Who answers for it.",
    )
    calls_per_minute = forms.IntegerField(
        required=False,
        min_value=1,
        label="Calls a minute",
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="What is above it waits for the next minute. Empty: no budget.",
    )
    kinds = forms.MultipleChoiceField(
        required=False,
        choices=_kinds,
        label="Action types",
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="They go through this connection, and no longer through another.",
    )
    reason = forms.CharField(
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text="Why, for the trail. Address, credential and action types take effect when a "
        "second ops admin agrees; owner and budget at once.",
    )

    class Meta:
        model = Connection
        fields = ("name", "credential_name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = self.instance
        for name in set(_STATED) - set(_stated(row.system if row.pk else None)):
            self.fields.pop(name, None)
        if not row.pk:
            return
        self.fields.pop("system", None)
        self.fields["kinds"].choices = [  # type: ignore[attr-defined]
            (key, label) for key, label in _kinds() if action_type(key).system == row.system
        ]
        values = {**row.values}
        bound = row.bindings.filter(ended_at=None)
        self.initial.update(
            address=values.pop(names_of(row.system)[0], ""),
            **values,
            credential_source=row.credential_source,
            calls_per_minute=row.calls_per_minute,
            answers=User.objects.filter(person=row.owner, is_active=True).first(),
            kinds=list(bound.values_list("action_type", flat=True)),
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        terms = self._terms(cleaned)
        for field, problem in connections.problems_of(terms).items():
            name = _FIELDS.get(field, field)
            if field == names_of(terms.system)[0]:
                name = "address"
            self.add_error(name if name in self.fields else None, problem)
        cleaned["terms"] = terms
        return cleaned

    def _terms(self, cleaned: dict[str, Any]) -> Terms:
        row = self.instance
        system = str(row.system if row.pk else cleaned["system"])
        written = {name: cleaned.get(name, "").strip() for name in _STATED}
        values = {name: value for name, value in written.items() if value}
        return Terms(
            name=str(row.name if row.pk else cleaned["name"]),
            system=system,
            values={names_of(system)[0]: cleaned["address"].strip(), **values},
            credential_source=cleaned["credential_source"],
            credential_name=cleaned["credential_name"].strip(),
            owner=cleaned["answers"].person,
            calls_per_minute=cleaned["calls_per_minute"],
            action_types=tuple(sorted(cleaned["kinds"])),
        )

    def _post_clean(self) -> None:
        """The service keeps the row; the form's own instance stays as it was."""


_FIELDS = {"owner": "answers", "action_types": "kinds"}


class ProbeForm(forms.Form):
    """Nothing to fill in."""


@admin.register(Connection)
class ConnectionAdmin(SignsInAdmin):
    form = ConnectionForm
    refusals = (PolicyError, ApprovalError)
    object_actions = (
        ("probe", ProbeForm),
        ("pause", ReasonForm),
        ("remove", ReasonForm),
        ("sign_in", ReasonForm),
    )
    ordering = ("name",)
    list_display = (
        "name",
        "system",
        "address",
        "credential",
        "answered_for_by",
        "status",
        "probed",
        "circuit",
    )
    list_filter = (one_of("system", "system", _systems),)
    list_filter_submit = True
    list_before_template = "admin/approvals/connections_of_environment.html"
    change_form_outer_after_template = "admin/approvals/connection.html"
    fieldsets = (
        (None, {"fields": ("name", "system", "address")}),
        ("Credential", {"fields": ("credential_source", "credential_name")}),
        ("Use", {"fields": ("answers", "calls_per_minute", "kinds", "reason")}),
    )
    shown = ("name", "system", "address", "credential", "status")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and configures(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A removed connection stays as it was: what was done went through it."""
        gone = isinstance(obj, Connection) and obj.removed_at is not None
        return self._may_change(request, obj) and not gone

    def _may_change(self, request: HttpRequest, obj: Any) -> bool:
        return bool(super().has_change_permission(request, obj)) and configures(request)

    def why_over(self, request: HttpRequest, row: Model) -> str:
        """A colleague has removed it."""
        if not isinstance(row, Connection) or row.removed_at is None:
            return ""
        return "This connection was removed." if self._may_change(request, row) else ""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            first = ("name", "system", "address", *_stated())
            return ((None, {"fields": first}), *self.fieldsets[1:])
        if self.has_change_permission(request, obj):
            stated = ("address", *names_of(obj.system)[1:])
            return ((None, {"fields": ("name", "system", *stated)}), *self.fieldsets[1:])
        return ((None, {"fields": self.shown}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ()
        return ("name", "system") if self.has_change_permission(request, obj) else self.shown

    def call_service(
        self, request: HttpRequest, obj: Any, form: Any, *, change: bool
    ) -> Connection | AuthorityChange:
        terms: Terms = form.cleaned_data["terms"]
        obj.name = terms.name  # Django names the object by it
        return connections.set_connection(
            terms, actor=actor_at(request), reason=form.cleaned_data["reason"]
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        own = [view for view in connections_in_force() if view.is_from_environment]
        context = {**(extra_context or {}), "of_environment": own}
        answer: HttpResponse = super().changelist_view(request, context)
        return answer

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = context.get("original")
        if isinstance(row, Connection):
            context["view"] = connection_in_force(row.name)
            context["may_change"] = self.has_change_permission(request, row)
            context["signs_in"] = sign_ins.is_signed_in_to(row.system)
        return super().render_change_form(request, context, *args, **kwargs)

    def probe(self, request: HttpRequest, row: Connection, form: forms.Form) -> Answer:
        problem = connections.probe_connection(row.name, actor=actor_at(request))
        if problem:
            raise PolicyError("does_not_answer", problem)
        return f"{row.name} answers."

    def pause(self, request: HttpRequest, row: Connection, form: forms.Form) -> Answer:
        pauses.pause(
            PauseScope.CONNECTION,
            row.name,
            actor=actor_at(request),
            reason=form.cleaned_data["reason"],
        )
        return f"{row.name} is paused, until an ops admin lifts the pause."

    def remove(self, request: HttpRequest, row: Connection, form: forms.Form) -> Answer:
        removed = connections.remove_connection(
            row.pk, actor=actor_at(request), reason=form.cleaned_data["reason"]
        )
        if isinstance(removed, AuthorityChange):
            return onwards(request, removed)
        return f"The connection {row.name} is removed."

    @display(description="address")  # type: ignore[untyped-decorator]
    def address(self, row: Connection) -> str:
        return str(row.values.get(names_of(row.system)[0], ""))

    @display(description="credential")  # type: ignore[untyped-decorator]
    def credential(self, row: Connection) -> str:
        if not row.credential_source:
            return "none"
        kind = "file" if row.credential_source == CredentialSource.FILE else "variable"
        return f"{kind} {row.credential_name}"

    @display(description="owner")  # type: ignore[untyped-decorator]
    def answered_for_by(self, row: Connection) -> str:
        view = connection_in_force(row.name)
        return view.owner if view else row.owner

    @display(  # type: ignore[untyped-decorator]
        description="status",
        label={
            "answers": "success",
            "does not answer": "danger",
            "no credential": "danger",
            "paused": "danger",
            "asked to wait": "warning",
            "not tried yet": "",
            "removed": "",
        },
    )
    def status(self, row: Connection) -> str:
        view = connection_in_force(row.name)
        return view.health if view else "removed"

    @display(description="last probe", empty_value="none yet")  # type: ignore[untyped-decorator]
    def probed(self, row: Connection) -> str | None:
        view = connection_in_force(row.name)
        return format_moment(view.probed_at) if view and view.probed_at else None

    @display(  # type: ignore[untyped-decorator]
        description="circuit",
        label={"closed": "success", "open": "danger", "half open": "warning", "": ""},
    )
    def circuit(self, row: Connection) -> str:
        view = connection_in_force(row.name)
        return view.circuit if view else ""
