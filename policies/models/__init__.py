"""What policy and authority keep: people, limits, lent authority, versions, replays, rates."""

from policies.models.authority import Absence, AuthorityChange, Delegation, Reauthentication
from policies.models.limits import ApprovalLimit
from policies.models.people import User
from policies.models.rates import ExchangeRate
from policies.models.replays import Backtest, BacktestFlip, ShadowVerdict
from policies.models.versions import PolicyEdit, PolicyVersion

__all__ = [
    "Absence",
    "ApprovalLimit",
    "AuthorityChange",
    "Backtest",
    "BacktestFlip",
    "Delegation",
    "ExchangeRate",
    "PolicyEdit",
    "PolicyVersion",
    "Reauthentication",
    "ShadowVerdict",
    "User",
]
