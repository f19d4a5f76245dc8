"""Owners and line managers: put on record by two ops admins, imported from files, asked about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from audit.lib.admin import Answer, ReasonForm
from audit.lib.admin_filters import equal_to, one_of
from policies.admin.access import actor_at, configures
from policies.admin.changes import MayWaitAdmin, onwards
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, Ownership, User
from policies.owners import owners_of
from policies.services import ownership
from policies.services.ownership import OwnerRow
from policies.team_names import OwnerKind, spoken
from policies.teams import team_choices

_LARGEST_FILE = 500_000  # bytes


class OwnerForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """Who answers for what: a team, or one person."""

    kind = forms.ChoiceField(choices=OwnerKind.choices, widget=UnfoldAdminSelectWidget)
    team = forms.ChoiceField(
        required=False,
        choices=lambda: [("", "no team"), *team_choices()],
        widget=UnfoldAdminSelectWidget,
    )
    person = forms.ModelChoiceField(
        queryset=User.objects.filter(is_active=True).order_by("username"),
        required=False,
        widget=UnfoldAdminSelectWidget,
        empty_label="nobody in particular",
        help_text="A team or a person, not both.",
    )
    reason = forms.CharField(
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text="Why, for the trail. It takes effect when a second ops admin agrees.",
    )

    class Meta:
        model = Ownership
        fields = ("system", "pattern")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if bool(cleaned.get("team")) == bool(cleaned.get("person")):
            raise forms.ValidationError("The owner is a team or a person: choose one.")
        return cleaned

    def validate_constraints(self) -> None:
        """The service ends what is on record for the same target."""


class ImportForm(forms.Form):
    """A file, or its lines."""

    file = forms.FileField(required=False)
    lines = forms.CharField(
        required=False, max_length=_LARGEST_FILE, widget=UnfoldAdminTextareaWidget
    )
    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        file = cleaned.get("file")
        if bool(file) == bool(cleaned.get("lines")):
            raise forms.ValidationError("Choose a file or paste its lines.")
        if file:
            try:
                if file.size > _LARGEST_FILE:
                    raise forms.ValidationError("The file is larger than 500 kB.")
                cleaned["lines"] = file.read().decode("utf-8")
            except UnicodeDecodeError as error:
                raise forms.ValidationError("The file is not UTF-8 text.") from error
        return cleaned


@dataclass(frozen=True, slots=True)
class Import:
    """What a file may hold, and the service it goes to."""

    title: str
    columns: str
    example: str
    read: Callable[[str], Any]
    save: Callable[..., Any]


IMPORTS = {
    "owners": Import(
        "Import owners",
        "system,target,kind,team,person",
        "logistics,shipment *,service,dispatch,",
        ownership.read_owners,
        ownership.set_owners,
    ),
    "line-managers": Import(
        "Import line managers",
        "person,manager",
        "ana,otto",
        ownership.read_line_managers,
        ownership.set_line_managers,
    ),
}


@admin.register(Ownership)
class OwnershipAdmin(MayWaitAdmin):
    form = OwnerForm
    refusals = (PolicyError,)
    object_actions = (("end", ReasonForm),)
    ordering = ("-pk",)
    list_display = ("system", "pattern", "kind_name", "owned_by", "created_at", "status")
    list_display_links = ("pattern",)
    list_select_related = ("person",)
    list_filter = (
        one_of("kind", "kind", lambda: list(OwnerKind.choices)),
        equal_to("system", "system"),
        equal_to("target", "pattern", parameter="target"),
        equal_to("person", "person__username", parameter="person"),
    )
    list_filter_submit = True
    fields = ("system", "pattern", "kind", "team", "person", "reason")
    shown = ("system", "pattern", "kind_name", "owned_by", "created_at", "status")
    change_form_outer_after_template = "admin/policies/owner.html"
    list_before_template = "admin/policies/owners.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ownership]:
        rows: QuerySet[Ownership] = super().get_queryset(request)
        return rows.select_related("person")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and configures(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Changing one means ending it; another owner is another row."""
        may = super().has_change_permission(request, obj) and configures(request)
        return bool(may and isinstance(obj, Ownership) and obj.ended_at is None)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj is None else self.shown

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.shown

    def call_service(
        self, request: HttpRequest, obj: Any, form: Any, *, change: bool
    ) -> Ownership | AuthorityChange:
        if change:
            return Ownership.objects.get(pk=obj.pk)  # nothing on the form can be changed
        said = form.cleaned_data
        person: User | None = said["person"]
        row = OwnerRow(
            said["system"].strip(), said["pattern"].strip(), said["kind"], said["team"],
            person.get_username() if person else "",
        )  # fmt: skip
        return self._sent([row], request, said["reason"])

    def end(self, request: HttpRequest, owner: Ownership, form: forms.Form) -> Answer:
        row = OwnerRow(owner.system, owner.pattern, owner.kind)
        return onwards(request, self._sent([row], request, form.cleaned_data["reason"]))

    def _sent(self, rows: list[OwnerRow], request: HttpRequest, reason: str) -> AuthorityChange:
        change = ownership.set_owners(rows, actor=actor_at(request), reason=reason)
        if not isinstance(change, AuthorityChange):
            raise TypeError("What a person changes here waits for a second one.")
        return change

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        owner = context.get("original")
        context["may_end"] = self.has_change_permission(request, owner)
        context["show_save"] = owner is None
        return super().render_change_form(request, context, *args, **kwargs)

    # --- Pages beside the list ------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("who/", wrap(require_safe(self.who_view)), name="policies_ownership_who"),
            path("import/<slug:what>/", wrap(self.import_view), name="policies_ownership_import"),
            *super().get_urls(),
        ]

    def who_view(self, request: HttpRequest) -> HttpResponse:
        """Who owns this? Everybody who works here may ask."""
        system, target = (request.GET.get(name, "").strip()[:200] for name in ("system", "target"))
        found = owners_of(system, target) if system and target else {}
        rows = [
            (kind.label, spoken(owner.group), f"{owner.system} {owner.pattern}".strip(),
             spoken(owner.above))
            for kind in OwnerKind
            if (owner := found.get(f"owner:{kind}"))
        ]  # fmt: skip
        return self._page(
            request,
            "admin/policies/who_owns.html",
            title="Who owns this?",
            system=system,
            target=target,
            rows=rows,
            is_asked=bool(system and target),
        )

    def import_view(self, request: HttpRequest, what: str) -> HttpResponse:
        """Read a file, check every row, and propose all of it as one change."""
        kind = IMPORTS.get(what)
        if kind is None or not configures(request):
            raise PermissionDenied
        form = ImportForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            said = form.cleaned_data
            try:
                rows = kind.read(said["lines"])
                change = kind.save(rows, actor=actor_at(request), reason=said["reason"])
                return onwards(request, change)
            except PolicyError as refusal:
                form.add_error(None, str(refusal))
        return self._page(
            request, "admin/policies/import.html", title=kind.title, form=form, kind=kind
        )

    def _page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        shared = self.admin_site.each_context(request)
        return TemplateResponse(request, template, {**shared, "opts": self.opts, **context})

    @display(description="kind", ordering="kind")  # type: ignore[untyped-decorator]
    def kind_name(self, owner: Ownership) -> str:
        return owner.get_kind_display()

    @display(description="owner")  # type: ignore[untyped-decorator]
    def owned_by(self, owner: Ownership) -> str:
        return owner.owner

    @display(  # type: ignore[untyped-decorator]
        description="status", label={"on record": "success", "ended": ""}
    )
    def status(self, owner: Ownership) -> str:
        return "on record" if owner.ended_at is None else "ended"
