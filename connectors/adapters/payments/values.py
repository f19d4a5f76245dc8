"""What the payments API holds, as small typed values; money in minor units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audit.money import Money


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    name: str
    email: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Charge:
    id: str
    amount: Money
    amount_refunded: Money
    customer: str
    description: str
    status: str
    disputed: bool

    @property
    def refundable(self) -> Money:
        return Money(self.amount.minor - self.amount_refunded.minor, self.amount.currency)


@dataclass(frozen=True, slots=True)
class Refund:
    id: str
    charge: str
    amount: Money
    status: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Vendor:
    id: str
    name: str
    country: str
    payouts_enabled: bool
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Transfer:
    id: str
    vendor: str
    amount: Money
    amount_reversed: Money
    invoice: str
    metadata: Mapping[str, str]

    @property
    def reversible(self) -> Money:
        return Money(self.amount.minor - self.amount_reversed.minor, self.amount.currency)


@dataclass(frozen=True, slots=True)
class Reversal:
    id: str
    transfer: str
    amount: Money
    metadata: Mapping[str, str]
