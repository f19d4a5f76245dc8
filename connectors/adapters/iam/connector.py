"""Members, policies and keys: the same again changes nothing, and IAM shows it some seconds later.

IAM takes no key and no version with a change. What a change replaced is as it was read before it,
not in the same operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audit.lib.canonical import JsonObject, JsonValue, digest_of
from connectors.adapters.iam.client import IamClient, Session
from connectors.base import (
    Action,
    ConnectorError,
    DispatchingConnector,
    Preview,
    ReadBack,
    Receipt,
    SystemEvidence,
    cannot_undo,
    compare,
)
from connectors.catalogue import text

Params = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """What is there: whether it is so, whom and what it is about, and their ARNs."""

    is_so: bool
    records: tuple[SystemEvidence, ...]
    arns: tuple[str, ...]


Look = Callable[[Session, Params], Found]


def _member(session: Session, params: Params) -> Found:
    user, group = _user(session, params), _group(session, params)
    groups = session.pages("list_groups_for_user", "Groups", UserName=params["user"])
    is_so = any(one["Arn"] == group["Arn"] for one in groups)
    return Found(is_so, (_record("Group", group), _record("User", user)), (group["Arn"],))


def _attached(session: Session, params: Params) -> Found:
    user = _user(session, params)
    policy = session.read("get_policy", PolicyArn=params["policy"])["Policy"]
    attached = session.pages(
        "list_attached_user_policies", "AttachedPolicies", UserName=params["user"]
    )
    is_so = any(one["PolicyArn"] == policy["Arn"] for one in attached)
    records = (_record("Policy", policy), _record("User", user))
    return Found(is_so, records, (policy["Arn"], user["Arn"]))


def _active(session: Session, params: Params) -> Found:
    user = _user(session, params)
    keys = session.pages("list_access_keys", "AccessKeyMetadata", UserName=params["user"])
    key = next((one for one in keys if one["AccessKeyId"] == params["key"]), None)
    if key is None:
        raise ConnectorError(
            f"{params['user']} has no access key {params['key']}.",
            permanent=True,
            code="not_found",
        )
    content: JsonObject = {
        "AccessKeyId": key["AccessKeyId"],
        "Status": key["Status"],
        "CreateDate": str(key["CreateDate"]),
    }
    record = SystemEvidence("source_record", f"Access key {key['AccessKeyId']}", content)
    return Found(key["Status"] == "Active", (record, _record("User", user)), (user["Arn"],))


@dataclass(frozen=True, slots=True)
class Kind:
    """One action: what is looked at, what it makes of it, and IAM's own name for the change."""

    look: Look
    state: str
    wanted: bool
    change: str
    values: Callable[[Params], dict[str, str]]
    undo: str


def _of_group(params: Params) -> dict[str, str]:
    return {"UserName": params["user"], "GroupName": params["group"]}


def _of_policy(params: Params) -> dict[str, str]:
    return {"UserName": params["user"], "PolicyArn": params["policy"]}


def _of_key(status: str) -> Callable[[Params], dict[str, str]]:
    return lambda params: {
        "UserName": params["user"],
        "AccessKeyId": params["key"],
        "Status": status,
    }


_KINDS = {
    "iam_group.add": Kind(
        _member, "member", True, "add_user_to_group", _of_group, "iam_group.remove"
    ),
    "iam_group.remove": Kind(
        _member, "member", False, "remove_user_from_group", _of_group, "iam_group.add"
    ),
    "iam_policy.attach": Kind(
        _attached, "attached", True, "attach_user_policy", _of_policy, "iam_policy.detach"
    ),
    "iam_policy.detach": Kind(
        _attached, "attached", False, "detach_user_policy", _of_policy, "iam_policy.attach"
    ),
    "iam_key.deactivate": Kind(
        _active, "active", False, "update_access_key", _of_key("Inactive"), "iam_key.activate"
    ),
    "iam_key.activate": Kind(
        _active, "active", True, "update_access_key", _of_key("Active"), "iam_key.deactivate"
    ),
}


class IamConnector(DispatchingConnector):
    """One AWS account."""

    system = "iam"

    def __init__(self, base_url: str, credential: str, allowed: str) -> None:
        client = IamClient(base_url, credential, allowed)
        super().__init__({key: _Settled(client, kind) for key, kind in _KINDS.items()})


class _Settled:
    """One change of something that is so or not."""

    def __init__(self, client: IamClient, kind: Kind) -> None:
        self._client = client
        self._kind = kind

    def preview(self, action: Action) -> Preview:
        found = self._look(action)
        before: JsonObject = {self._kind.state: found.is_so}
        return Preview(
            before=before,
            after=self._wanted,
            target_version=digest_of({**before, "arns": list(found.arns)}),
            evidence=found.records,
        )

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        params = _params(action)
        with self._client.session() as session:
            found = self._kind.look(session, params)
            self._client.must_be_listed(*found.arns)
            try:
                session.write(self._kind.change, **self._kind.values(params))
            except ConnectorError as error:
                # what it is about was there a moment ago, so what is missing is the tie itself
                if error.code != "NoSuchEntity" or self._kind.wanted:
                    raise
                found = Found(self._kind.wanted, found.records, found.arns)
        was_so = found.is_so is self._kind.wanted
        is_so = f"{self._kind.state} is {str(self._kind.wanted).lower()}"
        also = " It was so already; nothing was changed." if was_so else ""
        return Receipt(
            found.arns[0][:200],
            f"{', '.join(one.title for one in found.records)}: {is_so}.{also}",
            {"arns": list(found.arns)},
            {self._kind.state: found.is_so},
        )

    def look_up(self, action: Action, key: str) -> Receipt | None:
        """A change leaves no mark of ours."""
        return None

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        observed: JsonObject = {self._kind.state: self._look(action).is_so}
        return ReadBack(observed, compare(self._wanted, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        if receipt.pre_image.get(self._kind.state) is not (not self._kind.wanted):
            raise cannot_undo("It was so before; there is nothing to take back.")
        return Action(self._kind.undo, dict(action.params))

    @property
    def _wanted(self) -> JsonObject:
        return {self._kind.state: self._kind.wanted}

    def _look(self, action: Action) -> Found:
        with self._client.session() as session:
            found = self._kind.look(session, _params(action))
        self._client.must_be_listed(*found.arns)
        return found


def _params(action: Action) -> Params:
    return {name: text(action.params, name) for name in action.params}


def _user(session: Session, params: Params) -> dict[str, Any]:
    found: dict[str, Any] = session.read("get_user", UserName=params["user"])["User"]
    return found


def _group(session: Session, params: Params) -> dict[str, Any]:
    found: dict[str, Any] = session.read("get_group", GroupName=params["group"])["Group"]
    return found


def _record(kind: str, found: Mapping[str, Any]) -> SystemEvidence:
    """The record as reviewers see it; times and counts as text."""
    content: dict[str, JsonValue] = {
        name: value if isinstance(value, str | int) else str(value)
        for name, value in found.items()
        if name != "Tags"
    }
    for tag in found.get("Tags", ()):
        content[f"tag {tag['Key']}"] = tag["Value"]
    return SystemEvidence("source_record", f"{kind} {found[f'{kind}Name']}"[:200], content)
