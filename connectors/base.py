"""What every connector can be asked, the values it answers with, and how one is put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from audit.lib.canonical import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Action:
    """One action to preview, execute or read back: its type's key and its validated params."""

    type: str
    params: JsonObject


FOREIGN = "external"
"""The authority of what a system says about itself, in words nobody here has checked."""


@dataclass(frozen=True, slots=True)
class SystemEvidence:
    """Something the connector read from the target system itself."""

    kind: str  # "customer_record", "source_record", "charge", ...
    title: str
    content: JsonObject
    uri: str = ""
    authority: str = "system of record"


LONGEST_GUARD = 300  # characters
LONGEST_SENTENCE = 400  # characters


@dataclass(frozen=True, slots=True)
class Preview:
    """The target as it is and as it would be.

    `target_version` changes whenever something this action depends on changes; execution
    compares it with the approved one. `unavailable` says why there is no preview; then the page
    says so, and `before` and `after` are empty.
    """

    before: JsonObject = field(default_factory=dict)
    after: JsonObject = field(default_factory=dict)
    target_version: str = ""
    unavailable: str = ""
    evidence: tuple[SystemEvidence, ...] = ()
    read_at: datetime | None = None
    """When the reading began, by the database's clock: who asked says so, no adapter does."""
    facts: Mapping[str, JsonValue] = field(default_factory=dict)
    """What policy may know about the target: "customer.segment", "customer.complaints_90d", ..."""
    offered: Mapping[str, JsonValue] = field(default_factory=dict)
    """The facts the operation itself declares, for rules about its action type."""
    guard: str = ""
    """The target's own mark of its version (ETag, SyncToken, "updated_at"): a write carries it.

    At most LONGEST_GUARD characters.
    """
    connection: str = ""
    """The reference of the connection it was read through: who asked says so, no adapter does."""
    sentence: str = ""
    """The effect with the names that were read, for people; what is done is the type's `effect`."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The outside system's reference for what it did."""

    reference: str
    summary: str
    detail: JsonObject = field(default_factory=dict)
    pre_image: JsonObject = field(default_factory=dict)
    """What the write replaced, as the target had it in the same operation where it can tell."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What an independent read found, and where it differs from what was approved."""

    observed: JsonObject
    differences: tuple[str, ...] = ()

    @property
    def matches(self) -> bool:
        return not self.differences


class ConnectorError(Exception):
    """The target refused this call, and the call did nothing there. The text is for people.

    `permanent` is False for what may go away by itself (429, connection refused before the
    request was sent): then the same call may be made again, after `retry_after` where the target
    names a time. It speaks of this call only: "there is one already" after a lost answer may be
    the lost call's own effect.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        code: str = "",
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.code = code
        self.retry_after = retry_after


class OutcomeUnknown(Exception):
    """The call went out and no trustworthy answer came back: timeout, reset, 5xx, half a body."""


class Connector(Protocol):
    """One outside system. Every method may raise ConnectorError; only `execute` OutcomeUnknown.

    No method is called with a database transaction open. Every exchange with the target ends
    within `settings.CONNECTOR_TIMEOUT`, and no method but `preview` needs more than two.
    """

    system: str

    def preview(self, action: Action) -> Preview:
        """Read the target now. Raises ConnectorError when it cannot be read."""

    def execute(self, action: Action, *, idempotency_key: str, guard: str = "") -> Receipt:
        """Do it, at most once as the action type's `proof` says.

        A guarded write carries `guard`, the approved version, and the target refuses it when it
        has moved. Raises ConnectorError (this call did nothing) or OutcomeUnknown.
        """

    def look_up(self, action: Action, *, idempotency_key: str) -> Receipt | None:
        """The receipt of that key where the target shows its effect; None while it does not."""

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        """Read the effect back by another way than the write's own answer."""

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        """The action that would undo it; proposed and approved like any other.

        Raises ConnectorError(permanent=True) when this effect cannot be undone.
        """


class Operation(Protocol):
    """What one action type needs; same promises as `connectors.base.Connector`."""

    def preview(self, action: Action) -> Preview: ...
    def execute(self, action: Action, key: str, guard: str) -> Receipt: ...
    def look_up(self, action: Action, key: str) -> Receipt | None: ...
    def verify(self, action: Action, receipt: Receipt) -> ReadBack: ...
    def compensate(self, action: Action, receipt: Receipt) -> Action: ...


class DispatchingConnector:
    """A Connector made of one operation per action type."""

    system: str

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self._operations = operations

    def preview(self, action: Action) -> Preview:
        return self._operation(action).preview(action)

    def execute(self, action: Action, *, idempotency_key: str, guard: str = "") -> Receipt:
        return self._operation(action).execute(action, idempotency_key, guard)

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


class ReadsApart:
    """Two connectors to one connection: the one that writes is asked for nothing else.

    A probe is left to it: whether its credential works shows in nothing else before a write.
    """

    _READS = frozenset({"preview", "look_up", "verify", "compensate"})

    def __init__(self, writer: Connector, reader: Connector) -> None:
        self._writer, self._reader = writer, reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader if name in self._READS else self._writer, name)


class UnconfiguredConnector(DispatchingConnector):
    """Stands for a system the installation does not have (any more): every call is refused.

    Requests from when it had one meet it, and end with people instead of in an error.
    """

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
