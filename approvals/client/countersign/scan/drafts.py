"""The action type a finding could become: an operation of a system's file, to be filled in."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from .consequences import ACTING, SQL, WRITES, statement_of, words
from .report import Draft

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

VERBS = {
    **dict.fromkeys(("delete", "remove", "destroy", "drop", "terminate", "purge"), "delete"),
    **dict.fromkeys(("send", "post", "publish", "reply", "forward", "chat"), "send"),
    **dict.fromkeys(("pay", "refund", "charge", "capture", "transfer", "purchase"), "pay"),
    **dict.fromkeys(("grant", "attach", "invite", "authorize", "assign"), "grant"),
    **dict.fromkeys(
        ("run", "exec", "execute", "deploy", "dispatch", "restart", "start"), "execute"
    ),
}
"""Which of the verbs of an action type a word stands for; every other one is `update`."""

_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_CONTEXT = frozenset({"self", "cls", "ctx", "context", "run_context", "tool_context", "state"})


def draft_of_call(name: str, call: ast.Call, inside: Iterable[Definition | None]) -> Draft:
    """For a call: named after the first function around it that says what it does, else after it.

    `inside` are the tool it is reached from and the function it stands in, as far as there are.
    """
    for function in inside:
        said = words(function.name) if function is not None else []
        if function is not None and len(said) > 1 and not ACTING.isdisjoint(said):
            key, verb = _key(said)
            return Draft(key, _text(key, verb, dict(_params_of(function))))
    key, verb = _key_of_call(name.replace("?", ""), call)
    return Draft(key, _text(key, verb, dict(_params_of_call(call))))


def draft_of_server(name: str, address: str) -> Draft:
    """For an MCP server: its tools are drafted by the installation, which asks it for them."""
    told = address or "ADDRESS"
    return Draft(f"{name}.*", f"# manage.py import_mcp {name} {told}\n")


def _key(said: list[str]) -> tuple[str, str]:
    """`issue_refund` is refund.issue."""
    verb = next((word for word in said if word in ACTING), said[0] if said else "act")
    noun = "_".join(word for word in said if word != verb)
    stands_for = next((VERBS[word] for word in said if word in VERBS), "update")
    return f"{noun}.{verb}", stands_for


def _key_of_call(name: str, call: ast.Call) -> tuple[str, str]:
    parts = [part.removesuffix("()") for part in name.split(".")]
    last = parts[-1]
    if last in WRITES and call.args and (path := _path_of(call.args[0])):
        return f"{path}.{'create' if last == 'post' else last}", VERBS.get(last, "update")
    if name.startswith(("subprocess.", "os.", "asyncio.", "pty.", "pexpect.")):
        return "command.run", "execute"
    if last in SQL and (statement := statement_of(call)):
        verb, *rest = statement.lower().replace("(", " ").split()
        table = next((word for word in rest if word not in {"into", "from", "table"}), "rows")
        return f"{table.rpartition('.')[2].strip(chr(34))}.{verb}", VERBS.get(verb, "update")
    if len(words(last)) > 1:
        return _key(words(last))
    noun = "_".join(words(parts[-2]))
    singular = noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun
    return f"{singular}.{last}", VERBS.get(last, VERBS.get(singular, "update"))


def _path_of(url: ast.expr) -> str:
    """The last word of an address that is written out; empty for any other."""
    texts = [n.value for n in ast.walk(url) if isinstance(n, ast.Constant)]
    pieces = [p for t in texts if isinstance(t, str) for p in t.split("?")[0].split("/")]
    named = [piece for piece in pieces if piece.replace("_", "").replace("-", "").isalpha()]
    return "_".join(words(named[-1].replace("-", "_"))).rstrip("s") if named else ""


def _params_of(inside: Definition) -> Iterator[tuple[str, str]]:
    for given in (*inside.args.posonlyargs, *inside.args.args, *inside.args.kwonlyargs):
        if given.arg not in _CONTEXT:
            named = given.annotation.id if isinstance(given.annotation, ast.Name) else ""
            yield given.arg, _TYPES.get(named, "string")


def _params_of_call(call: ast.Call) -> Iterator[tuple[str, str]]:
    for given in call.keywords:
        if given.arg is not None and given.arg not in {"headers", "timeout", "check", "shell"}:
            value = given.value.value if isinstance(given.value, ast.Constant) else ""
            yield given.arg, _TYPES.get(type(value).__name__, "string")


def _text(key: str, verb: str, params: dict[str, str]) -> str:
    """YAML; what nobody can know from the code says so."""
    lines = [
        f"{key}:",
        f"  title: {json.dumps(' '.join(reversed(key.replace('_', ' ').split('.'))).capitalize())}",
        "  version: 1",
        f"  verb: {verb}",
        "  reversibility: irreversible  # unless you know a way back",
        "  params:" if params else "  params: {}  # what a reviewer must see to decide",
    ]
    for name, kind in params.items():
        limit = ", maxLength: 200" if kind == "string" else ""
        lines.append(f"    {name}: {{type: {kind}{limit}}}")
    first = next(iter(params), "")
    lines += [
        f"  target: {json.dumps(f'{{params.{first}}}' if first else key)}  # what it acts on",
        f"  effect: {json.dumps('TODO: one sentence that says what happens, with names.')}",
        "  at_most_once: {proof: none}  # TODO: how the target keeps a second write from counting",
    ]
    return "\n".join(lines) + "\n"
