"""The sidebar: the same groups for everybody, each showing what its reader may see.

Built from what is registered and from the reader's permissions, so that no link leads to a 403.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NotRequired, TypedDict, cast

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst

from approvals.selectors.break_glass import unreviewed_badge
from approvals.selectors.inbox import inbox_name, inboxes_of
from policies.admin.changes import waiting_badge
from policies.models import User


class Item(TypedDict):
    """One link, as the theme takes it."""

    title: str
    icon: str
    link: str
    badge: NotRequired[str]


class Section(TypedDict):
    """One titled group of links."""

    title: str
    separator: bool
    items: list[Item]


@dataclass(frozen=True, slots=True)
class _Group:
    """`models` are labels; a `*` stands for anything, and takes what no group names outright.

    `beside` names a page; only those who may see that one are shown the group.
    """

    title: str
    icon: str
    models: tuple[str, ...]
    beside: str = ""


_GROUPS = (
    _Group(
        "Records",
        "receipt_long",
        (
            "approvals.actionrequest",
            "approvals.decision",
            "approvals.plan",
            "approvals.execution",
            "approvals.escalation",
            "approvals.breakglass",
        ),
    ),
    _Group("Pauses", "pause_circle", ("approvals.pause", "approvals.firedtrigger")),
    _Group("Connections", "cable", ("connectors.connection",)),
    _Group(
        "Agents",
        "smart_toy",
        (
            "approvals.agent",
            "approvals.agentkey",
            "approvals.workloadidentity",
            "approvals.signingkey",
            "approvals.webhookdelivery",
        ),
    ),
    _Group(
        "Limits",
        "speed",
        ("policies.approvallimit", "policies.delegation", "policies.authoritychange"),
    ),
    _Group("Policies", "rule", ("policies.policyversion", "policies.*")),
    _Group("Trail", "history", ("audit.*",)),
    _Group(
        "People",
        "group",
        ("policies.user", "policies.team", "policies.ownership", "policies.absence", "auth.*"),
    ),
    # Table by table, for those who audit; everybody else meets these rows on a request's page.
    _Group("Details", "table_rows", ("approvals.*",), beside="audit.auditevent"),
)


_BADGES: dict[str, Callable[[HttpRequest], str]] = {
    "policies.authoritychange": waiting_badge,
    "approvals.breakglass": lambda request: unreviewed_badge(cast(User, request.user)),
}
"""How many rows wait behind a link; no badge when none does."""


def sidebar(request: HttpRequest) -> list[Section]:
    """The links this person may follow, group by group; empty ones are left out."""
    seen = _visible(request)
    sections = [
        Section(title="", separator=False, items=[_item("Today", "home", reverse("admin:index"))])
    ]
    if inboxes := _inboxes(request):
        sections.append(Section(title="Inboxes", separator=True, items=inboxes))
    placed = _placed(seen)
    for group in _GROUPS:
        items = [
            _item(
                seen[label],
                group.icon,
                reverse(f"admin:{label.replace('.', '_')}_changelist"),
                badge=_BADGES[label](request) if label in _BADGES else "",
            )
            for label in placed[group.title]
        ]
        if items and (not group.beside or group.beside in seen):
            sections.append(Section(title=group.title, separator=True, items=items))
    return sections


def _inboxes(request: HttpRequest) -> list[Item]:
    user = cast(User, request.user)
    return [
        _item(
            inbox_name(team, viewer=user),
            "inbox",
            reverse("admin:inbox", args=[team]),
        )
        for team in inboxes_of(user)
    ]


def _visible(request: HttpRequest) -> dict[str, str]:
    """Label to title of every page this person may open."""
    return {
        model._meta.label_lower: capfirst(str(model._meta.verbose_name_plural))
        for model, page in admin.site._registry.items()
        if page.has_module_permission(request) and page.has_view_permission(request)
    }


def _placed(labels: dict[str, str]) -> dict[str, list[str]]:
    """Each label into one group: named ones first, then what a group takes in by its pattern."""
    placed: dict[str, list[str]] = {group.title: [] for group in _GROUPS}
    left = list(labels)
    for wildcard in (False, True):
        for group in _GROUPS:
            for pattern in group.models:
                if ("*" in pattern) is not wildcard:
                    continue
                taken = [label for label in left if _matches(label, pattern)]
                placed[group.title] += sorted(taken, key=labels.__getitem__)
                left = [label for label in left if label not in taken]
    return placed


def _matches(label: str, pattern: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return label == pattern
    return label.startswith(before) and label.endswith(after)


def _item(title: str, icon: str, link: str, *, badge: str = "") -> Item:
    item = Item(title=title, icon=icon, link=link)
    if badge:
        item["badge"] = badge
    return item
