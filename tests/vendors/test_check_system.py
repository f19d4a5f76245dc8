"""Every vendor's file as whoever sets it up meets it: read, probed, and its examples previewed."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from connectors.base import ConnectorError
from connectors.loading import load
from tests.vendors.catalogue import VENDORS, Described
from tests.vendors.conftest import Starter, configure, connected

_TOLD = (
    "does not accept our credential|does not let us do this|refused it|could not be signed in|"
    "waits for an ops admin to sign in"
)
every = pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
LAID_OUT = ("ticket.reopen", "issue.reopen")  # previewed of what is open, they say what is refused


def check_system(*args: str) -> str:
    out = StringIO()
    call_command("check_system", *args, stdout=out)
    return out.getvalue()


@every
def test_a_file_has_no_mistakes_and_says_what_it_promises(vendor: Described) -> None:
    said = check_system(vendor.name)

    assert "no mistakes." in said
    for one in vendor.file.operations:
        assert f"{one.type.key}: {one.type.title}; {one.type.at_most_once.proof.value}" in said


@every
@pytest.mark.django_db
def test_live_probes_and_previews_every_example_and_only_reads(
    vendor: Described, vendor_at: Starter, settings: Settings
) -> None:
    running = vendor_at(vendor)
    configure(vendor, running.url, running.system.credential, settings)

    said = check_system(vendor.name, "--live")

    assert f"{running.url}: answers." in said
    for one in vendor.file.operations:
        assert f"{one.type.key}: {{" in said
    number = len(vendor.file.operations)
    assert f"takes the credential; {number} of {number} operations read their target." in said
    assert "Nothing was written, so no write is proved" in said
    assert running.system.writes == 0


@every
@pytest.mark.django_db
def test_live_says_that_a_credential_is_none(
    vendor: Described, vendor_at: Starter, settings: Settings
) -> None:
    running = vendor_at(vendor)
    configure(vendor, running.url, "somebody:wrong-credential-123456", settings)

    with pytest.raises(CommandError, match=f"{vendor.file.card.title} ({_TOLD})"):
        check_system(vendor.name, "--live")


@every
def test_a_probe_reads_once_and_tells_a_good_credential_from_another(
    vendor: Described, vendor_at: Starter
) -> None:
    assert vendor.file.card.probe
    running = vendor_at(vendor)

    connected(vendor, running.url, running.system.credential).probe()

    assert [one.method for one in running.system.heard] == ["GET"]
    with pytest.raises(ConnectorError):
        connected(vendor, running.url, "somebody:wrong").probe()


@pytest.mark.parametrize("name", sorted(VENDORS))
def test_a_vendor_nobody_named_is_in_no_list(name: str) -> None:
    assert name not in load(()).systems
    assert name in load((), (name,)).systems


@every
def test_a_file_says_when_and_by_what_it_was_checked(vendor: Described) -> None:
    card = vendor.file.card

    assert card.documentation.startswith("https://")
    assert card.hosts
    assert card.scopes
