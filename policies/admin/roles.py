"""Roles on screen: they are code, so nothing here changes them."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from audit.read_only_admin import ReadOnlyAdmin
from policies.roles import NEVER_DECIDE, ROLES, Role

_ROLES: dict[str, Role] = {role.name: role for role in ROLES}


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
        role = _ROLES.get(group.name)
        return role.description if role else "No role of Countersign; it opens nothing here."

    @display(description="decides")  # type: ignore[untyped-decorator]
    def decides(self, group: Group) -> str:
        if group.name in NEVER_DECIDE:
            return "never, whatever other role its members hold"
        role = _ROLES.get(group.name)
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
