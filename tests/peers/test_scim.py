"""What is SCIM's own: versions only where they are announced, and nothing beyond the standard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from connectors.base import Action, ConnectorError
from connectors.registry import action_type, connector_for
from tests.peers.peer import absent
from tests.peers.scim import Scim, scim_server
from tests.servers import NoServer

pytestmark = pytest.mark.django_db

KEY = "5ba7" * 16


@pytest.fixture
def unversioned(settings: Settings) -> Iterator[Scim]:
    try:
        with scim_server(with_versions=False) as address:
            found = Scim(address, settings)
            yield found
            found.close()
    except NoServer as missing:
        absent(str(missing))


def test_a_server_without_versions_gives_no_guard_and_twice_is_once(unversioned: Scim) -> None:
    action = Action("scim_group.add", {"user": unversioned.user, "group": unversioned.group})
    connector = connector_for(action_type("scim_group.add"))
    preview = connector.preview(action)
    assert preview.guard == ""

    for key in (KEY, KEY[::-1]):
        receipt = connector.execute(action, idempotency_key=key, guard="")

    assert unversioned.members == [unversioned.user]
    assert connector.verify(action, receipt).matches


def test_a_server_with_versions_gives_the_one_that_was_read(scim: Scim) -> None:
    action = Action("scim_group.add", {"user": scim.user, "group": scim.group})

    preview = connector_for(action_type("scim_group.add")).preview(action)

    assert preview.guard == scim.read(f"/Groups/{scim.group}")["meta"]["version"]
    assert preview.offered == {"group_name": "CRM editors"}


@pytest.mark.parametrize("missing", ["user", "group"])
def test_nobody_approves_what_names_nobody(scim: Scim, missing: str) -> None:
    params = {"user": scim.user, "group": scim.group, missing: "nobody-of-that-id"}

    with pytest.raises(ConnectorError) as unread:
        connector_for(action_type("scim_group.add")).preview(Action("scim_group.add", params))

    assert unread.value.permanent


def test_the_dialect_of_the_demo_is_refused_by_a_server_of_the_standard(scim: Scim) -> None:
    """Why the demo's `directory` is a system of its own: a membership that ends is no SCIM."""
    scim.settings.CONNECTORS["directory"] = {"base_url": scim.address, "token": "x"}
    value = [{"value": scim.user, "until": "2026-12-31"}]
    body = {"op": "add", "path": "members", "value": value}

    answer = scim.client.patch(
        f"/Groups/{scim.group}",
        json={"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [body]},
    )

    assert answer.status_code == 400
    assert scim.members == []
