"""What the contract suite asks of a real system, and of each operation there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import pytest

from connectors.base import Action, Connector
from tests.peers.proxy import Proxy
from tests.trials import IN_CI


class Peer(Protocol):
    """One private instance, furnished as new for each test."""

    system: str
    secret: str
    """What a wrong credential holds, so that it can be searched for."""

    def configure(self, **values: str) -> None:
        """Let the product talk to it; `values` replace those that are right."""

    def losing(self, case: Case, loss: str) -> AbstractContextManager[Proxy]:
        """Let the product talk to it through a proxy that loses answers to writes."""

    def wrong_credential(self) -> None:
        """Let the product talk to it with a credential it does not know."""


Look = Callable[[Any], object]


@dataclass(frozen=True)
class Case:
    """One operation on a real system."""

    peer: str
    """The fixture."""
    key: str
    params: Callable[[Any], Mapping[str, Any]]
    is_done: Callable[[Any], bool]
    """Is the effect there? Asked of the system by other means than ours."""
    names: tuple[str, ...] = ()
    """What reviewers read of who and what is meant."""
    prepare: Look = lambda peer: None
    move: Look | None = None
    """Change the target behind our back, so that what was approved is not what is there."""
    marker: bytes = b""
    """How its write looks on the wire, where the peer's own marker is not enough."""
    undone_by: str = ""

    def action(self, peer: Peer) -> Action:
        return Action(self.key, dict(self.params(peer)))

    @property
    def connector(self) -> Connector:
        from connectors.registry import action_type, connector_for  # settings have been read by now

        return connector_for(action_type(self.key))


def absent(reason: str) -> NoReturn:
    """Skip, and in CI fail: there everything is installed."""
    if IN_CI:
        pytest.fail(f"CI must run everything, and {reason}.", pytrace=False)
    pytest.skip(reason)
