"""A system whose actions agents carry out themselves: a shell, a deployment, a browser.

Its file has a card and operations without a wire. There is nothing to connect to, nothing to read
and nothing to undo: people approve exact params, and the agent does that once, on a grant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from audit.lib.canonical import JsonObject, digest_of
from audit.lib.yaml_reader import Reader
from audit.lib.yaml_source import Problem, YamlError, compose
from connectors.base import (
    Action,
    ConnectorError,
    DispatchingConnector,
    Preview,
    ReadBack,
    Receipt,
    cannot_undo,
)
from connectors.catalogue import (
    ActionType,
    AtMostOnce,
    CarriedOutBy,
    Proof,
    Reversibility,
    Verb,
)
from connectors.declared import lint
from connectors.declared.card import card_without_wire
from connectors.declared.expressions import Expression, Kind, Language, NoValue, Values
from connectors.declared.file import Card
from connectors.declared.operation import derived, read_example
from connectors.declared.params import closed, read_params
from connectors.declared.reading import (
    IN_PARAMS,
    Computed,
    check_action_key,
    one_of,
    plain,
    texts,
)

LEASE_MINUTES = 10
"""How long an agent has for its report where its operation says nothing."""
LONGEST_LEASE_MINUTES = 24 * 60

_NEEDED = ("title", "version", "verb", "reversibility", "params", "target", "effect", "after",
           "undo")  # fmt: skip
_OPTIONAL = ("optional", "protected", "counterparty", "amount", "currency", "supervised",
             "lease_minutes", "example")  # fmt: skip
_NO_WAY_BACK = (Reversibility.READ_ONLY, Reversibility.IRREVERSIBLE)


@dataclass(frozen=True, slots=True)
class AgentsOperation:
    """One action type, and what is said to be so once it is done: nobody here reads it."""

    type: ActionType
    after: Expression


@dataclass(frozen=True, slots=True)
class AgentFile:
    """Everything one file says."""

    card: Card
    operations: tuple[AgentsOperation, ...]


def is_for_agents(content: str) -> bool:
    """Whether the file is of this kind. Raises YamlError."""
    return "execution" in Reader(compose(content), "", []).entries()


def parse_for_agents(text: str, name: str) -> AgentFile:
    """The system that the file `name`.yaml describes; raises YamlError with every problem."""
    problems: list[Problem] = []
    reader = Reader(compose(text), "", problems)
    keys = reader.fields(("system", "title", "checked_on", "execution", "operations"))
    if keys.read("execution", Reader.text, "") != CarriedOutBy.AGENT:
        reader.problem("'execution' is 'agent', 'mcp', or left out: then operations have a wire.")
    card = card_without_wire(keys, name, api_version="")  # nothing of it is called from here

    def operations(found: Reader) -> tuple[AgentsOperation, ...]:
        return tuple(_operation(key, item, card.system) for key, item in found.entries().items())

    found = keys.read("operations", operations, ())
    if problems:
        raise YamlError(tuple(sorted(problems, key=lambda one: (one.line, one.column))))
    return AgentFile(card, found)


def _operation(key: str, reader: Reader, system: str) -> AgentsOperation:
    check_action_key(key, reader)
    keys = reader.fields(_NEEDED, _OPTIONAL)
    params = keys.read("params", read_params, None)
    optional = frozenset(keys.read("optional", texts, ()))
    properties = params.properties if params else {}
    required = [name for name in properties if name not in optional]
    computed = Computed(Language(properties, required))
    for name in ("optional", "protected"):
        lint.names_params(keys, name, properties)
    reversibility = keys.read("reversibility", one_of(Reversibility), Reversibility.IRREVERSIBLE)
    if reversibility not in _NO_WAY_BACK:
        keys["reversibility"].problem(
            "what the agent does itself nothing here takes back: irreversible, or read-only."
        )
    kind = ActionType(
        key=key,
        version=keys.read("version", lambda item: item.whole(low=1, high=9_999), 1),
        title=keys.read("title", Reader.text, ""),
        verb=keys.read("verb", one_of(Verb), Verb.EXECUTE),
        system=system,
        reversibility=reversibility,
        schema=closed(properties, optional),
        undo=keys.read("undo", Reader.text, ""),
        at_most_once=AtMostOnce(Proof.NONE),
        protected=frozenset(keys.read("protected", texts, ())),
        data_classes=params.data_classes if params else frozenset(),
        supervised=keys.read("supervised", Reader.flag, False),
        definition=digest_of({"execution": "agent", "operation": plain(reader.node)}),
        execution=CarriedOutBy.AGENT,
        is_read_back=False,
        lease=timedelta(minutes=keys.read("lease_minutes", _minutes, LEASE_MINUTES)),
        **derived(computed, keys, reader),
    )
    example = read_example(keys, kind)
    after = computed.needed(keys, "after", Kind.OBJECT, IN_PARAMS)
    return AgentsOperation(replace(kind, example=example or {}), after)


def _minutes(reader: Reader) -> int:
    return reader.whole(low=1, high=LONGEST_LEASE_MINUTES)


class AgentsOwn(DispatchingConnector):
    """Stands where a connector would: it says what is to be done, and never does it."""

    def __init__(self, file: AgentFile) -> None:
        self.system = file.card.system
        super().__init__({one.type.key: _NotHere(one) for one in file.operations})


class _NotHere:
    """One operation; promises what `connectors.base.Operation` does, by refusing all but a look."""

    def __init__(self, operation: AgentsOperation) -> None:
        self._after = operation.after

    def preview(self, action: Action) -> Preview:
        """What would be done, from params alone: nothing is read."""
        try:
            after: JsonObject = self._after.of(Values(action.params))
        except NoValue as error:
            raise ConnectorError(str(error), permanent=True) from error
        return Preview(after=after)

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        raise _refusal("The agent carries this out itself; nothing was sent.")

    def look_up(self, action: Action, key: str) -> Receipt | None:
        raise _refusal("The agent carried this out itself: nothing here shows whether it did.")

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        raise _refusal("Verification is not available: the agent carried this out itself.")

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        raise cannot_undo("The agent did this itself: nothing here takes it back.")


def _refusal(sentence: str) -> ConnectorError:
    return ConnectorError(sentence, permanent=True, code="carried_out_by_agent")
