"""The desk's tools drafted by the command, read by somebody, and put where files are found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from connectors import registry
from tests.foreign_tools.server import TOKEN, Desk, serving
from tests.peers.proxy import Proxy, losing_answers

CALL = b'"method":"tools/call"'
"""How the one call looks on the wire."""
READ_BACK = """\
    reference: body.number
    read_back:
      tool: get_ticket
      pin: {pin}
      arguments: '{{"number": reference}}'
      state: '{{"title": body.title}}'
      after: '{{"title": params.title}}'
"""


@dataclass
class Published:
    """The server, its file as it is published, and a way to change either."""

    desk: Desk
    address: str
    file: Path
    settings: Settings
    proxy: Proxy | None = None

    def publish(self, text: str) -> None:
        """Put another text in the file's place, as a deployment does: in a folder of its own."""
        folder = self.file.parent.with_name(f"{self.file.parent.name}-next")
        folder.mkdir()
        self.file = folder / "desk.yaml"
        self.file.write_text(text)
        self.settings.SYSTEMS_PATH = (str(folder),)
        registry._built.cache_clear()  # a deployment starts its processes anew

    def import_again(self) -> None:
        """Draft it anew and publish that, as somebody who has read what changed."""
        drafts = self.file.parent.parent / "drafts-again"
        drafts.mkdir()
        quiet = StringIO()
        call_command("import_mcp", "desk", self.address, to=str(drafts), stdout=quiet, stderr=quiet)
        self.publish(as_read((drafts / "desk.yaml").read_text()))

    def read_back(self) -> None:
        """Declare the tool that shows the effect."""
        text = self.file.read_text()
        pin = text.partition("tool: get_ticket\n")[2].partition("pin: ")[2].partition("\n")[0]
        head, tool, rest = text.partition("    tool: create_ticket\n")
        self.publish(head + tool + READ_BACK.format(pin=pin) + rest)

    @contextmanager
    def through(self, loss: str) -> Iterator[Proxy]:
        """Let no answer to a call of a tool come back; what was asked arrives."""
        parts = urlsplit(self.address)
        with losing_answers((str(parts.hostname), int(parts.port or 0)), CALL, loss) as proxy:
            self.connect(f"http://{proxy.address}{parts.path}")
            yield proxy

    def connect(self, address: str) -> None:
        here = {"base_url": address, "token": TOKEN}
        self.settings.CONNECTORS = {**self.settings.CONNECTORS, "desk": here}


@contextmanager
def publishing(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    *,
    age: str,
    answers: str,
) -> Iterator[Published]:
    """From the server's own list to a file of this installation."""
    desk = Desk()
    settings.TRUSTED_RELAYS = ("127.0.0.1",)
    monkeypatch.setenv("DESK_TOKEN", TOKEN)
    drafts, systems = folder / "drafts", folder / "systems"
    drafts.mkdir()
    systems.mkdir()
    with serving(desk, json_answers=answers == "json") as address:
        call_command("import_mcp", "desk", address, "--to", str(drafts), stdout=StringIO(),
                     stderr=StringIO())  # fmt: skip
        text = (drafts / "desk.yaml").read_text()
        (systems / "desk.yaml").write_text(as_read(text, age=age))
        settings.SYSTEMS_PATH = (str(systems),)
        found = Published(desk, address, systems / "desk.yaml", settings)
        found.connect(address)
        yield found


def as_read(text: str, *, age: str = "modern") -> str:
    """The draft as somebody published it."""
    text = text.replace("draft: true\n", "").replace("title: desk\n", "title: The desk\n", 1)
    revision = "2026-07-28" if age == "modern" else "2025-11-25"
    return text.replace("revision: '2026-07-28'", f"revision: '{revision}'")
