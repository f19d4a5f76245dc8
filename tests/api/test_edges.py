"""The edges of the API: moments, cursors, methods and names that would not mean one thing."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from approvals.api.urls import urlpatterns
from approvals.models import ActionRequest
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import make_agent, make_key, make_person, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

NO_ONE = UUID(int=0)
NOT_MOMENTS: list[Any] = [
    "0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00",
    "1999-12-31T23:59:59Z", "2201-01-01T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00",
    "2026-01-01 00:00:00Z", "2026-01-01T00:00Z", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
    "2026-01-01T24:00:00Z", "2026-01-01T23:59:60Z", "2026-01-01T00:00:00+24:00",
    "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00Z\n", " 2026-01-01T00:00:00Z",
    "٢٠٢٦-01-01T00:00:00Z", "２０２６-01-01T00:00:00Z", "20260101T000000Z", "2026-W01-1T00:00:00Z",
    "-1", "now", "1767225600",
]  # fmt: skip
NOT_EVEN_TEXT: list[Any] = ["", " ", 0, 1e300, True, [], {}]


@pytest.mark.parametrize("text", NOT_MOMENTS + NOT_EVEN_TEXT)
def test_only_rfc_3339_with_an_offset_is_a_moment(client: AgentClient, text: Any) -> None:
    evidence = [{"kind": "photo", "title": "t", "retrieved_at": text}]

    for path in ("actions/", "actions/check/"):
        answer = client.post(path, a_proposal(decide_by=text, evidence=evidence), key="k")

        assert answer.status_code == 400, answer.content
        fields = [e["field"] for e in answer.json()["errors"]]
        assert sorted(fields) == ["decide_by", "evidence.0.retrieved_at"]
    assert not ActionRequest.objects.exists()


@pytest.mark.parametrize("name", ["created_after", "created_before"])
@pytest.mark.parametrize("text", NOT_MOMENTS)
def test_a_list_is_filtered_by_the_same_moments_only(
    client: AgentClient, name: str, text: str
) -> None:
    answer = client.get("actions/", **{name: text})

    assert answer.status_code == 400, answer.content
    assert [e["field"] for e in answer.json()["errors"]] == [name]


@pytest.mark.parametrize(
    "text",
    [
        "2000-01-01T00:00:00+14:00", "2200-12-31T23:59:59-14:00", "2026-01-01T00:00:00.123456789Z",
        "2026-01-01t00:00:00z", "2024-02-29T00:00:00-00:00",
    ],
)  # fmt: skip
def test_every_moment_in_bounds_can_be_compared(client: AgentClient, text: str) -> None:
    answers = [client.get("actions/", **{n: text}) for n in ("created_after", "created_before")]

    assert [a.status_code for a in answers] == [200, 200]


def test_filters_by_time_find_what_lies_between(client: AgentClient) -> None:
    found = client.propose(a_proposal(refund("ch_1001", "800.00"))).json()["id"]
    hour_ago, in_an_hour = _in(hours=-1), _in(hours=1)

    assert _ids(client, created_after=hour_ago, created_before=in_an_hour) == [found]
    assert _ids(client, created_before=hour_ago) == []
    assert _ids(client, created_after=in_an_hour) == []


def _in(**offset: float) -> str:
    return (datetime.now(UTC) + timedelta(**offset)).isoformat()


def _ids(client: AgentClient, **query: str) -> list[str]:
    return [item["id"] for item in client.get("actions/", **query).json()["results"]]


@pytest.mark.parametrize(("minutes", "status"), [(-60, 201), (2, 201), (15, 400), (10**6, 400)])
def test_nothing_was_retrieved_in_the_future(
    client: AgentClient, minutes: int, status: int
) -> None:
    evidence = [{"kind": "photo", "title": "t", "retrieved_at": _in(minutes=minutes)}]

    answer = client.propose(a_proposal(evidence=evidence))

    assert answer.status_code == status, answer.content
    if status == 400:
        assert [e["field"] for e in answer.json()["errors"]] == ["evidence.0.retrieved_at"]
        assert not ActionRequest.objects.exists()


@pytest.mark.parametrize(
    "inside",
    [
        "p=notauuid", "p=2020-01-01", "p=%00", "r=1&p=", "p=", "p=1", "p=" + "a" * 5000, "o=-1",
        "r=x", "p=%ED%A0%80", "p=' OR 1=1",
    ],
)  # fmt: skip
def test_a_cursor_of_ones_own_making_is_not_found(client: AgentClient, inside: str) -> None:
    answer = client.get("actions/", cursor=b64encode(inside.encode()).decode())

    assert answer.status_code == 404, answer.content
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "inside",
    ["", "o=999999999999999999", f"p={NO_ONE}", f"r=1&p={NO_ONE}", f"o=1000&p={NO_ONE}"],
)
def test_a_cursor_without_such_a_page_is_an_empty_page_or_the_first(
    client: AgentClient, inside: str
) -> None:
    assert client.get("actions/", cursor=b64encode(inside.encode()).decode()).status_code == 200


def test_cursors_lead_to_the_next_page_and_back(
    client: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("approvals.api.views.ActionPagination.page_size", 2)
    for number in range(3):
        client.propose(a_proposal(refund(f"ch_10{10 + number}", "900.00")))

    first = client.get("actions/").json()
    second = client.follow(first["next"]).json()
    back = client.follow(second["previous"]).json()

    assert [len(page["results"]) for page in (first, second)] == [2, 1]
    assert back["results"] == first["results"]


@pytest.mark.parametrize("name", [pattern.name for pattern in urlpatterns])
@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BOGUS"])
def test_other_methods_are_refused_as_problems(client: AgentClient, name: str, method: str) -> None:
    needs_id = name in (
        "action",
        "withdraw",
        "answer",
        "undo",
        "complaints",
        "redeem",
        "report",
        "plan",
        "withdraw-plan",
    )
    address = reverse(f"api:{name}", args=[NO_ONE] if needs_id else [])
    key = make_key(make_agent(make_person("otto", "agent owner"), "other-bot"))

    agent = Client().generic(method, address, headers={"Authorization": f"Bearer {key}"})
    nobody = Client().generic(method, address)

    assert (agent.status_code, json.loads(agent.content)["code"]) == (405, "method_not_allowed")
    needs_no_key = name in ("index", "claims", "client", "schema", "docs")
    assert nobody.status_code == (405 if needs_no_key else 401)
    for answer in (agent, nobody):
        assert answer.headers["Content-Type"] == "application/problem+json"


NOBODY: list[Any] = [
    " ", "mona ", " mona", "mona manager", "Mona Manager <mona@retailer.example>",
    "<mona@retailer.example>", "mona\n", "mona\r\nBcc: x", "mo\u200bna", "\u202emona", "mona\u2060",
    "mo\u00adna", "mоna", "ｍｏｎａ", "Zoë", "mona\x7f", "mona\t", "mona\u00a0",
    "mona+1@retailer.example", "mona@retailer.example.", "mona@retailer", "mona@@retailer.example",
    ".mona@retailer.example", "mo..na@retailer.example", "mona@-retailer.example",
    "mona@retailer..example", "mona@[127.0.0.1]", '"mona"@retailer.example', "mona(x)@r.example",
    "mona@rétailer.example", "mona,max", "mona;max", "mona/max", "a" * 151, "@", "mona@",
    f"{'a' * 150}@retailer.example", 5, True, ["mona"], {"user": "mona"}, None,
]  # fmt: skip


@pytest.mark.parametrize("whom", NOBODY)
def test_whom_it_is_for_must_be_one_person_spelt_plainly(client: AgentClient, whom: Any) -> None:
    for path in ("actions/", "actions/check/"):
        answer = client.post(path, a_proposal(on_behalf_of=whom), key="k")

        assert answer.status_code == 400, answer.content
        assert {e["field"] for e in answer.json()["errors"]} == {"on_behalf_of"}
    assert not ActionRequest.objects.exists()


def test_the_refusal_says_how_to_name_the_person(client: AgentClient) -> None:
    problem = client.propose(a_proposal(on_behalf_of="Mona Manager")).json()

    assert "mona@retailer.example" in problem["errors"][0]["message"]


@pytest.mark.parametrize(
    "whom",
    ["", "mona", "MONA", "mona.m_1-x", "a" * 150, "mona@retailer.example", "M.O-na@SHOP.example"],
)
def test_user_names_and_plain_addresses_name_a_person(client: AgentClient, whom: str) -> None:
    answer = client.propose(a_proposal(on_behalf_of=whom))

    assert answer.status_code == 201, answer.content
    assert ActionRequest.objects.get().on_behalf_of == whom
