"""Carrying out what a system's file declares: JSON over HTTP, one write a call.

Whatever a call needs is asked over one client, whose requests together end in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx

from audit.lib.canonical import JsonObject, JsonValue, digest_of
from connectors import http
from connectors.base import (
    LONGEST_SENTENCE,
    Action,
    ConnectorError,
    DispatchingConnector,
    Preview,
    ReadBack,
    Receipt,
    SystemEvidence,
    cannot_undo,
    compare,
)
from connectors.catalogue import Proof
from connectors.declared.expressions import NoValue, Template, Values
from connectors.declared.file import Card, KeyForm, Meaning, Operation, SystemFile
from connectors.declared.wire import Wire
from connectors.http import SignsIn, UnreadableAnswer

_LONGEST_TITLE = 200  # characters


class DeclaredConnector(DispatchingConnector):
    """One connection of a system that is a file."""

    def __init__(self, file: SystemFile, base_url: str, credential: str) -> None:
        self.system = file.card.system
        address = base_url.rstrip("/")
        self.login: SignsIn | None = None
        self._wire = Wire(file, address, credential)
        super().__init__({one.type.key: _Declared(self._wire, one) for one in file.operations})

    def use(self, login: SignsIn) -> None:
        """Show the tokens of that login; for systems that give some."""
        self.login = self._wire.login = login

    def probe(self) -> None:
        """Read what only a good credential may read, where the file names it.

        Raises ConnectorError.
        """
        if path := self._wire.file.card.probe:
            with self._wire.open() as client:
                self._wire.record(client, Template((path,), ()), Values({}))


class _Declared:
    """One operation of the file; promises what `connectors.base.Operation` does."""

    def __init__(self, wire: Wire, operation: Operation) -> None:
        self._wire = wire
        self._operation = operation

    def preview(self, action: Action) -> Preview:
        read, values = self._operation.read, Values(action.params)
        with self._wire.open() as client:
            found = self._wire.record(client, read.path, values)
            evidence, found = self._with_evidence(client, found)
        with _answered(self._wire.system):
            before = read.before.of(found)
            refusals = (one.says.sentence(found) for one in read.refusals if one.when.of(found))
            refused = next(refusals, "")
            return Preview(
                before=before,
                after={"problem": refused} if refused else self._operation.after.of(values),
                target_version=digest_of(before),
                guard=read.guard.of(found) if read.guard else "",
                evidence=evidence,
                sentence=self._sentence(found),
                offered={fact.name: fact.value.of(found) for fact in self._operation.facts},
            )

    def _sentence(self, found: Values) -> str:
        """What people read first; a name that is missing is no reason to go without a preview."""
        try:
            named = self._operation.read.sentence
            return named.sentence(found)[:LONGEST_SENTENCE] if named else ""
        except NoValue:
            return ""

    def _with_evidence(
        self, client: httpx.Client, target: Values
    ) -> tuple[tuple[SystemEvidence, ...], Values]:
        """What else reviewers see, and the target with those of it that have a name."""
        shown, records = [], dict[str, JsonValue]()
        for one in self._operation.read.evidence:
            values = replace(target, records=records)
            with _answered(self._wire.system):
                if one.when is not None and not one.when.of(values):
                    continue
            found = self._wire.record(client, one.path, values)
            with _answered(self._wire.system):
                body = found.body
                if not isinstance(body, dict):
                    raise UnreadableAnswer("The record is no JSON object.")
                title = one.title.sentence(found)[:_LONGEST_TITLE]
                shown.append(SystemEvidence(one.kind, title, body))
            if one.name:
                records = {**records, one.name: body}
        return tuple(shown), replace(target, records=records)

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        write, values = self._operation.write, self._values(action, key, guard)
        # a settled write carries the version of targets that announce one, and goes without
        is_settled = self._operation.type.at_most_once.proof is Proof.SETTLED
        if self._operation.read.guard is not None and not is_settled and not guard:
            raise ConnectorError(
                "The target's version is not known, and the write must carry it; nothing was sent.",
                permanent=True,
                code="no_guard",
            )
        before: JsonObject = {}
        with self._wire.open() as client:
            if write.previous is None:
                found = self._wire.record(client, self._operation.read.path, values)
                with _answered(self._wire.system):
                    before = self._operation.read.before.of(found)
            meaning, answer = self._wire.write(client, self._operation, values)
        if meaning is Meaning.ALREADY_SO:
            summary = f"{write.summary.sentence(values)} It was so already; nothing was changed."
            return Receipt("already so", summary, {"system": self._wire.file.card.system})
        with http.writing(self._wire.system), _read_by_file():
            return self._receipt(answer.over(values), before)

    def look_up(self, action: Action, key: str) -> Receipt | None:
        look_up = self._operation.look_up
        if look_up is None:
            return None
        values = self._values(action, key, "")
        with self._wire.open() as client:
            answer = self._wire.read(client, look_up.path, values)
        if answer.status >= 500 or answer.status in {401, 403, 408, 425, 429}:
            http.refuse_read(self._wire.system, answer.status, answer.reason)
        with _answered(self._wire.system):
            found: Any = look_up.found.of(answer.over(values))
            return None if found is None else self._receipt(replace(values, body=found), {})

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        operation, values = self._operation, Values(action.params, reference=receipt.reference)
        path = operation.verify.path if operation.verify else operation.read.path
        with self._wire.open() as client:
            answer = self._wire.read(client, path, values)
        if answer.status in {404, 410}:
            return ReadBack({}, ("The target has no such record any more.",))
        if answer.status != 200:
            http.refuse_read(self._wire.system, answer.status, answer.reason)
        state = operation.verify.state if operation.verify else operation.read.before
        with _answered(self._wire.system):
            observed = state.of(answer.over(values))
            return ReadBack(observed, compare(operation.after.of(values), observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        values = Values(
            action.params, reference=receipt.reference, previous=dict(receipt.pre_image)
        )
        try:
            for way in self._operation.undo:
                if way.when is None or way.when.of(values):
                    if way.params is None:
                        raise cannot_undo(way.refuse)
                    return Action(way.action, way.params.of(values))
        except NoValue:
            raise cannot_undo(f"{self._wire.system} did not tell the earlier state.") from None
        raise cannot_undo("This effect has no way back.")

    def _values(self, action: Action, key: str, guard: str) -> Values:
        return Values(action.params, key=wire_key(self._wire.file.card, key), guard=guard)

    def _receipt(self, values: Values, before: JsonObject) -> Receipt:
        write = self._operation.write
        reference = write.reference.of(values)
        if not reference:
            raise UnreadableAnswer("The answer names no reference.")
        return Receipt(
            reference[:200],
            write.summary.sentence(values),
            {"system": self._wire.file.card.system},
            write.previous.of(values) if write.previous else before,
        )


def wire_key(card: Card, key: str) -> str:
    """Our key as that system takes it: the same one every time."""
    if card.key.form is KeyForm.UUID:
        return str(UUID(digest_of(key)[:32]))
    return key[: card.key.longest]


@contextmanager
def _read_by_file() -> Iterator[None]:
    """An answer that is not as the file says cannot be relied on."""
    try:
        yield
    except NoValue as error:
        raise UnreadableAnswer(str(error)) from error


@contextmanager
def _answered(system: str) -> Iterator[None]:
    with http.reading(system), _read_by_file():
        yield
