"""One Python file as what it defines, calls and offers as tools. Nothing is imported or run."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass, field

TOOL_DECORATORS = frozenset(
    {
        *("tool", "function_tool", "tool_plain", "ai_function", "kernel_function", "beta_tool"),
        *("beta_async_tool", "call_tool", "action", "register_tool", "register_for_llm"),
    }
)
"""What the frameworks call the decorator that offers a function to a model."""

TOOL_MAKERS = frozenset(
    {
        *("FunctionTool", "StructuredTool", "Tool", "from_function", "from_defaults"),
        *("function_tool", "tool", "tool_plain", "add_tool", "beta_tool", "ai_function"),
        *("LongRunningFunctionTool", "register_tool", "as_tool"),
    }
)
TOOL_CLASSES = frozenset({"BaseTool", "Tool"})
TOOL_METHODS = frozenset({"_run", "_arun", "run", "run_async", "forward", "call", "__call__"})
SERVERS = frozenset(
    {
        *("MCPServerStdio", "MCPServerSse", "MCPServerHTTP", "MCPServerStreamableHTTP"),
        *("MCPServerStreamableHttp", "MCPStdioTool", "MCPStreamableHTTPTool", "MCPToolset"),
        *("McpToolset", "MultiServerMCPClient", "StdioServerParameters", "HostedMCPTool"),
    }
)
"""What stands for the tools of an MCP server in code."""

_CHOSEN_LATER = frozenset({"exec", "eval", "__import__", "importlib.import_module"})
_BUILTINS = frozenset(dir(builtins))


@dataclass(slots=True)
class Called:
    """One call: what is called, dotted, as far as this file says; "?" begins what it does not."""

    name: str
    node: ast.Call


@dataclass(slots=True)
class Function:
    """A function, a method, or (as `<module>`) what a file does when it is loaded."""

    name: str
    """Dotted, with its module."""
    node: ast.FunctionDef | ast.AsyncFunctionDef | None
    calls: list[Called] = field(default_factory=list)
    decorators: list[str] = field(default_factory=list)
    is_tool: bool = False

    @property
    def short(self) -> str:
        """Its own name."""
        return self.name.rpartition(".")[2]


@dataclass(slots=True)
class Module:
    """What one file says about itself."""

    name: str
    path: str
    functions: dict[str, Function] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """Where the things it names come from: dotted name here to dotted name there."""
    offered: list[tuple[str, ast.expr]] = field(default_factory=list)
    """What is handed to a framework as a tool."""
    servers: list[tuple[str, ast.Call]] = field(default_factory=list)
    chosen_later: list[int] = field(default_factory=list)
    """Lines where what is called is only known when it runs."""


def last_name(dotted: str) -> str:
    """The last part of a dotted name, whether it was called or not."""
    return dotted.removesuffix("()").rpartition(".")[2].lstrip("?")


def read_module(name: str, path: str, source: str) -> Module:
    """Read one file. Raises SyntaxError or ValueError for what is no Python."""
    module = Module(name, path)
    tree = ast.parse(source)
    _Reader(module, is_package=path.endswith("__init__.py")).read(tree)
    return module


class _Reader(ast.NodeVisitor):
    """Walks a file from top to bottom; a later assignment to a name counts like the first."""

    def __init__(self, module: Module, *, is_package: bool) -> None:
        self._module = module
        self._package = module.name if is_package else module.name.rpartition(".")[0]
        self._scopes: list[dict[str, str]] = [{}]
        self._where = [module.name]
        self._inside = [self._function(f"{module.name}.<module>", None)]
        self._classes: list[tuple[str, bool]] = []

    def read(self, tree: ast.Module) -> None:
        for node in tree.body:  # what is defined below is known above
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._scopes[0][node.name] = f"{self._module.name}.{node.name}"
        for node in tree.body:
            self.visit(node)

    # --- Names ----------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.asname:
                self._name(alias.asname, alias.name)
            else:
                root = alias.name.partition(".")[0]
                self._name(root, root)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parts = self._package.split(".") if self._package else []
            kept = parts[: len(parts) - node.level + 1]
            base = ".".join([*kept, *([node.module] if node.module else [])])
        for alias in node.names:
            self._name(alias.asname or alias.name, f"{base}.{alias.name}" if base else alias.name)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        if origin := self._known(node.value):
            for target in node.targets:
                self._bind(target, origin)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        origin = self._known(node.value) if node.value else self._of_annotation(node.annotation)
        if origin:
            self._bind(node.target, origin)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.generic_visit(node)
        if origin := self._known(node.value):
            self._bind(node.target, origin)

    def visit_withitem(self, node: ast.withitem) -> None:
        self.generic_visit(node)
        origin = self._known(node.context_expr)
        if origin and node.optional_vars is not None:
            self._bind(node.optional_vars, origin)

    def _bind(self, target: ast.expr, origin: str) -> None:
        if isinstance(target, ast.Name):
            self._name(target.id, origin)
            return
        match target:
            case ast.Attribute(value=ast.Name(id="self"), attr=attr) if self._classes:
                self._module.origins[f"{self._classes[-1][0]}.{attr}"] = origin

    def _name(self, name: str, origin: str) -> None:
        self._scopes[-1][name] = origin
        if len(self._scopes) == 1 and origin != f"{self._module.name}.{name}":
            self._module.origins[f"{self._module.name}.{name}"] = origin

    def _known(self, node: ast.expr) -> str:
        name = self.dotted(node)
        return "" if name.startswith("?") else name

    def dotted(self, node: ast.expr) -> str:
        """What an expression is, by where it comes from."""
        match node:
            case ast.Name(id="self") if self._classes:
                return self._classes[-1][0]
            case ast.Name(id=name):
                for scope in reversed(self._scopes):
                    if name in scope:
                        return scope[name]
                return name if name in _BUILTINS else f"?{name}"
            case ast.Attribute(value=value, attr=attr):
                return f"{self.dotted(value)}.{attr}"
            case ast.Call(func=func):
                return f"{self.dotted(func)}()"
            case ast.Await(value=value):
                return self.dotted(value)
            case _:
                return "?"

    def _of_annotation(self, node: ast.expr | None) -> str:
        """What a value annotated so is: an instance."""
        match node:
            case ast.Constant(value=str(text)):
                try:
                    return self._of_annotation(ast.parse(text, mode="eval").body)
                except SyntaxError:
                    return ""
            case ast.BinOp(left=left, op=ast.BitOr()):
                return self._of_annotation(left)
            case ast.Subscript(slice=inner):  # Annotated, Optional, RunContext
                first = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
                return self._of_annotation(first)
            case ast.Name() | ast.Attribute():
                name = self._known(node)
                return f"{name}()" if name and name not in _BUILTINS else ""
            case _:
                return ""

    # --- Functions and classes ------------------------------------------------------------------

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        name = f"{self._where[-1]}.{node.name}"
        bases = {last_name(self.dotted(base)) for base in node.bases}
        self._scopes[-1].setdefault(node.name, name)
        self._where.append(name)
        self._classes.append((name, not bases.isdisjoint(TOOL_CLASSES)))
        for statement in (s for s in ast.walk(node) if isinstance(s, ast.Assign)):
            for target in statement.targets:  # what __init__ keeps is known in every method
                self._bind_early(target, statement.value)
        self._scopes.append({})
        self.generic_visit(node)
        self._scopes.pop()
        self._classes.pop()
        self._where.pop()

    def _bind_early(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Attribute) and (origin := self._known(value)):
            self._bind(target, origin)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._define(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._define(node)

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        name = f"{self._where[-1]}.{node.name}"
        function = self._function(name, node)
        function.decorators = [self.dotted(decorator) for decorator in node.decorator_list]
        in_tool = bool(self._classes) and self._classes[-1][1]
        offered = {last_name(decorator) for decorator in function.decorators}
        function.is_tool = not offered.isdisjoint(TOOL_DECORATORS) or (
            in_tool and node.name in TOOL_METHODS
        )
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._scopes[-1].setdefault(node.name, name)
        own: dict[str, str] = {}
        for given in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            if given.arg != "self":
                own[given.arg] = self._of_annotation(given.annotation) or f"?{given.arg}"
        if gives := self._of_annotation(node.returns):
            self._module.origins[f"{name}()"] = gives
        self._scopes.append(own)
        self._where.append(name)
        self._inside.append(function)
        for statement in node.body:
            self.visit(statement)
        self._inside.pop()
        self._where.pop()
        self._scopes.pop()

    def visit_Return(self, node: ast.Return) -> None:
        self.generic_visit(node)
        inside = self._inside[-1]
        if node.value is not None and inside.node is not None and (o := self._known(node.value)):
            self._module.origins.setdefault(f"{inside.name}()", o)

    def _function(self, name: str, node: ast.FunctionDef | ast.AsyncFunctionDef | None) -> Function:
        function = Function(name, node)
        self._module.functions[name] = function
        return function

    # --- Calls ----------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        name = self.dotted(node.func)
        last = last_name(name)
        if name in _CHOSEN_LATER or isinstance(node.func, ast.Subscript) or name == "getattr()":
            self._module.chosen_later.append(node.lineno)
        self._inside[-1].calls.append(Called(name, node))
        if last in SERVERS:
            self._module.servers.append((name, node))
        self._module.offered.extend((self.dotted(made), made) for made in _offered(last, node))


def _offered(last: str, call: ast.Call) -> Iterator[ast.expr]:
    """What a call hands over as tools: `tools=[…]`, or the function a tool is made of."""
    for given in call.keywords:
        if given.arg == "tools" and isinstance(given.value, ast.List | ast.Tuple):
            yield from given.value.elts
        elif given.arg in {"func", "fn", "function", "coroutine"} and last in TOOL_MAKERS:
            yield given.value
    if last in TOOL_MAKERS:
        yield from (a for a in call.args[:1] if isinstance(a, ast.Name | ast.Attribute | ast.Call))
