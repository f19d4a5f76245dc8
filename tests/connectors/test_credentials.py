"""Credentials stay where they are kept, and addresses of connections hold none."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from connectors.base import Action, ConnectorError, OutcomeUnknown
from connectors.connections import (
    why_refused,
)
from connectors.credentials import CredentialMissing, read_credential, why_unusable

SECRET = "sk_live_never_shown"
ACTION = Action("refund.issue", {})
DOWN = ConnectorError("payments could not be read.", permanent=False, code="unreadable")
LOST = OutcomeUnknown("no answer")


# --- Credentials ---------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    own = tmp_path / "credentials"
    own.mkdir()
    (own / "eu").write_text(f"{SECRET}\n")
    (tmp_path / "outside").write_text("the key of the trail")
    settings.CREDENTIALS_DIR = str(own)
    return own


def test_a_credential_is_read_from_its_variable_or_its_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIAL_EU", SECRET)

    assert read_credential("environment", "CREDENTIAL_EU") == SECRET
    assert read_credential("file", "eu") == SECRET
    assert read_credential("", "") == ""


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc/passwd", "..", ".", "", "a/../../outside", "eu\x00", "eu\n", "..%2fout",
     "a" * 200, ".hidden"],
)  # fmt: skip
def test_a_path_is_no_name_of_a_credential(folder: Path, name: str) -> None:
    assert why_unusable("file", name)
    with pytest.raises(CredentialMissing):
        read_credential("file", name)


def test_a_link_out_of_the_folder_is_not_followed_and_one_inside_is(folder: Path) -> None:
    (folder / "leak").symlink_to(folder.parent / "outside")
    (folder / "current").symlink_to(folder / "eu")  # as mounted secrets have it

    with pytest.raises(CredentialMissing, match="not in the folder"):
        read_credential("file", "leak")
    assert read_credential("file", "current") == SECRET


def test_a_folder_and_an_empty_file_hold_no_credential(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "empty").write_text(" \n")

    for name in ("below", "empty", "missing"):
        with pytest.raises(CredentialMissing):
            read_credential("file", name)


@pytest.mark.parametrize("name", ["AUDIT_KEY", "SECRET_KEY", "DATABASE_URL", "credential_a"])
def test_no_variable_is_read_that_was_not_made_for_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "the key of the trail")

    assert why_unusable("environment", name)
    with pytest.raises(CredentialMissing):
        read_credential("environment", name)


def test_without_a_folder_no_file_is_read(settings: Settings) -> None:
    settings.CREDENTIALS_DIR = ""

    assert "CREDENTIALS_DIR" in why_unusable("file", "eu")


# --- Addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["http://api.payments.com", "https://127.0.0.1:8000", "https://localhost", "https://x.example"],
)
def test_in_production_an_address_is_as_strict_as_the_environments(
    settings: Settings, address: str
) -> None:
    settings.DEMO = settings.DEBUG = False

    assert why_refused("payments", "base_url", address, has_credential=True)
    assert not why_refused("payments", "base_url", "https://api.pay.com", has_credential=True)


def test_a_database_names_who_signs_in_and_keeps_the_password_apart() -> None:
    def why(address: str) -> str:
        return why_refused("records", "url", address, has_credential=True)

    assert "Name the user" in why("postgresql://db/crm")
    assert "Leave the password out" in why("postgresql://user:secret@db/crm")
    assert "Leave the password out" in why("postgresql://user@db/crm?password=secret")
    assert not why("postgresql://user@db/crm")
