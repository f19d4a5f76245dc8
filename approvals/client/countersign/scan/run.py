"""One run over a folder: which files are read, and how."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from . import mcp_files, suppressions
from .links import Project, examine
from .modules import Module, read_module
from .report import Finding, Place, Report

LARGEST = 2_000_000  # bytes of one file
SKIPPED = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", "site-packages", "dist", "build"),
    }
)
OTHER_LANGUAGES = {
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx"), "JavaScript and TypeScript"),
    **dict.fromkeys((".sh", ".bash", ".zsh", ".ps1"), "shell scripts"),
    **dict.fromkeys(
        (".go", ".rs", ".java", ".kt", ".cs", ".rb", ".php", ".swift"), "other languages"
    ),
    **dict.fromkeys((".so", ".pyd", ".pyc", ".whl"), "compiled code"),
}


def scan(root: Path, *, ours: tuple[str, ...] = ()) -> Report:
    """Read everything below `root`; `ours` are addresses of Countersign installations.

    Raises ValueError when `root` is not there, or its `countersign.toml` cannot be used.
    """
    if not root.exists():
        raise ValueError(f"{root} is not there.")
    base = root if root.is_dir() else root.parent
    table = _table(base)
    report = Report()
    modules: list[Module] = []
    found: list[Finding] = []
    reasons: dict[tuple[str, int], str] = {}
    for path in _files(root, report):
        name = path.relative_to(base).as_posix()
        if path.suffix in {".py", ".ipynb"}:
            source = _source(path, name, report)
            module = _module(path.relative_to(base), name, source, report) if source else None
            if module is not None:
                modules.append(module)
                marks = suppressions.in_code(source)
                reasons |= {(name, line): reason for line, reason in marks.items()}
        elif path.name in mcp_files.NAMES:
            found += _servers(path, name, report, ours)
    found += examine(Project(modules), report, ours=ours)
    for finding in sorted(found, key=lambda f: (f.place, f.what, f.tool)):
        _file_under(finding, report, reasons, table)
    return report


def _file_under(
    finding: Finding,
    report: Report,
    reasons: dict[tuple[str, int], str],
    table: list[suppressions.Suppression],
) -> None:
    place = finding.place
    given = reasons.get((place.path, place.line))
    if given == "":
        report.unsee("suppressions without a reason, which do not count", str(place))
    by_table = (
        entry.reason for entry in table
        if entry.path == place.path and entry.what in {"", finding.what}
    )  # fmt: skip
    reason = given or next(by_table, "")
    if reason:
        report.suppressed.append(replace(finding, reason=reason))
    else:
        report.findings.append(finding)


def _table(base: Path) -> list[suppressions.Suppression]:
    file = base / suppressions.FILE
    if not file.is_file():
        return []
    try:
        return suppressions.in_file(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _files(root: Path, report: Report) -> Iterator[Path]:
    """Files in the order of their names; what is passed over is told."""
    if root.is_file():
        yield root
        return
    passed_over: Counter[str] = Counter()
    for folder, below, names in os.walk(root):
        here = Path(folder)
        for name in sorted(below):
            if name in SKIPPED or (here / name).is_symlink():
                why = "folders of dependencies and tools" if name in SKIPPED else "links to folders"
                report.unsee(why, (here / name).relative_to(root).as_posix())
        below[:] = sorted(n for n in below if n not in SKIPPED and not (here / n).is_symlink())
        for name in sorted(names):
            path = here / name
            if language := OTHER_LANGUAGES.get(path.suffix):
                passed_over[language] += 1
            elif path.suffix in {".py", ".ipynb"} or name in mcp_files.NAMES:
                if path.stat().st_size > LARGEST:
                    report.unsee("files too large to read", path.relative_to(root).as_posix())
                else:
                    yield path
    for language, count in passed_over.items():
        report.unsee(f"{language}, which this scan does not read", f"{count} files")


def _source(path: Path, name: str, report: Report) -> str:
    """The Python of a file; of a notebook, its cells one after another."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
            lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
            text = "\n".join("" if line.lstrip()[:1] in "%!" else line for line in lines)
            if any(line.lstrip()[:1] == "!" for line in lines if line.strip()):
                report.unsee("shell commands in notebooks", name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        report.unsee("files that cannot be read", f"{name} ({type(error).__name__})")
        return ""
    return text


def _module(relative: Path, name: str, source: str, report: Report) -> Module | None:
    parts = [*relative.parts[:-1], relative.stem]
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    try:
        module = read_module(".".join(parts), name, source)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        report.unsee("files that are no Python this scan understands", f"{name}:{line}")
        return None
    report.files += 1
    return module


def _servers(path: Path, name: str, report: Report, ours: tuple[str, ...]) -> Iterator[Finding]:
    try:
        for found in mcp_files.servers_in(name, path.read_text(encoding="utf-8"), ours):
            if isinstance(found, str):
                report.gated.append(f"MCP server {found}")
            else:
                yield found
    except (OSError, ValueError, mcp_files.Unreadable):
        report.unsee("MCP clients' files that cannot be read", str(Place(name, 1)))
    else:
        report.files += 1
