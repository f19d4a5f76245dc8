"""moto's server: AWS IAM over HTTP, signatures and all."""

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

_ACCOUNT = "123456789012"
_POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}],
    }
)
ALLOWED = f"arn:aws:iam::{_ACCOUNT}:*/mia.keller arn:aws:iam::{_ACCOUNT}:group/readers, " + (
    f"arn:aws:iam::{_ACCOUNT}:policy/read-*"
)


@contextmanager
def moto() -> Iterator[str]:
    """Its address."""
    program = programs.of_environment("moto_server")
    if program is None:
        raise NoServer("needs the group of packages 'peers': make PEERS=1 -B .venv/.ready")
    port = free_port()
    with temporary_folder() as (home, _):
        command = [program, "-H", "127.0.0.1", "-p", str(port)]
        with running(command, home / "log", {}):
            address = f"http://127.0.0.1:{port}"
            wait_until(
                lambda: httpx.get(f"{address}/moto-api/").status_code == 200,
                httpx.HTTPError,
                home / "log",
            )
            yield address


@dataclass
class Iam:
    """An account with one user, who has one access key, one group and one policy."""

    address: str
    settings: Settings
    system: str = "iam"
    secret: str = "wrong-secret-9876543210"
    key: str = ""
    policy: str = ""
    admin: Any = field(init=False)

    def __post_init__(self) -> None:
        import boto3

        with httpx.Client(base_url=self.address) as client:
            client.post("/moto-api/reset").raise_for_status()
        self.admin = boto3.client(
            "iam",
            endpoint_url=self.address,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            region_name="us-east-1",
        )
        tags = [{"Key": "name", "Value": "Mia Keller"}]
        self.admin.create_user(UserName="mia.keller", Tags=tags)
        self.admin.create_user(UserName="root.admin")
        self.admin.create_group(GroupName="readers")
        self.admin.create_group(GroupName="administrators")
        made = self.admin.create_policy(
            PolicyName="read-files", PolicyDocument=_POLICY, Description="Reads every file"
        )
        self.policy = made["Policy"]["Arn"]
        self.key = self.admin.create_access_key(UserName="mia.keller")["AccessKey"]["AccessKeyId"]
        self.configure()

    def close(self) -> None:
        self.admin.close()

    def configure(self, **values: str) -> None:
        self._let_pass("inf")
        own = {"base_url": self.address, "token": "testing:testing", "allowed": ALLOWED}
        self.settings.SYSTEMS = (self.system,)
        self.settings.CONNECTORS = {**self.settings.CONNECTORS, self.system: {**own, **values}}

    def wrong_credential(self) -> None:
        """moto checks no signature unless it is told to begin."""
        self.configure(token=f"AKIANOBODY0000000000:{self.secret}")
        self._let_pass("0")

    def _let_pass(self, requests: str) -> None:
        """So many requests before credentials are looked at."""
        path = f"{self.address}/moto-api/reset-auth"
        httpx.post(path, content=requests).raise_for_status()

    @contextmanager
    def losing(self, case: Case, loss: str) -> Iterator[Proxy]:
        host, _, port = self.address.removeprefix("http://").partition(":")
        with losing_answers((host, int(port)), case.marker, loss) as proxy:
            self.configure(base_url=f"http://{proxy.address}")
            yield proxy
            self.configure()

    @property
    def is_member(self) -> bool:
        found = self.admin.list_groups_for_user(UserName="mia.keller")["Groups"]
        return "readers" in {one["GroupName"] for one in found}

    @property
    def is_attached(self) -> bool:
        found = self.admin.list_attached_user_policies(UserName="mia.keller")["AttachedPolicies"]
        return bool(found)

    @property
    def is_active(self) -> bool:
        (key,) = self.admin.list_access_keys(UserName="mia.keller")["AccessKeyMetadata"]
        return bool(key["Status"] == "Active")

    def enter(self) -> None:
        self.admin.add_user_to_group(UserName="mia.keller", GroupName="readers")

    def attach(self) -> None:
        self.admin.attach_user_policy(UserName="mia.keller", PolicyArn=self.policy)

    def deactivate(self) -> None:
        self.admin.update_access_key(UserName="mia.keller", AccessKeyId=self.key, Status="Inactive")


def _member(peer: Iam) -> dict[str, str]:
    return {"user": "mia.keller", "group": "readers"}


def _attached(peer: Iam) -> dict[str, str]:
    return {"user": "mia.keller", "policy": peer.policy}


def _key(peer: Iam) -> dict[str, str]:
    return {"user": "mia.keller", "key": peer.key}


_WHO = ("mia.keller", "Mia Keller")
CASES = (
    Case(
        "iam", "iam_group.add", _member,
        is_done=lambda peer: peer.is_member,
        names=("readers", *_WHO), marker=b"Action=AddUserToGroup", undone_by="iam_group.remove",
    ),
    Case(
        "iam", "iam_group.remove", _member,
        is_done=lambda peer: not peer.is_member, prepare=Iam.enter,
        names=("readers", *_WHO), marker=b"Action=RemoveUserFromGroup", undone_by="iam_group.add",
    ),
    Case(
        "iam", "iam_policy.attach", _attached,
        is_done=lambda peer: peer.is_attached,
        names=("read-files", "Reads every file", *_WHO), marker=b"Action=AttachUserPolicy",
        undone_by="iam_policy.detach",
    ),
    Case(
        "iam", "iam_policy.detach", _attached,
        is_done=lambda peer: not peer.is_attached, prepare=Iam.attach,
        names=("read-files", *_WHO), marker=b"Action=DetachUserPolicy",
        undone_by="iam_policy.attach",
    ),
    Case(
        "iam", "iam_key.deactivate", _key,
        is_done=lambda peer: not peer.is_active,
        names=_WHO, marker=b"Action=UpdateAccessKey", undone_by="iam_key.activate",
    ),
    Case(
        "iam", "iam_key.activate", _key,
        is_done=lambda peer: peer.is_active, prepare=Iam.deactivate,
        names=_WHO, marker=b"Action=UpdateAccessKey", undone_by="iam_key.deactivate",
    ),
)  # fmt: skip
