"""Accounts: created, given roles, deactivated; never deleted, never changed by their owner.

Roles are shown beside them. They are code, so nothing here changes them.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from audit.lib.admin import Answer, ReadOnlyAdmin, ReasonForm
from audit.lib.admin_filters import one_of
from policies.admin.access import actor_at, configures, person_at
from policies.admin.changes import WAITS, MayWaitAdmin, onwards, waiting_for
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, User
from policies.roles import NEVER_DECIDE, Role
from policies.services import accounts, passwords, people
from policies.services.ownership import ManagerRow, set_line_managers
from policies.teams import roles


def _role_names() -> list[tuple[str, str]]:
    return [(role.name, role.name) for role in roles()]


class NewPersonForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """A new account. Its roles wait for a second ops admin; then its owner is mailed a link."""

    roles = forms.MultipleChoiceField(
        required=False,
        choices=lambda: [(role.name, f"{role.name}: {role.description}") for role in roles()],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=WAITS,
    )
    same_person_as = forms.CharField(
        required=False,
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
        help_text='When they have an account already: "person" as that account has it. '
        "Two accounts of one person count once.",
    )

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email")


class PersonForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when run
    """What an account is called and where its mail goes; all else has an action of its own."""

    class Meta:
        model = User
        fields = ("first_name", "last_name", "email")


class RolesForm(ReasonForm):
    """Exactly these roles from now on."""

    roles = forms.MultipleChoiceField(required=False, choices=_role_names)


class PersonOfForm(ReasonForm):
    """Whose account it is."""

    person = forms.CharField(max_length=64)


class LineManagerForm(ReasonForm):
    """Who manages them, by user name; empty for nobody."""

    manager = forms.CharField(max_length=150, required=False)


@admin.register(User)
class UserAdmin(MayWaitAdmin):
    refusals = (PolicyError,)
    object_actions = (
        ("set_roles", RolesForm),
        ("password_link", ReasonForm),
        ("set_person", PersonOfForm),
        ("set_line_manager", LineManagerForm),
        ("deactivate", ReasonForm),
        ("reactivate", ReasonForm),
    )
    ordering = ("username",)
    sortable_by = ("username",)
    list_display = ("username", "full_name", "roles", "email", "status", "last_login")
    list_filter = (
        one_of("role", "groups__name", _role_names, parameter="role"),
        one_of("active", "is_active", lambda: [("1", "yes"), ("0", "no")]),
    )
    list_filter_submit = True
    search_fields = ("username",)
    search_help_text = "The beginning of a user name, or a whole mail address."
    fields = (
        "username", "first_name", "last_name", "email", "person", "line_manager", "roles", "status",
        "last_login", "date_joined",
    )  # fmt: skip
    add_fieldsets = (
        (
            None,
            {"fields": ("username", "first_name", "last_name", "email", "same_person_as", "roles")},
        ),
    )
    change_form_outer_after_template = "admin/policies/person.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        users: QuerySet[User] = super().get_queryset(request)
        return users.prefetch_related("groups")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        term = search_term.strip()
        if "@" in term:
            return queryset.filter(email=term), False
        return (queryset.filter(username__startswith=term) if term else queryset), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and configures(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes themselves; the person counts, not the account."""
        own = isinstance(obj, User) and obj.person == person_at(request).person
        return super().has_change_permission(request, obj) and configures(request) and not own

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return ()
        if self.has_change_permission(request, obj):
            return (
                "username", "person", "line_manager", "roles", "status", "last_login",
                "date_joined",
            )  # fmt: skip
        return self.fields

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        kwargs["form"] = PersonForm if change else NewPersonForm
        return super().get_form(request, obj, change=change, **kwargs)

    def call_service(
        self, request: HttpRequest, obj: Any, form: Any, *, change: bool
    ) -> User | AuthorityChange:
        values = form.cleaned_data
        if change:
            return accounts.change_details(
                obj.pk,
                actor=actor_at(request),
                email=values["email"],
                first_name=values["first_name"],
                last_name=values["last_name"],
            )
        return people.create_user(
            actor=actor_at(request),
            username=values["username"],
            roles=values["roles"],
            person=values["same_person_as"],
            email=values["email"],
            first_name=values["first_name"],
            last_name=values["last_name"],
        )

    def response_add(
        self, request: HttpRequest, obj: User, post_url_continue: str | None = None
    ) -> HttpResponse:
        """On to the account's page, which shows what waits for a second person."""
        if "_addanother" in request.POST or "_popup" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        messages.success(request, f"{obj.username} has an account, and no password yet.")
        return HttpResponseRedirect(self.address_of(obj))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = dict(extra_context or {})
        if object_id is not None:
            user = self.get_object(request, object_id)
            held = {group.name for group in user.groups.all()}
            context |= {
                "may_change": self.has_change_permission(request, user),
                "is_self": user.person == person_at(request).person,
                "waiting": waiting_for(user),
                "waits": WAITS,
                "role_choices": [(r.name, r.description, r.name in held) for r in roles()],
            }
        return super().changeform_view(request, object_id, form_url, context)

    def set_roles(self, request: HttpRequest, user: User, form: forms.Form) -> Answer:
        values = form.cleaned_data
        # Groups that are no role are left alone: this page neither shows nor takes them.
        others = Group.objects.filter(user=user).exclude(name__in=[role.name for role in roles()])
        changed = people.change_roles(
            user.pk,
            actor=actor_at(request),
            roles=[*values["roles"], *others.values_list("name", flat=True)],
            reason=values["reason"],
        )
        if isinstance(changed, AuthorityChange):
            return onwards(request, changed)
        return f"{user} has these roles now: {', '.join(values['roles']) or 'none'}."

    def password_link(self, request: HttpRequest, user: User, form: forms.Form) -> Answer:
        reason = form.cleaned_data["reason"]
        change = passwords.request_link(user.pk, actor=actor_at(request), reason=reason)
        return onwards(request, change)

    def set_person(self, request: HttpRequest, user: User, form: forms.Form) -> Answer:
        values = form.cleaned_data
        changed = accounts.change_person(
            user.pk, actor=actor_at(request), person=values["person"], reason=values["reason"]
        )
        if isinstance(changed, AuthorityChange):
            return onwards(request, changed)
        return f"{user} counts as {changed.person}."

    def set_line_manager(self, request: HttpRequest, user: User, form: forms.Form) -> Answer:
        said = form.cleaned_data
        row = ManagerRow(user.get_username(), said["manager"].strip())
        changed = set_line_managers([row], actor=actor_at(request), reason=said["reason"])
        if isinstance(changed, AuthorityChange):
            return onwards(request, changed)
        return f"The line manager of {user} is {said['manager'] or 'nobody'}."

    def deactivate(self, request: HttpRequest, user: User, form: forms.Form) -> Answer:
        people.deactivate(user.pk, actor=actor_at(request), reason=form.cleaned_data["reason"])
        return f"{user} is deactivated; what they decided stays."

    def reactivate(self, request: HttpRequest, user: User, form: forms.Form) -> Answer:
        opened = accounts.reactivate(
            user.pk, actor=actor_at(request), reason=form.cleaned_data["reason"]
        )
        if isinstance(opened, AuthorityChange):
            return onwards(request, opened)
        return f"{user} is active again. It has no roles."

    @display(description="name")  # type: ignore[untyped-decorator]
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @display(description="roles")  # type: ignore[untyped-decorator]
    def roles(self, user: User) -> str:
        names = sorted(group.name for group in user.groups.all())
        if user.is_superuser:
            names.append("superuser (reads everything, decides nothing)")
        return ", ".join(names) or "none"

    @display(  # type: ignore[untyped-decorator]
        description="status", label={"active": "success", "deactivated": "danger"}
    )
    def status(self, user: User) -> str:
        return "active" if user.is_active else "deactivated"


def _role(name: str) -> Role | None:
    return next((role for role in roles() if role.name == name), None)


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    ordering = ("name",)
    list_display = ("name", "description", "decides", "active_members")
    fields = readonly_fields = ("name", "description", "decides", "members", "opens")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        groups: QuerySet[Group] = super().get_queryset(request)
        return groups.prefetch_related("user_set")

    @display(description="what it is for")  # type: ignore[untyped-decorator]
    def description(self, group: Group) -> str:
        role = _role(group.name)
        return role.description if role else "No role of Countersign; it opens nothing here."

    @display(description="decides")  # type: ignore[untyped-decorator]
    def decides(self, group: Group) -> str:
        if group.name in NEVER_DECIDE:
            return "never, whatever other role its members hold"
        role = _role(group.name)
        return "yes, within limits" if role and role.decides else "no"

    @display(description="active members")  # type: ignore[untyped-decorator]
    def active_members(self, group: Group) -> int:
        return sum(user.is_active for user in group.user_set.all())

    @display(description="members")  # type: ignore[untyped-decorator]
    def members(self, group: Group) -> SafeString | str:
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
                    for user in group.user_set.all()
                ),
            )
            or "nobody"
        )

    @display(description="pages it opens")  # type: ignore[untyped-decorator]
    def opens(self, group: Group) -> SafeString | str:
        permissions = group.permissions.select_related("content_type").order_by(
            "content_type__app_label", "codename"
        )
        rows = ((f"{p.content_type.app_label}.{p.codename}",) for p in permissions)
        return format_html_join("", "<div><code>{}</code></div>", rows) or "none"
