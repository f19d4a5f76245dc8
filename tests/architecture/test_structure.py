"""The shape of the house, checked: imports, sizes, names, migrations, commands."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command, get_commands

ROOT = Path(__file__).resolve().parents[2]
APPS = ("config", "approvals", "policies", "connectors", "audit")
TOP_LEVEL = {
    "manage.py", "pyproject.toml", "README.md", *APPS, "templates", "tests",
    "Makefile", "uv.lock", ".ci", ".env.example", ".gitignore", "CHANGELOG.md",
    ".pre-commit-config.yaml",
}  # fmt: skip
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
LONGEST_FILE = 400


def _sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.once
def test_imports_go_downwards_only() -> None:
    lint = Path(sys.executable).parent / "lint-imports"

    done = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_import_contracts_have_no_exceptions() -> None:
    assert "ignore_imports" not in (ROOT / "pyproject.toml").read_text()


def test_the_top_level_is_as_agreed() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")

    found = {line.split("/", 1)[0] for line in tracked.stdout.splitlines()}

    assert found - TOP_LEVEL == set()


def test_no_file_is_two_rooms() -> None:
    long = {
        _shown(path): lines
        for path in _sources(*APPS, "tests")
        if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
    }

    assert long == {}


def test_no_drawer_for_odds_and_ends() -> None:
    found = [_shown(p) for p in _sources(*APPS, "tests") if p.stem in DRAWERS]

    assert found == []


def test_every_module_says_why_it_exists() -> None:
    silent = [
        _shown(path)
        for path in _sources(*APPS)
        if (source := path.read_text().strip()) and not ast.get_docstring(ast.parse(source))
    ]

    assert silent == []


def test_nobody_updates_state_past_the_lifecycle() -> None:
    """`.update(state=...)` and `bulk_update([...], ["state"])` skip graph, history and trail."""
    found = [
        f"{_shown(path)}:{call.lineno}"
        for path in _sources(*APPS)
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and _sets_state(call)
    ]

    assert found == []


def _sets_state(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name == "update":
        return any(keyword.arg == "state" for keyword in call.keywords)
    if name == "bulk_update":
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        return any(
            isinstance(node, ast.Constant) and node.value == "state"
            for value in given
            for node in ast.walk(value)
        )
    return False


@pytest.mark.parametrize(
    "line",
    [
        "rows.filter(pk=1).update(state='approved')",
        "Request.objects.bulk_update(rows, ['state'])",
        "Request.objects.bulk_update(rows, fields=('seq', 'state'))",
    ],
)
def test_the_search_for_such_updates_finds_them(line: str) -> None:
    (statement,) = ast.parse(line).body

    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    assert _sets_state(statement.value)


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.parametrize("name", ["up", "sweep", "sync_roles", "verify_audit", "backtest"])
def test_the_commands_of_the_product_are_there(name: str) -> None:
    assert get_commands()[name] in APPS


def test_history_has_no_admin_of_its_own() -> None:
    """Tables of history are shown like every record: through `audit.lib.admin`."""
    users = [_shown(path) for path in _sources(*APPS) if "SimpleHistoryAdmin" in path.read_text()]

    assert users == []
