"""Teams: made and changed by ops admins, with the members waiting for a second one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from policies.admin.access import actor_at, configures
from policies.admin.changes import MayWaitAdmin
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, Team, User
from policies.services import teams
from policies.teams import name_of_team, team_choices


class _TeamForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """What a team is called, when it is there, and who has what it leaves undecided."""

    escalates_to = forms.ChoiceField(
        choices=team_choices,
        widget=UnfoldAdminSelectWidget,
        help_text="The team above: its members may answer what this one leaves undecided. "
        "Another one takes effect when a second ops admin agrees.",
    )

    class Meta:
        model = Team
        fields = ("code", "name", "hours")


class NewTeamForm(_TeamForm):
    """A team with whoever is to join it."""

    members = forms.ModelMultipleChoiceField(
        queryset=User.objects.filter(is_active=True).order_by("username"),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Each joins when a second ops admin agrees. Later ones join on their own page.",
    )


class TeamForm(_TeamForm):
    """A change of a team, and why."""

    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Why, for the trail."
    )


@admin.register(Team)
class TeamAdmin(MayWaitAdmin):
    refusals = (PolicyError,)
    ordering = ("code",)
    list_display = ("name", "code", "above", "when", "active_members")
    fields = ("code", "name", "escalates_to", "hours", "member_list", "inbox", "reason")
    add_fields = ("code", "name", "escalates_to", "hours", "members")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and configures(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and configures(request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.add_fields
        may = self.has_change_permission(request, obj)
        return self.fields if may else tuple(one for one in self.fields if one != "reason")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("code", "member_list", "inbox")

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        kwargs["form"] = TeamForm if change else NewTeamForm
        form = super().get_form(request, obj, change=change, **kwargs)
        if obj is not None and "escalates_to" in form.base_fields:
            form.base_fields["escalates_to"].initial = obj.escalates_to
        return form

    def call_service(
        self, request: HttpRequest, obj: Any, form: Any, *, change: bool
    ) -> Team | AuthorityChange:
        said = form.cleaned_data
        if change:
            return teams.change_team(
                obj.pk,
                actor=actor_at(request),
                name=said["name"],
                escalates_to=said["escalates_to"],
                hours=said["hours"],
                reason=said["reason"],
            )
        return teams.create_team(
            actor=actor_at(request),
            code=said["code"],
            name=said["name"],
            escalates_to=said["escalates_to"],
            hours=said["hours"],
            members=[user.pk for user in said["members"]],
        )

    def response_add(
        self, request: HttpRequest, obj: Team, post_url_continue: str | None = None
    ) -> HttpResponse:
        """On to the team's page; whoever was named waits for a second person."""
        messages.success(
            request, f"{obj.name} is a team. Its members join when a second ops admin agrees."
        )
        return HttpResponseRedirect(self.address_of(obj))

    @display(description="escalates to")  # type: ignore[untyped-decorator]
    def above(self, team: Team) -> str:
        return name_of_team(team.escalates_to)

    @display(description="hours")  # type: ignore[untyped-decorator]
    def when(self, team: Team) -> str:
        return team.hours or "always"

    @display(description="active members")  # type: ignore[untyped-decorator]
    def active_members(self, team: Team) -> int:
        return team.group.user_set.filter(is_active=True).count()

    @display(description="members")  # type: ignore[untyped-decorator]
    def member_list(self, team: Team) -> SafeString | str:
        members = team.group.user_set.order_by("username")
        return (
            format_html_join(
                ", ",
                '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>{}',
                (
                    (
                        reverse("admin:policies_user_change", args=[user.pk]),
                        user.get_username(),
                        "" if user.is_active else " (deactivated)",
                    )
                    for user in members
                ),
            )
            or "nobody yet: give people this role on their pages"
        )

    @display(description="inbox")  # type: ignore[untyped-decorator]
    def inbox(self, team: Team) -> SafeString:
        """Where its members find it; whoever configures sees no request."""
        return format_html("<code>{}</code>", reverse("admin:inbox", args=[team.code]))
