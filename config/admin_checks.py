"""Every admin page keeps the house's rules: guarded base, no deleting, no unguarded action."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.core.checks import CheckMessage, Error, Tags, register

from audit.lib.admin import ReadOnlyAdmin, ServiceAdmin

_ACTION_OPTIONS = (
    "actions",
    "actions_list",
    "actions_row",
    "actions_detail",
    "actions_submit_line",
)


@register(Tags.admin)
def check_admin_pages(**kwargs: Any) -> list[CheckMessage]:
    """Look at what is registered on the site people use."""
    return list(problems_of(admin.site))


def problems_of(site: AdminSite) -> Iterator[CheckMessage]:
    """What is wrong with the pages of one site."""
    for model_admin in site._registry.values():
        name = type(model_admin).__name__
        if not isinstance(model_admin, (ReadOnlyAdmin, ServiceAdmin)):
            yield _error(
                20, name, "is neither a ReadOnlyAdmin nor a ServiceAdmin: it writes past services."
            )
            continue
        if model_admin.list_editable:
            yield _error(21, name, "has list_editable, which saves without a service.")
        if type(model_admin).has_delete_permission is not ReadOnlyAdmin.has_delete_permission:
            yield _error(22, name, "decides about deleting: nothing here is ever deleted.")
        if isinstance(model_admin, ReadOnlyAdmin):
            yield from _stays_read_only(model_admin)
        for inline in model_admin.inlines:
            if inline.can_delete or inline.max_num != 0:
                yield _error(23, name, f"has {inline.__name__}, which adds or deletes rows.")
        for action in _unguarded_actions(model_admin):
            yield _error(24, name, f"lets anybody run {action}: it names no permissions.")


def _stays_read_only(model_admin: ReadOnlyAdmin) -> Iterator[CheckMessage]:
    for method in ("has_add_permission", "has_change_permission"):
        if getattr(type(model_admin), method) is not getattr(ReadOnlyAdmin, method):
            yield _error(25, type(model_admin).__name__, f"overrides {method} of ReadOnlyAdmin.")


def _unguarded_actions(model_admin: Any) -> Iterator[str]:
    for option in _ACTION_OPTIONS:
        for action in _flat(getattr(model_admin, option, None) or ()):
            function = action if callable(action) else getattr(model_admin, action, None)
            if not getattr(function, "allowed_permissions", None):
                yield getattr(action, "__name__", str(action))


def _flat(actions: Iterable[Any]) -> Iterator[Any]:
    for action in actions:
        if isinstance(action, dict):  # the theme's drop-down: a title and its items
            yield from action.get("items", ())
        else:
            yield action


def _error(number: int, name: str, problem: str) -> CheckMessage:
    return Error(
        f"{name} {problem}",
        hint="Derive from audit.lib.admin and give every change its own page and service.",
        id=f"countersign.E{number:03}",
    )
