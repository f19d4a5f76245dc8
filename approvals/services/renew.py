"""A new version of the same action, when what reviewers know about it changed.

Approvals count for the version they were given on. Whoever approved before the change looks
again; nothing else about the request moves.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from django.db.models import Model

from approvals.choices import DecisionVerdict
from approvals.models import ActionRequest
from approvals.services.route import create_requirements

M = TypeVar("M", bound=Model)


def void_approvals(request: ActionRequest, *, at: datetime) -> None:
    """Make the next version if somebody has approved this one. The caller saves the request.

    Content, reading, evidence, policy decision and requirements are the same, under the new
    version; the requirements are open again, escalated as far as they were.
    """
    version = request.version
    given = request.decisions.filter(version=version, verdict=DecisionVerdict.APPROVE)
    if not given.exists():
        return
    old = list(request.requirements.filter(version=version).order_by("id"))
    request.requirements.filter(is_open=True).update(is_open=False)
    request.version = version + 1
    for row in (
        request.contents.get(version=version),
        *request.readings.filter(version=version).order_by("id"),
        *request.evidence.filter(version=version).order_by("position"),
        *request.policy_decisions.filter(version=version).order_by("id"),
    ):
        _copy(row, version=request.version)
    new = create_requirements(request, tuple(requirement.spec for requirement in old))
    for before, after in zip(old, new, strict=True):
        if before.escalated_to:
            after.escalated_to = before.escalated_to
            after.save(update_fields=["escalated_to"])


def _copy(row: M, *, version: int) -> None:
    row.pk = None
    row._state.adding = True
    row.version = version  # type: ignore[attr-defined]
    row.save(force_insert=True)
