"""`manage.py check_system`: what whoever writes a system's file sees."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import EntryPoint
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from config.checks import check_deployment
from connectors.declared import files
from connectors.loading import load
from connectors.sandbox.server import Sandbox
from tests.helpdesk.double import FOLDER, TEXT, Helpdesk

pytestmark = pytest.mark.django_db


def check_system(*args: str) -> str:
    out = StringIO()
    call_command("check_system", *args, stdout=out)
    return out.getvalue()


def test_a_good_file_is_told_by_its_operations() -> None:
    said = check_system(f"{FOLDER}/helpdesk.yaml")

    assert "Helpdesk (helpdesk), 2: no mistakes." in said
    assert "ticket.close: Close a ticket; guarded, can be looked up; reversible" in said


def test_a_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "helpdesk.yaml"
    path.write_text(TEXT.replace("verb: send", "verb: sent", 1))

    with pytest.raises(CommandError, match=r"line \d+, column \d+: 'sent' is not one of"):
        check_system(str(path))


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(CommandError, match="There are: changes, directory"):
        check_system("logistic")


def test_a_system_in_python_is_told_by_its_action_types_and_tried(sandbox: Sandbox) -> None:
    before = sandbox.writes("payments")

    said = check_system("payments", "--live")

    assert "payments: 4 action types, in Python; no file to check." in said
    assert "refund.issue: Refund a charge; keyed, can be looked up; irreversible" in said
    assert "answers." in said
    assert "Nothing was previewed" in said
    assert sandbox.writes("payments") == before


def test_live_only_reads(ticketing: Helpdesk) -> None:
    said = check_system("helpdesk", "--live")

    assert "answers." in said
    assert "ticket.close: {'status': 'open'} -> {'status': 'closed'}" in said
    assert ticketing.writes == 0


def test_live_says_what_the_target_refuses(ticketing: Helpdesk, settings: Settings) -> None:
    here = {**settings.CONNECTORS["helpdesk"], "token": "wrong-credential-123456"}
    settings.CONNECTORS = {**settings.CONNECTORS, "helpdesk": here}

    with pytest.raises(
        CommandError, match=r"ticket\.close: Helpdesk does not accept our credential"
    ):
        check_system("helpdesk", "--live")


def test_nothing_starts_with_a_mistake_in_a_file(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "helpdesk.yaml").write_text(TEXT.replace("verb: send", "verb: sent", 1))
    settings.SYSTEMS_PATH = (str(tmp_path),)

    said = [message for message in check_deployment() if message.id == "countersign.E027"]

    assert len(said) == 1
    assert "'sent' is not one of" in said[0].msg


@pytest.mark.parametrize(
    "brought",
    [
        f"from pathlib import Path\nHERE = Path({str(Path(FOLDER) / 'helpdesk.yaml')!r})\n",
        "from connectors.loading import load\nfrom connectors.system import System\n"
        f"_found = load(({FOLDER!r},)).systems['helpdesk']\n"
        "HERE = System('helpdesk', 'Helpdesk', _found.action_types, _found.build)\n",
    ],
    ids=["a file", "a connector of its own"],
)
def test_a_package_brings_a_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, brought: str
) -> None:
    (tmp_path / "brought_by_a_package.py").write_text(brought)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "brought_by_a_package", raising=False)
    importlib.import_module("brought_by_a_package")  # before its entry point is there
    point = EntryPoint("helpdesk", "brought_by_a_package:HERE", files.GROUP)
    monkeypatch.setattr(files, "entry_points", lambda group: [point])
    load.cache_clear()
    try:
        found = load(())
    finally:
        load.cache_clear()

    assert found.types["ticket.close"].system == "helpdesk"
