"""scim2-server: SCIM 2.0 as RFC 7643 and RFC 7644 have it, strict about what it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from pytest_django.fixtures import Settings

from tests import programs
from tests.peers.peer import Case
from tests.peers.proxy import Proxy, losing_answers
from tests.servers import NoServer, free_port, running, temporary_folder, wait_until

TOKEN = "scim-token-0123456789"
_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_NO_VERSIONS = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
    **{name: {"supported": name in {"patch", "filter"}} for name in ("patch", "filter", "etag",
       "sort", "changePassword", "bulk")},
    "authenticationSchemes": [],
}  # fmt: skip


@contextmanager
def scim_server(*, with_versions: bool = True) -> Iterator[str]:
    """Its address; without versions it announces no ETags and compares none."""
    program = programs.of_environment("scim2-server")
    if program is None:
        raise NoServer("needs the group of packages 'peers': make PEERS=1 -B .venv/.ready")
    port = free_port()
    with temporary_folder() as (home, _):
        command = [program, "--port", str(port), "--bearer-token", TOKEN]
        if not with_versions:
            config = {**_NO_VERSIONS, "filter": {"supported": True, "maxResults": 100}}
            config["bulk"] = {"supported": False, "maxOperations": 0, "maxPayloadSize": 0}
            (home / "config.json").write_text(json.dumps(config))
            command += ["--service-provider-config", str(home / "config.json")]
        with running(command, home / "log", {}):
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: _answers(address), httpx.HTTPError, home / "log")
            yield address


def _answers(address: str) -> bool:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.get(f"{address}/ServiceProviderConfig", headers=headers).status_code == 200


@dataclass
class Scim:
    """A directory with one user and one group."""

    address: str
    settings: Settings
    system: str = "scim"
    secret: str = "wrong-token-9876543210"
    user: str = ""
    group: str = ""
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(
            base_url=self.address,
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"},
        )
        mail = [{"value": "mia.keller@retailer.example"}]
        self.user = self._create(
            "Users",
            _USER,
            userName="mia.keller",
            displayName="Mia Keller",
            emails=mail,
            active=True,
        )
        self.group = self._create("Groups", _GROUP, displayName="CRM editors")
        self.configure()

    def close(self) -> None:
        """Take away what was made, and let go."""
        for path in (f"/Users/{self.user}", f"/Groups/{self.group}"):
            self.client.delete(path)
        self.client.close()

    def configure(self, **values: str) -> None:
        config = {"base_url": self.address, "token": TOKEN, **values}
        self.settings.SYSTEMS = (self.system,)
        self.settings.CONNECTORS = {**self.settings.CONNECTORS, self.system: config}

    def wrong_credential(self) -> None:
        self.configure(token=self.secret)

    @contextmanager
    def losing(self, case: Case, loss: str) -> Iterator[Proxy]:
        host, _, port = self.address.removeprefix("http://").partition(":")
        with losing_answers((host, int(port)), b"PATCH ", loss) as proxy:
            self.configure(base_url=f"http://{proxy.address}")
            yield proxy
            self.configure()

    def read(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get(path).raise_for_status().json()
        return answer

    def patch(self, path: str, *operations: dict[str, Any]) -> None:
        body = {"schemas": [_PATCH], "Operations": list(operations)}
        self.client.patch(path, content=json.dumps(body)).raise_for_status()

    @property
    def members(self) -> list[str]:
        return [one["value"] for one in self.read(f"/Groups/{self.group}").get("members", [])]

    @property
    def is_active(self) -> bool:
        return bool(self.read(f"/Users/{self.user}")["active"])

    def enter(self) -> None:
        value = [{"value": self.user}]
        self.patch(f"/Groups/{self.group}", {"op": "add", "path": "members", "value": value})

    def set_active(self, value: bool) -> None:
        path = f"/Users/{self.user}"
        self.patch(path, {"op": "replace", "path": "active", "value": value})

    def rename_group(self) -> None:
        change = {"op": "replace", "path": "displayName", "value": "CRM administrators"}
        self.patch(f"/Groups/{self.group}", change)

    def rename_user(self) -> None:
        change = {"op": "replace", "path": "displayName", "value": "Mia Weber"}
        self.patch(f"/Users/{self.user}", change)

    def _create(self, path: str, schema: str, **values: Any) -> str:
        body = {"schemas": [schema], **values}
        answer = self.client.post(f"/{path}", content=json.dumps(body)).raise_for_status()
        return str(answer.json()["id"])


def _member(peer: Scim) -> dict[str, str]:
    return {"user": peer.user, "group": peer.group}


def _user(peer: Scim) -> dict[str, str]:
    return {"user": peer.user}


_NAMES = ("CRM editors", "Mia Keller", "mia.keller@retailer.example")
CASES = (
    Case(
        "scim",
        "scim_group.add",
        _member,
        is_done=lambda peer: peer.user in peer.members,
        names=_NAMES,
        move=Scim.rename_group,
        undone_by="scim_group.remove",
    ),
    Case(
        "scim",
        "scim_group.remove",
        _member,
        is_done=lambda peer: peer.user not in peer.members,
        names=_NAMES,
        prepare=Scim.enter,
        move=Scim.rename_group,
        undone_by="scim_group.add",
    ),
    Case(
        "scim",
        "scim_user.deactivate",
        _user,
        is_done=lambda peer: not peer.is_active,
        names=_NAMES[1:],
        move=Scim.rename_user,
        undone_by="scim_user.activate",
    ),
    Case(
        "scim",
        "scim_user.activate",
        _user,
        is_done=lambda peer: peer.is_active,
        names=_NAMES[1:],
        prepare=lambda peer: peer.set_active(False),
        move=Scim.rename_user,
        undone_by="scim_user.deactivate",
    ),
)
