"""The pages about policy, people and authority; importing them registers them."""

from policies.admin import (
    absences,
    changes,
    delegations,
    limits,
    owners,
    people,
    rates,
    replays,
    teams,
    versions,
)

__all__ = [
    "absences",
    "changes",
    "delegations",
    "limits",
    "owners",
    "people",
    "rates",
    "replays",
    "teams",
    "versions",
]
