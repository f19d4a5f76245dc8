"""MCP clients' files: which servers' tools a model is given there."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from .drafts import draft_of_server
from .report import Finding, Place

NAMES = frozenset(
    {
        *(".mcp.json", "mcp.json", "mcp_config.json", "claude_desktop_config.json"),
        *("cline_mcp_settings.json", "settings.json", "settings.local.json", "config.toml"),
        *(".claude.json", "mcp_settings.json", "fastmcp.json", "gemini-extension.json"),
    }
)
"""The files MCP clients keep their servers in; in one of a general name nothing else counts."""

_KEYS = ("mcpServers", "mcp_servers", "servers", "context_servers")


class Unreadable(Exception):
    """The file is neither JSON nor TOML."""


def servers_in(path: str, text: str, ours: tuple[str, ...]) -> Iterator[Finding | str]:
    """A finding for every server named there, or its name when it is ours. Raises Unreadable."""
    try:
        told: Any = tomllib.loads(text) if path.endswith(".toml") else json.loads(text)
    except ValueError as error:  # JSON with comments is some clients' own; no tool is lost silently
        raise Unreadable(str(error)) from error
    for name, server in _servers(told):
        address = _address(server)
        if any(address.startswith(one) for one in ours):
            yield name
            continue
        line = next((n for n, said in enumerate(text.splitlines(), 1) if name in said), 1)
        does = "offers another server's tools to the model"
        yield Finding(
            Place(path, line), f"MCP server {name}", does, "", draft_of_server(name, address)
        )


def _servers(told: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(told, Mapping):
        return
    for key in _KEYS:
        named = told.get(key)
        for name, server in named.items() if isinstance(named, Mapping) else ():
            if isinstance(server, Mapping) and ("command" in server or _address(server)):
                yield str(name), server
    for key in ("mcp", "projects"):  # VS Code's settings; Claude Code keeps them by project
        inner = told.get(key)
        if isinstance(inner, Mapping):
            yield from _servers(inner)
            for below in inner.values() if key == "projects" else ():
                yield from _servers(below)


def _address(server: Mapping[str, Any]) -> str:
    url = next((server[k] for k in ("url", "serverUrl", "httpUrl") if k in server), "")
    if url:
        return str(url)
    said = [server.get("command", ""), *(server.get("args") or [])]
    return " ".join(str(part) for part in said).strip()
