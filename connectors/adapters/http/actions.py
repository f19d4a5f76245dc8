"""How one action type is spoken over HTTP: a declaration, read by `HttpConnector`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from audit.canonical import JsonObject, JsonValue
from connectors.base import Action, Receipt
from connectors.http import UnreadableAnswer


@dataclass(frozen=True, slots=True)
class EvidenceRead:
    """One more record of the target that reviewers should see."""

    kind: str
    title: str  # may name params: "User {user}"
    path: str


def _id_and_previous(answer: JsonObject) -> tuple[str, JsonObject]:
    """The reference and the replaced state, where an answer has them at its top level."""
    reference, previous = answer.get("id"), answer.get("previous", {})
    if not isinstance(reference, str) or not reference or not isinstance(previous, Mapping):
        raise UnreadableAnswer("The answer names no id.")
    return reference, previous


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One action type on the wire.

    Paths name params as `{name}` (`{reference}` is the receipt's); each is quoted, so a value can
    never become another path. `state` and `wanted` speak of the same keys: what the target says
    now, and what it must say afterwards.
    """

    method: str
    path: str
    body: Callable[[JsonObject], JsonObject]
    read_path: str
    state: Callable[[JsonObject, JsonObject], JsonObject]  # (answer, params)
    wanted: Callable[[JsonObject], JsonObject]
    undo: Callable[[JsonObject, Receipt], Action]  # raises `cannot_undo(...)` where it cannot
    summary: Callable[[JsonObject], str]
    receipt: Callable[[JsonObject], tuple[str, JsonObject]] = _id_and_previous
    verify_path: str = ""  # where the effect is read back; `read_path` when empty
    verify_state: Callable[[JsonObject, JsonObject], JsonObject] | None = None
    evidence: tuple[EvidenceRead, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSystem:
    """One system: its action types, and what its idempotency promises.

    Every write carries `Idempotency-Key`; `lookup_path?idempotency_key=...` answers
    `{"changes": [...]}` with the write's own answer, or none.
    """

    system: str
    lookup_path: str
    key_window_seconds: int
    exchanges: Mapping[str, Exchange] = field(default_factory=dict)


def record_of(answer: JsonObject, *names: str) -> dict[str, JsonValue]:
    """Those fields of an answer; raises UnreadableAnswer when one is missing."""
    try:
        return {name: answer[name] for name in names}
    except KeyError as error:
        raise UnreadableAnswer(f"The answer has no {error}.") from error
