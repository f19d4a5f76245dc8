"""Every combination that matters to "may this person?", and what the product says about each.

The question is always the same: a manager whose limit covers the amount must say yes, and this
person wants to. Their own limit is 500.00 EUR; whoever delegates to them is a manager.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from policies.roles import DECIDING_ROLES

LIMIT = 50_000
AMOUNTS = {"below": LIMIT - 1, "at": LIMIT, "one above": LIMIT + 1, "none": None}
CAPPED = LIMIT - 2  # below every amount there is
NEVER = ("ops admin", "auditor")  # held beside manager: the other role makes no difference
ROLES = (*DECIDING_ROLES, *NEVER, "")
OWN_HANDS = ("owner", "subject", "requester", "editor", "policy author", "already decided")
RELATIONS = ("none", *OWN_HANDS, "delegator involved")
DELEGATIONS = (
    "none", "valid", "expired", "revoked", "wrong scope", "capped below", "delegator over limit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One combination."""

    tier: int
    amount: str
    role: str
    relation: str
    active: bool
    superuser: bool
    delegation: str

    @property
    def minor(self) -> int | None:
        return AMOUNTS[self.amount]

    @property
    def groups(self) -> tuple[str, ...]:
        if self.role in NEVER:
            return ("manager", self.role)
        return (self.role,) if self.role else ()


def rows() -> Iterator[Row]:
    """All of them."""
    both = (True, False)
    for values in product(range(6), AMOUNTS, ROLES, RELATIONS, both, both, DELEGATIONS):
        yield Row(*values)


def may(row: Row) -> bool:
    """The product's rules as a person would state them; written without looking at the code.

    Neither the tier nor the superuser flag is asked about: authority is a group and a limit.
    """
    # People are deactivated, never deleted: a closed account decides nothing.
    if not row.active:
        return False
    # The ops admin configures and never decides; the auditor reads everything, changes nothing.
    if row.role in NEVER:
        return False
    # Four-eyes: whoever had a hand in it does not decide it; one person counts once.
    if row.relation in OWN_HANDS:
        return False
    # The group, and the largest amount the person may approve. Without money there is none.
    if row.role == "manager" and row.amount != "one above":
        return True
    # Somebody delegates their authority for a window, with a scope; it can be taken back.
    if row.delegation in ("none", "expired", "revoked", "wrong scope"):
        return False
    # Both must pass four-eyes.
    if row.relation == "delegator involved":
        return False
    # The lesser of the delegator's limit and the cap counts.
    return row.amount == "none" or (row.delegation == "valid" and row.amount != "one above")
