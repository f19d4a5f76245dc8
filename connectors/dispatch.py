"""One operation per action type, and the connector that hands each action to its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from audit.canonical import JsonObject
from connectors.base import Action, ConnectorError, Preview, ReadBack, Receipt, SystemEvidence


class Operation(Protocol):
    """What one action type needs; same promises as `connectors.base.Connector`."""

    def preview(self, action: Action) -> Preview: ...
    def execute(self, action: Action, key: str) -> Receipt: ...
    def look_up(self, action: Action, key: str) -> Receipt | None: ...
    def verify(self, action: Action, receipt: Receipt) -> ReadBack: ...
    def compensate(self, action: Action, receipt: Receipt) -> Action: ...


class DispatchingConnector:
    """A Connector made of one operation per action type."""

    system: str
    idempotent: bool
    key_window_seconds: int
    can_look_up: bool

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self._operations = operations

    def preview(self, action: Action) -> Preview:
        return self._operation(action).preview(action)

    def execute(self, action: Action, *, idempotency_key: str) -> Receipt:
        return self._operation(action).execute(action, idempotency_key)

    def look_up(self, action: Action, *, idempotency_key: str) -> Receipt | None:
        return self._operation(action).look_up(action, idempotency_key)

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        return self._operation(action).verify(action, receipt)

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        return self._operation(action).compensate(action, receipt)

    def _operation(self, action: Action) -> Operation:
        try:
            return self._operations[action.type]
        except KeyError:
            raise ConnectorError(
                f"The connector for {self.system} cannot carry out {action.type}.",
                permanent=True,
                code="unsupported",
            ) from None


class UnconfiguredConnector(DispatchingConnector):
    """Stands for a system the installation does not have (any more): every call is refused.

    Requests from when it had one meet it, and end with people instead of in an error.
    """

    idempotent = False
    key_window_seconds = 0
    can_look_up = False

    def __init__(self, system: str) -> None:
        self.system = system
        super().__init__({})

    def _operation(self, action: Action) -> Operation:
        raise ConnectorError(
            f"The system {self.system} is not configured here; nothing was sent.",
            permanent=True,
            code="not_configured",
        )


def cannot_undo(sentence: str) -> ConnectorError:
    """The honest answer of `compensate` where nothing takes the effect back."""
    return ConnectorError(sentence, permanent=True, code="irreversible")


def compare(expected: Mapping[str, object], observed: Mapping[str, object]) -> tuple[str, ...]:
    """One sentence per field whose observed value is not the approved one."""
    return tuple(
        f"{name} is {observed.get(name)!r}; approved was {wanted!r}."
        for name, wanted in expected.items()
        if observed.get(name) != wanted
    )


def read_now(kind: str, title: str, content: JsonObject) -> SystemEvidence:
    """Evidence just read from the target."""
    return SystemEvidence(kind, title, content, retrieved_at=datetime.now(UTC))
