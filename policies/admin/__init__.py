"""The pages of this room; importing them registers them."""

from policies.admin import (
    absences,
    changes,
    delegations,
    limits,
    people,
    rates,
    replays,
    roles,
    versions,
)

__all__ = [
    "absences",
    "changes",
    "delegations",
    "limits",
    "people",
    "rates",
    "replays",
    "roles",
    "versions",
]
