"""What a claim rests on, held as it is until the transaction ends.

Shared locks, which the ORM does not know: workers do not wait for each other, and whoever cuts a
limit, closes an account, takes a role away or publishes a policy waits for the claim, or the claim
sees it. SQLite has one writer at a time and needs none of it.
"""

from __future__ import annotations

from typing import Any

from django.db import connection

from approvals.choices import FINAL_VERDICTS
from approvals.models import ActionRequest
from approvals.selectors.authority import people_in

_HELD = (
    # in the order the services that change them lock them: people, roles, limits, policy
    "SELECT 1 FROM policies_user WHERE person = ANY(%(persons)s) "
    "OR id = ANY(%(accounts)s) ORDER BY id FOR SHARE",
    """
    SELECT 1 FROM auth_group WHERE id IN (
        SELECT m.group_id FROM policies_user_groups m JOIN policies_user u ON u.id = m.user_id
        WHERE u.person = ANY(%(persons)s)
    ) ORDER BY id FOR SHARE
    """,
    """
    SELECT 1 FROM policies_approvallimit WHERE valid AND (
        user_id IN (SELECT id FROM policies_user WHERE person = ANY(%(persons)s))
        OR group_id IN (
            SELECT m.group_id FROM policies_user_groups m JOIN policies_user u ON u.id = m.user_id
            WHERE u.person = ANY(%(persons)s)
        )
    ) ORDER BY id FOR SHARE
    """,
    """
    SELECT 1 FROM policies_delegation WHERE id IN (
        SELECT delegation_id FROM approvals_decision
        WHERE request_id = %(request)s AND delegation_id IS NOT NULL
    ) ORDER BY id FOR SHARE
    """,
    "SELECT 1 FROM policies_policyversion WHERE status = 'published' FOR SHARE",
)


def hold_grounds_of(request: ActionRequest) -> None:
    """Hold the people who approved and started it, their roles and limits, and the policy."""
    if connection.vendor != "postgresql":
        return
    given = request.decisions.filter(version=request.version, verdict__in=FINAL_VERDICTS)
    accounts = {a for pair in given.values_list("decider", "delegation__lender") for a in pair if a}
    values: dict[str, Any] = {
        "persons": sorted(people_in(given)),
        "accounts": sorted(accounts | _starters(request)),
        "request": request.pk,
    }
    with connection.cursor() as cursor:
        for statement in _HELD:
            cursor.execute(statement, values)


def _starters(request: ActionRequest) -> set[int]:
    started = request.grants.exclude(started_by=None)
    return set(started.values_list("started_by", flat=True))
