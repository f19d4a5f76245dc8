"""What is IAM's own: only listed ARNs, one request a change, and a library that may be missing."""

from __future__ import annotations

import sys

import pytest

from connectors.base import Action, ConnectorError
from connectors.configuration import look_at
from connectors.registry import action_type, connector_for
from tests.peers.iam import CASES, Iam

pytestmark = pytest.mark.django_db

KEY = "5ba7" * 16


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("iam_group.add", {"user": "mia.keller", "group": "administrators"}),
        ("iam_key.deactivate", {"user": "root.admin", "key": "AKIAROOT000000000000"}),
    ],
)
def test_what_the_connection_does_not_list_is_neither_shown_nor_changed(
    iam: Iam, kind: str, params: dict[str, str]
) -> None:
    action, connector = Action(kind, dict(params)), connector_for(action_type(kind))

    with pytest.raises(ConnectorError) as unread:
        connector.preview(action)
    with pytest.raises(ConnectorError) as refused:
        connector.execute(action, idempotency_key=KEY)

    assert {unread.value.code, refused.value.code} <= {"not_listed", "not_found"}
    assert iam.admin.list_groups_for_user(UserName="mia.keller")["Groups"] == []


def test_a_change_is_one_request(iam: Iam) -> None:
    """boto3 by itself sends more where an answer is lost; that is asked in the contract."""
    case = CASES[0]
    with iam.losing(case, "") as proxy:
        case.connector.execute(case.action(iam), idempotency_key=KEY)

    assert proxy.writes == 1


def test_where_the_library_is_missing_it_is_told_how_to_install_it(
    iam: Iam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    values = {**iam.settings.CONNECTORS["iam"], "base_url": iam.address + "/"}

    with pytest.raises(ConnectorError, match="uv sync --extra aws") as missing:
        look_at("iam", values)

    assert missing.value.permanent
