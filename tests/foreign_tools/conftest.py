"""The desk running beside the sandbox, imported, read and published as a company would."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_django.fixtures import Settings

from tests.approvals.conftest import begins_with, cast, receiver
from tests.peers.peer import absent

if TYPE_CHECKING:
    from tests.approvals.make import Cast
    from tests.foreign_tools.published import Published

__all__ = ["begins_with", "cast", "published", "receiver"]


@pytest.fixture(params=["modern, json", "modern, stream", "legacy, json", "legacy, stream"])
def published(
    request: pytest.FixtureRequest,
    cast: Cast,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Published]:
    """Its tools as action types of this installation, in both ages of the protocol."""
    if find_spec("mcp") is None:
        absent("the official MCP server is not installed (dependency group mcp)")
    from tests.foreign_tools.published import publishing

    age, answers = request.param.split(", ")
    with publishing(settings, monkeypatch, tmp_path, age=age, answers=answers) as found:
        yield found
