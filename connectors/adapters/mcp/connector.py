"""Carrying out what people approved by one call of another MCP server's tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from audit.lib.canonical import JsonObject, canonical, digest_of
from connectors import http
from connectors.adapters.mcp.conversation import conversation
from connectors.adapters.mcp.file import ToolFile, ToolOperation, pin_of
from connectors.base import (
    FOREIGN,
    Action,
    ConnectorError,
    DispatchingConnector,
    OutcomeUnknown,
    Preview,
    ReadBack,
    Receipt,
    SystemEvidence,
    cannot_undo,
    compare,
)
from connectors.catalogue import masked
from connectors.declared.expressions import NoValue, Values
from connectors.declared.file import Answers, SystemFile
from connectors.declared.wire import Wire

_LONGEST_SAID = 4_000  # characters of what a server says that are kept


class ToolsConnector(DispatchingConnector):
    """One connection of a server whose tools are a file's operations."""

    def __init__(self, file: ToolFile, address: str, credential: str) -> None:
        self.system = file.card.system
        self._file = file
        # the address is the endpoint itself, whose last "/" counts
        self._wire = Wire(SystemFile(file.card, Answers(), ()), address, credential)
        self._tools = [_Tool(self._wire, file, one) for one in file.operations]
        super().__init__({one.key: one for one in self._tools})

    def probe(self) -> None:
        """Read the list of its tools. Raises ConnectorError."""
        self.changes()

    def changes(self) -> list[str]:
        """What about its tools is not as it was published, a sentence each."""
        with conversation(self._wire, self._file.revision) as talk:
            found = talk.tools()
        return list(filter(None, (tool.changed(found) for tool in self._tools)))


class _Tool:
    """One operation of the file; promises what `connectors.base.Operation` does."""

    def __init__(self, wire: Wire, file: ToolFile, operation: ToolOperation) -> None:
        self._wire, self._file, self._operation = wire, file, operation
        self.key = operation.type.key

    def preview(self, action: Action) -> Preview:
        """Whether the tool is the one that was published; nothing else can be read beforehand.

        Another definition is another version of the target: what was approved goes back to people,
        who see why, and that nothing can be approved until it was imported again.
        """
        with conversation(self._wire, self._file.revision) as talk:
            tools = talk.tools()
        problem = self.changed(tools)
        return Preview(
            after={"problem": problem} if problem else self._after(action),
            target_version=digest_of([pin_of(tools.get(name, {})) for name in self._pins()]),
            evidence=self._what_it_says(tools),
        )

    def _after(self, action: Action) -> JsonObject:
        operation = self._operation
        if operation.read_back is None:
            return {"arguments": masked(operation.type.schema, action.params)}
        with _computed(self._wire.system):
            after: JsonObject = operation.read_back.after.of(Values(action.params))
            return after

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        operation = self._operation
        with conversation(self._wire, self._file.revision) as talk:
            if problem := self.changed(talk.tools()):
                raise ConnectorError(
                    f"Nothing was sent. {problem}", permanent=True, code="definition_changed"
                )
            result = talk.call(operation.tool, action.params)
            reference = f"answer {digest_of(result.body)[:16]}"
            try:
                if operation.reference is not None:
                    reference = operation.reference.of(Values(action.params, body=result.body))
            except NoValue as error:
                raise OutcomeUnknown(
                    f"{self._wire.system} answered without what the effect is known by."
                ) from error
        said = self._wire.without_secrets(canonical(result.body))
        summary = f"{self._wire.system} answered the call of {operation.tool}."
        return Receipt(reference[:200], summary, {"system": self._file.card.system, "said": said})

    def look_up(self, action: Action, key: str) -> Receipt | None:
        return None

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        read_back = self._operation.read_back
        if read_back is None:
            raise ConnectorError(
                "Verification is not available: no tool that reads it back was declared.",
                permanent=True,
                code="no_read_back",
            )
        values = Values(action.params, reference=receipt.reference)
        with conversation(self._wire, self._file.revision) as talk:
            if problem := self.changed(talk.tools(), read_back.tool):
                raise ConnectorError(problem, permanent=True, code="definition_changed")
            with _computed(self._wire.system):
                arguments = read_back.arguments.of(values)
            result = talk.read(read_back.tool, arguments)
        with http.reading(self._wire.system), _computed(self._wire.system):
            observed = read_back.state.of(Values(action.params, body=result.body))
            return ReadBack(observed, compare(read_back.after.of(values), observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        raise cannot_undo("No tool is known that takes back what this one does.")

    def _pins(self) -> dict[str, str]:
        """The digest that was published of each tool it needs."""
        operation = self._operation
        read_back = operation.read_back
        also = {read_back.tool: read_back.pin} if read_back else {}
        return {**also, operation.tool: operation.pin}

    def changed(self, tools: Mapping[str, JsonObject], *needed: str) -> str:
        """Why the tools are not those that were published; empty when they are."""
        for name, pin in self._pins().items():
            if needed and name not in needed:
                continue
            if name not in tools:
                return f"{self._wire.system} has no tool {name} any more."
            if pin_of(tools[name]) != pin:
                return (
                    f"{self._wire.system} has changed what it says its tool {name} is since that "
                    "was reviewed here; it has to be imported and reviewed again."
                )
        return ""

    def _what_it_says(self, tools: Mapping[str, JsonObject]) -> tuple[SystemEvidence, ...]:
        """The tool in the server's own words, which nobody has checked."""
        definition = tools.get(self._operation.tool)
        pin = pin_of(definition) if definition else ""
        if definition is None or not pin:
            return ()
        told = {
            name: _cut(definition[name])
            for name in ("title", "description", "annotations")
            if definition.get(name)
        }
        told["definition"] = pin
        title = f"What {self._wire.system} says about its tool {self._operation.tool}"
        return (SystemEvidence("tool_definition", title, told, authority=FOREIGN),)


def _cut(value: object) -> str:
    text = value if isinstance(value, str) else canonical(value)  # type: ignore[arg-type]
    return text if len(text) <= _LONGEST_SAID else f"{text[:_LONGEST_SAID]}..."


@contextmanager
def _computed(system: str) -> Iterator[None]:
    """What the file computes has to come to something."""
    try:
        yield
    except NoValue as error:
        raise ConnectorError(
            f"{system} does not fit the file: {error}.", permanent=False, code="no_value"
        ) from error
