"""Tools of another MCP server as the draft of a system's file, for people to read and publish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import yaml

from audit.lib.canonical import JsonObject
from connectors.adapters.mcp.arguments import NotDrafted, arguments_of
from connectors.adapters.mcp.conversation import MODERN, WITH_HANDSHAKE, conversation
from connectors.adapters.mcp.file import TOOL_NAME, pin_of
from connectors.catalogue import quoted
from connectors.declared.file import Answers, Authentication, Card, Scheme, SystemFile
from connectors.declared.wire import Wire

LONGEST_KEY = 60
_LONGEST_SAID = 500  # characters of one text
_NOT_DRAFTED = frozenset({"intent"})
"""Every tool of ours has an argument of that name, for the agent's own words."""

_HEAD = """\
# A draft: import_mcp wrote it from what the server says about its own tools. Nobody is offered any
# of it before somebody has read it, deleted `draft` and put the file into a folder of SYSTEMS_PATH.
# Each operation is one tool, called once and never again; `pin` is the digest of its definition:
# once that changes, nothing is called. `says` is the server's own text: nobody has checked it, and
# nothing is made of it. Say in `target` what is acted on; `read_back` names what shows the effect.
"""


@dataclass(frozen=True, slots=True)
class Drafted:
    """The text of the file, the action types in it, and why the other tools are not."""

    text: str
    keys: tuple[str, ...]
    refused: tuple[str, ...]


def draft_from(system: str, address: str, credential: str, *, today: date) -> Drafted:
    """Ask the server for its tools, and draft an action type of each. Only reads.

    Raises ConnectorError.
    """
    scheme = Scheme.BEARER if credential else Scheme.NONE
    host = urlsplit(address).hostname or ""
    card = Card(system, system, "MCP", "", today, Authentication(scheme), (host,))
    wire = Wire(SystemFile(card, Answers(), ()), address, credential)
    with conversation(wire, MODERN) as talk:
        revision = MODERN if talk.offers_modern() else WITH_HANDSHAKE[0]
    with conversation(wire, revision) as talk:
        tools = talk.tools()
    head = {
        "system": system,
        "title": system,
        "checked_on": today,
        "execution": "mcp",
        "revision": revision,
        "authentication": {"scheme": scheme.value},
        "hosts": [host],
        "draft": True,
    }
    operations, refused = _operations(system, tools)
    text = f"{_HEAD}{_yaml(head)}\n{_yaml({'operations': operations})}"
    return Drafted(text, tuple(operations), tuple(refused))


def _operations(system: str, tools: Mapping[str, JsonObject]) -> tuple[dict[str, Any], list[str]]:
    operations: dict[str, Any] = {}
    refused = []
    for name, definition in tools.items():
        try:
            key, operation = _operation(system, name, definition)
            if key in operations:
                raise NotDrafted(f"{key} stands for {operations[key]['tool']} already")
            operations[key] = operation
        except NotDrafted as error:
            refused.append(f"{quoted(name, 80)}: {error}.")
    return operations, refused


def _operation(system: str, name: str, definition: JsonObject) -> tuple[str, dict[str, Any]]:
    key = f"{system}.{_word(name)}" if TOOL_NAME.match(name) else ""
    if not key or len(key) > LONGEST_KEY:
        raise NotDrafted("its name is too long, or more than letters, digits, '_', '.' and '-'")
    if not (pin := pin_of(definition)):
        raise NotDrafted("its definition cannot be written down the same way twice")
    found = arguments_of(name, definition.get("inputSchema"))
    if reserved := _NOT_DRAFTED & set(found.params):
        raise NotDrafted(f"its argument {', '.join(reserved)} has a name that is taken here")
    says = {
        word: str(definition[word]) for word in ("title", "description") if definition.get(word)
    }
    says |= {f"argument {path}": text for path, text in found.said.items()}
    first = next(
        (one for one, schema in found.params.items()
         if schema["type"] == "string" and one not in found.optional), "",
    )  # fmt: skip
    operation: dict[str, Any] = {
        "tool": name,
        "pin": pin,
        "title": f"Call {name} of {system}",
        "version": 1,
        "verb": "execute",
        "reversibility": "irreversible",
        "says": {word: _said(text) for word, text in says.items()},
        "params": found.params,
        "optional": found.optional,
        "target": f"{{params.{first}}}" if first else f"{name} of {system}",
        "undo": "No tool is known that takes it back.",
    }
    return key, {word: value for word, value in operation.items() if value not in ({}, [])}


def _word(name: str) -> str:
    """`createTicket` and `create-ticket` as `create_ticket`, the way action types are named."""
    word = ""
    for before, letter in zip(f"_{name}", name, strict=False):
        is_hump = letter.isupper() and not before.isupper()
        word += f"_{letter}" if is_hump else letter if letter.isalnum() else "_"
    word = "_".join(filter(None, word.lower().split("_")))
    return word if word[:1].isalpha() else f"tool_{word}"


def _said(text: str) -> str:
    """The server's words on one line, what cannot be seen by its code, and no more than is read."""
    return quoted(text, _LONGEST_SAID)[1:-1]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True  # the reader takes none


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=96)
