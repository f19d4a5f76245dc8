"""All files of a project together: what a tool leads to, and what stands behind an approval."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator

from .consequences import SQL, SYSTEMS, acts, consequence, first_word_of_sql
from .drafts import draft_of_call, draft_of_server
from .modules import SERVERS, Called, Function, Module, last_name
from .report import Finding, Place, Report

OURS = frozenset(
    f"{module}{kind}()"
    for module in ("countersign.", "countersign.client.")
    for kind in ("Countersign", "AsyncCountersign")
)
_OF_BUILTINS = frozenset(
    name for kind in (list, dict, set, str, bytes, bytearray) for name in dir(kind)
) | {"close", "write", "writelines", "start", "run", "set", "put", "submit", "apply", "save"}


class Project:
    """The modules of a project, with names followed from one to another."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = list(modules)
        self.functions: dict[str, Function] = {}
        self._module_of: dict[str, Module] = {}
        self._origins: dict[str, str] = {}
        self._endings: dict[str, str] = {}
        for module in self.modules:
            self._origins |= module.origins
            self.functions |= module.functions
            self._module_of |= dict.fromkeys(module.functions, module)
            parts = module.name.split(".")
            for start in range(len(parts)):  # `src/agent/tools.py` is imported as agent.tools
                self._endings.setdefault(".".join(parts[start:]), module.name)
        self._calls: dict[str, list[tuple[str, Called]]] = {}
        for function in self.functions.values():
            settled = [(self.origin(called.name), called) for called in function.calls]
            self._calls[function.name] = settled
        for module in self.modules:
            for name, _ in module.offered:
                if (target := self.function_at(self.origin(name))) is not None:
                    target.is_tool = True

    def origin(self, name: str) -> str:
        """Where a dotted name comes from in the end, through the project's own names."""
        for _ in range(12):  # names that lead in a circle lead nowhere
            followed = self._follow(self._in_project(name))
            if followed == name:
                break
            name = followed
        return name

    def _in_project(self, name: str) -> str:
        """With the module as it is called here: imports leave out the folder they start in."""
        parts = name.split(".")
        for end in range(len(parts) - 1, 0, -1):
            known = self._endings.get(".".join(parts[:end]))
            if known is not None:
                return ".".join([known, *parts[end:]])
        return name

    def _follow(self, name: str) -> str:
        parts = name.split(".")
        for end in range(len(parts), 0, -1):
            head = ".".join(parts[:end])
            rest = "".join(f".{part}" for part in parts[end:])
            if head in self._origins and self._origins[head] != head:
                return self._origins[head] + rest
            if head.endswith("()") and (bare := head.removesuffix("()")) in self._origins:
                return f"{self._origins[bare]}(){rest}"
        return name

    def function_at(self, name: str) -> Function | None:
        """The project's function of that name; a method of whatever its class made, too."""
        return self.functions.get(name) or self.functions.get(name.replace("()", ""))

    def proposes(self, function: Function) -> bool:
        """Whether it only says what is proposed (`@cs.tool`): what it does itself comes before."""
        decorators = (self.origin(name).removesuffix("()") for name in function.decorators)
        return any(d.rpartition(".")[0] in OURS and d.endswith(".tool") for d in decorators)

    def gates(self, function: Function) -> bool:
        """Whether people are asked before any of it runs: `@cs.gate`, below all other decorators.

        Above one that hands the function to a framework it would be left out.
        """
        innermost = self.origin(next(iter(function.decorators[-1:]), "")).removesuffix("()")
        return innermost.rpartition(".")[0] in OURS and innermost.endswith(".gate")

    def path_of(self, function: Function) -> str:
        return self._module_of[function.name].path

    def calls(self, function: Function) -> list[tuple[str, Called]]:
        """Its calls, by where what they call comes from."""
        return self._calls[function.name]

    def reached(self, roots: Iterable[Function]) -> dict[str, str]:
        """Every function that runs when one of these does, with the first of them it runs for."""
        found: dict[str, str] = {}
        for root in roots:
            waiting = [root]
            while waiting:
                function = waiting.pop()
                if function.name in found:
                    continue
                found[function.name] = root.name
                for name, _ in self.calls(function):
                    called = self.function_at(name)
                    if called is not None:
                        waiting.append(called)
        return found


def examine(project: Project, report: Report, *, ours: tuple[str, ...] = ()) -> list[Finding]:
    """Everything in the project's code that acts without asking; fills in the report's counts."""
    every = list(project.functions.values())
    proposing = [function for function in every if project.proposes(function)]
    gated = [function for function in every if project.gates(function)]
    tools = [f for f in every if f.is_tool and f not in proposing and f not in gated]
    report.gated += sorted(function.short for function in [*proposing, *gated])
    by_tool = project.reached(tools)
    found: list[Finding] = []
    for function in every:
        if function in gated:
            continue  # what it does, people have agreed to
        tool = project.functions.get(by_tool.get(function.name, ""))
        found += _calls_of(project, function, tool, report)
    acting = {finding.tool for finding in found}
    report.harmless += sorted(tool.short for tool in tools if tool.short not in acting)
    found += _servers(project, report, ours)
    _note_unseen(project, report)
    return found


def _calls_of(
    project: Project, function: Function, tool: Function | None, report: Report
) -> Iterator[Finding]:
    path = project.path_of(function)
    for name, called in project.calls(function):
        place = Place(path, called.node.lineno)
        if does := consequence(name, called.node):
            draft = draft_of_call(name, called.node, (tool.node if tool else None, function.node))
            said = name.replace("()", "").replace("?", "")
            yield Finding(place, said, does, tool.short if tool else "", draft)
        elif project.function_at(name) is None:
            _note_unknown(name, called, place, report)


def _note_unknown(name: str, called: Called, place: Place, report: Report) -> None:
    root, last = name.partition(".")[0].removesuffix("()"), name.rpartition(".")[2]
    if last in SQL:
        if first_word_of_sql(called.node) is None:
            report.unsee("statements that are put together elsewhere", str(place))
    elif not acts(last) or "." not in name:
        return
    elif root.startswith("?"):
        if last not in _OF_BUILTINS:
            report.unsee("calls on things whose origin is not known", f"{place} .{last}()")
    elif root not in sys.stdlib_module_names and root not in SYSTEMS and root not in _QUIET:
        report.unsee("libraries this scan knows nothing about", f"{place} {root} .{last}()")


_QUIET = frozenset({"countersign", "pytest", "langgraph", "pydantic", "typing_extensions", "str"})


def _servers(project: Project, report: Report, ours: tuple[str, ...]) -> Iterator[Finding]:
    for module in project.modules:
        for name, call in module.servers:
            text = " ".join(_texts(call))
            if any(address in text for address in ours):
                report.gated.append(f"MCP server at {module.path}:{call.lineno}")
                continue
            what = project.origin(name).replace("()", "")
            does = "offers another server's tools to the model"
            place = Place(module.path, call.lineno)
            yield Finding(place, what, does, "", draft_of_server("server", text.split(" ")[0]))


def _texts(call: ast.Call) -> Iterator[str]:
    for node in ast.walk(call):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _note_unseen(project: Project, report: Report) -> None:
    for module in project.modules:
        for line in module.chosen_later:
            place = f"{module.path}:{line}"
            report.unsee("calls that are chosen, or code that is made, while it runs", place)
        for name, made in module.offered:
            origin = project.origin(name)
            is_server = last_name(origin) in SERVERS
            is_ours = any(origin.startswith(one) for one in OURS)
            if project.function_at(origin) is None and not is_server and not is_ours:
                said = origin.replace("()", "").lstrip("?") or "a tool"
                report.unsee("tools made elsewhere", f"{module.path}:{made.lineno} {said}")
