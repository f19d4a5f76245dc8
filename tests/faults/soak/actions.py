"""What is proposed: every operation in turn, each time on a target of its own.

A target of its own is a copy of what the doubles and the sandbox are furnished with, under another
name. So every effect out there is one action's, also where the target keeps no keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.sandbox.store import Store, Transaction

FIRST = 10_000
"""The number of the first action; nothing that the doubles are furnished with has one of these."""

Params = dict[str, Any]
Prepare = Callable[[Transaction, int], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One operation: its params for the n-th action, and what has to be there for them."""

    system: str
    key: str
    params: Callable[[int], Params]
    token: Callable[[int], str]
    """What a write for the n-th action, and no other, has in its path or body."""
    prepare: Prepare | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Planned:
    """One action to propose."""

    number: int
    kind: Kind
    params: Params = field(default_factory=dict)

    @property
    def token(self) -> str:
        return self.kind.token(self.number)


def planned(kinds: tuple[Kind, ...], number: int) -> Iterator[Planned]:
    """So many actions, every kind in turn."""
    turns = [kind for kind in kinds for _ in range(kind.weight)]
    for n in range(number):
        kind = turns[n % len(turns)]
        yield Planned(FIRST + n, kind, kind.params(FIRST + n))


def lay_out(stores: Mapping[str, Store], actions: list[Planned]) -> None:
    """Give every action its target."""
    for system, store in stores.items():
        with store.transaction(system) as transaction:
            for one in actions:
                if one.kind.system == system and one.kind.prepare is not None:
                    one.kind.prepare(transaction, one.number)


def copied(kind: str, name: str, of: str, to: Callable[[int], str], **changed: Any) -> Prepare:
    """Copies the object of that kind and name, with `of` replaced wherever it occurs in it."""

    def prepare(store: Transaction, n: int) -> None:
        found = store.get(kind, name)
        if found is None:
            raise LookupError(f"There is no {kind} {name}.")
        body = json.loads(json.dumps({**found, **changed}).replace(of, to(n)))
        store.put(kind, name.replace(of, to(n)), body)

    return prepare


def case_of(n: int) -> str:
    return f"Case {n}."
