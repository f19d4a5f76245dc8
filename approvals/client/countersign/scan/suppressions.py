"""What somebody wants as it is, with their reason: a comment in code, a table beside other files.

`# countersign: ignore because it only writes to our own cache` on the line of the call, or in
`countersign.toml` at the top of what is scanned:

    [[ignore]]
    path = ".mcp.json"
    what = "MCP server docs"
    reason = "It reads our public documentation."
"""

from __future__ import annotations

import io
import tokenize
import tomllib
from collections.abc import Mapping
from typing import NamedTuple

FILE = "countersign.toml"
_MARK = "countersign: ignore"
_BECAUSE = "because"


class Suppression(NamedTuple):
    """One entry of the table. An empty `what` means everything in the file."""

    path: str
    what: str
    reason: str


def in_code(source: str) -> Mapping[int, str]:
    """The reason by line; an empty one where it is missing."""
    found: dict[int, str] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT and _MARK in token.string:
                said = token.string.partition(_MARK)[2].strip()
                is_given = said.startswith(_BECAUSE)
                found[token.start[0]] = said.removeprefix(_BECAUSE).strip() if is_given else ""
    except (tokenize.TokenError, SyntaxError):
        return found  # the file is told as one that cannot be read
    return found


def in_file(text: str) -> list[Suppression]:
    """Those of `countersign.toml`. Raises ValueError with what is wrong and where."""
    entries = tomllib.loads(text).get("ignore", [])
    if not isinstance(entries, list):
        raise ValueError("ignore must be a list: write [[ignore]] above each entry.")
    found = []
    for number, entry in enumerate(entries, 1):
        unknown = set(entry) - {"path", "what", "reason"}
        if unknown:
            raise ValueError(f"ignore {number}: {', '.join(sorted(unknown))} is not known.")
        path, reason = str(entry.get("path", "")), str(entry.get("reason", "")).strip()
        if not path or not reason:
            raise ValueError(f"ignore {number}: path and reason are needed; say why.")
        found.append(Suppression(path, str(entry.get("what", "")), reason))
    return found
