"""Of the product's files of vendors an installation has those it names, and only those."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import env
from connectors.declared import files
from connectors.loading import SystemsError, load
from tests.helpdesk.double import TEXT

CHANGES = (files.PRODUCT / "changes.yaml").read_text()


@pytest.fixture
def product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The product with two vendors that name an action type alike."""
    folder = tmp_path / "product"
    folder.mkdir()
    (folder / "changes.yaml").write_text(CHANGES)
    for name in ("zendesk", "hubspot"):
        text = TEXT.replace("system: helpdesk", f"system: {name}")
        (folder / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(files, "PRODUCT", folder)
    load.cache_clear()
    return folder


def test_a_vendor_nobody_named_is_no_system_here(product: Path) -> None:
    assert {"zendesk", "hubspot"}.isdisjoint(load(()).systems)
    assert "ticket.close" not in load(()).types


def test_a_named_vendor_is_one(product: Path) -> None:
    assert load((), ("zendesk",)).types["ticket.close"].system == "zendesk"


def test_two_vendors_with_one_action_type_are_told_to_whoever_names_both(product: Path) -> None:
    with pytest.raises(SystemsError, match=r"both declare ticket\.close; have one of them"):
        load((), ("hubspot", "zendesk"))


def test_a_name_there_is_no_file_of_is_refused_with_the_known_ones(product: Path) -> None:
    with pytest.raises(SystemsError, match=r"SYSTEMS names zendsk\. There are: .*zendesk"):
        load((), ("zendsk",))


def test_an_own_file_takes_the_place_of_one_nobody_named(product: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "zendesk.yaml").write_text(TEXT.replace("system: helpdesk", "system: zendesk"))

    assert load((str(own),)).types["ticket.close"].system == "zendesk"
    with pytest.raises(SystemsError, match="describe the same system"):
        load((str(own),), ("zendesk",))


def test_an_address_in_the_environment_names_its_vendor(
    product: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYSTEMS", "hubspot")
    monkeypatch.setenv("ZENDESK_URL", "https://company.zendesk.com")

    assert env.systems_named(()) == ("hubspot", "zendesk")
