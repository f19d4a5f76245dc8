"""What policy and authority keep: people, limits, lent authority, versions, replays, rates."""

from policies.models.authority import (
    Absence,
    ApprovalLimit,
    AuthorityChange,
    Delegation,
    ExchangeRate,
    Reauthentication,
)
from policies.models.people import User
from policies.models.replays import Backtest, BacktestFlip, ShadowVerdict
from policies.models.teams import Ownership, Team
from policies.models.versions import PolicyEdit, PolicyVersion

__all__ = [
    "Absence",
    "ApprovalLimit",
    "AuthorityChange",
    "Backtest",
    "BacktestFlip",
    "Delegation",
    "ExchangeRate",
    "Ownership",
    "PolicyEdit",
    "PolicyVersion",
    "Reauthentication",
    "ShadowVerdict",
    "Team",
    "User",
]
