"""Checking a document against who there is and what there is, by `policies.checks.lint`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol, cast

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from policies.checks import lint
from policies.checks.findings import Finding
from policies.checks.reach import HeldLimit, Member, People
from policies.document import Document
from policies.models import ApprovalLimit, User
from policies.services.evaluation import active_version, document_of


class _ActionType(Protocol):
    @property
    def key(self) -> str: ...


def check(document: Document, before: Document | None, *, text: str = "") -> tuple[Finding, ...]:
    """What the static checks find in the document today, held against the one before it.

    With the document's `text`, findings about rules say on which line.
    """
    return lint.findings(
        document,
        before=before,
        people=people_now(),
        action_types=known_action_types(),
        today=timezone.localdate(),
        text=text,
    )


def document_in_force() -> Document | None:
    """The published document; None when there is none, or none that can be read."""
    version = active_version()
    document = document_of(version) if version else None
    return document if isinstance(document, Document) else None


def known_action_types() -> frozenset[str]:
    """Keys of every action type this deployment has."""
    action_types = cast(
        "Callable[[], Iterable[_ActionType]]", import_string(settings.POLICY_ACTION_TYPES)
    )
    return frozenset(item.key for item in action_types())


def people_now() -> People:
    """Everybody with a role and everybody's limits, in two statements."""
    decides_in: defaultdict[str, set[str]] = defaultdict(set)
    roles: defaultdict[str, set[str]] = defaultdict(set)
    rows = User.objects.filter(groups__isnull=False).order_by()
    for person, is_active, group in rows.values_list("person", "is_active", "groups__name"):
        roles[person].add(group)
        if is_active:
            decides_in[person].add(group)
    limits = ApprovalLimit.objects.filter(valid=True).order_by()
    held = limits.values_list(
        "user__person", "group__name", "action_type", "currency", "each_minor"
    )
    return People(
        members=tuple(
            Member(person, frozenset(decides_in[person]), frozenset(found))
            for person, found in roles.items()
        ),
        limits=tuple(
            HeldLimit(person or "", group or "", action_type, currency, each_minor)
            for person, group, action_type, currency, each_minor in held
        ),
    )
