"""Who reads which records, what the pages say, and what they cost."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from approvals.models import ActionRequest, AgentKey, PolicyDecision, RequestContent, TargetReading
from approvals.proposal import SuppliedEvidence
from approvals.services.decide import approve
from approvals.services.execute import execute
from policies.models import User
from tests.approvals.make import (
    look_at,
    make_agent,
    make_house,
    make_limit,
    make_person,
    make_request,
    refund,
)
from tests.database import triggers_off

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

RECORDS = "admin:approvals_actionrequest_changelist"
CHILDREN = (
    "attempt", "compensation", "decision", "escalation", "evidenceitem", "execution", "grant",
    "policydecision", "requirement", "verification",
)  # fmt: skip


def visit(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def page_of(request: ActionRequest) -> str:
    return reverse("admin:approvals_actionrequest_change", args=[request.pk])


def listed(client: Client, name: str, query: str = "") -> list[Any]:
    answer = client.get(reverse(name) + query)
    assert answer.status_code == 200, answer.content.decode()[:500]
    return list(answer.context["cl"].result_list)


@pytest.fixture
def people() -> dict[str, User]:
    make_house()
    who = {
        name: make_person(name, role)
        for name, role in (
            ("mona", "manager"), ("lena", "legal"), ("olga", "agent owner"),
            ("otto", "agent owner"), ("omar", "ops admin"), ("ada", "auditor"),
        )
    }  # fmt: skip
    make_limit(who["mona"], "5000.00")
    who["root"] = User.objects.create_superuser("root", "root@retailer.example", "x")
    return who


@pytest.fixture
def waiting(people: dict[str, User]) -> ActionRequest:
    return make_request(make_agent(people["olga"]), refund("ch_1001", "800.00"))


@pytest.fixture
def done(waiting: ActionRequest, people: dict[str, User]) -> ActionRequest:
    mona = people["mona"]
    approve(waiting.pk, decider=mona, reviewed=look_at(waiting, mona), reason_code="as_proposed")
    execute(waiting.pk)
    return ActionRequest.objects.get(pk=waiting.pk)


@pytest.mark.parametrize(
    ("name", "sees"),
    [("mona", True), ("olga", True), ("ada", True), ("root", True), ("lena", False),
     ("otto", False)],
)  # fmt: skip
def test_a_record_is_for_those_it_concerns(
    done: ActionRequest, people: dict[str, User], name: str, sees: bool
) -> None:
    client = visit(people[name])

    assert [r.pk for r in listed(client, RECORDS)] == ([done.pk] if sees else [])
    assert client.get(page_of(done)).status_code == (200 if sees else 404)
    for child in CHILDREN:
        rows = listed(client, f"admin:approvals_{child}_changelist")
        assert sees or not rows, child


def test_another_team_s_row_is_a_404_and_its_search_finds_nothing(
    done: ActionRequest, people: dict[str, User]
) -> None:
    lena = visit(people["lena"])
    execution, decision = done.executions.get(), done.decisions.get()

    for kind, pk in (("execution", execution.pk), ("decision", decision.pk)):
        address = reverse(f"admin:approvals_{kind}_change", args=[pk])
        assert lena.get(address).status_code == 404
        assert visit(people["ada"]).get(address).status_code == 200
    assert listed(lena, RECORDS, f"?q={done.pk}") == []
    assert listed(lena, RECORDS, f"?q={done.target}") == []


def test_an_ops_admin_sees_agents_and_no_request(
    done: ActionRequest, people: dict[str, User]
) -> None:
    omar = visit(people["omar"])

    assert omar.get(reverse(RECORDS)).status_code == 403
    assert omar.get(page_of(done)).status_code in {403, 404}
    assert [a.name for a in listed(omar, "admin:approvals_agent_changelist")] == ["refund-bot"]


def test_the_record_tells_the_whole_story(done: ActionRequest, people: dict[str, User]) -> None:
    html = visit(people["ada"]).get(page_of(done)).content.decode()

    for expected in (
        "Refund 800.00 EUR", done.digest, "refund-medium", "require approval",
        "person mona: approve for manager", "Read back and equal to what was approved",
        "agent refund-bot proposed refund.issue", "Right as proposed", "read by the system",
        "refundable", "person mona: request.approved", "stored bytes have this digest",
    ):  # fmt: skip
        assert expected in html, expected


def test_what_the_agent_wrote_is_marked_escaped_and_has_nothing_hidden(
    people: dict[str, User],
) -> None:
    source = SuppliedEvidence(
        kind="email", title="<b>Mail</b>", excerpt="<script>x()</script> pay\u202eecivni"
    )
    found = make_request(
        make_agent(people["olga"]), refund("ch_1003", "700.00"), evidence=(source,)
    )

    html = visit(people["ada"]).get(page_of(found)).content.decode()

    assert "supplied by the agent" in html
    assert "<script>x()" not in html
    assert "<b>Mail" not in html
    assert "[U+202E]" in html
    assert "\u202e" not in html


def test_bytes_that_lost_their_digest_are_called_out(
    waiting: ActionRequest, people: dict[str, User]
) -> None:
    with triggers_off():
        RequestContent.objects.filter(request=waiting).update(
            action='{"action_type":"refund.issue","params":{"amount":"9000.00"}}'
        )

    html = visit(people["ada"]).get(page_of(waiting)).content.decode()

    assert "do not match their digest" in html


def test_a_damaged_reading_and_trace_are_called_out(
    waiting: ActionRequest, people: dict[str, User]
) -> None:
    with triggers_off():
        TargetReading.objects.filter(request=waiting).update(before='{"refundable": ')
        PolicyDecision.objects.filter(request=waiting).update(trace="[]")

    html = visit(people["ada"]).get(page_of(waiting)).content.decode()

    assert html.count("What is stored of it is damaged: tell an auditor.") == 2


def test_what_a_reviewer_was_shown_can_be_read_later(
    done: ActionRequest, people: dict[str, User]
) -> None:
    decision = done.decisions.get()
    address = reverse("admin:approvals_decision_change", args=[decision.pk])

    html = visit(people["ada"]).get(address).content.decode()

    assert decision.shown_id in html
    assert "Refund 800.00 EUR" in html


@pytest.mark.parametrize("query", ["?q={id}", "?q=charge+ch_1001", "?state=audited",
                                   "?agent=refund-bot", "?action_type=refund.issue",
                                   "?since=2020-01-01"])  # fmt: skip
def test_filters_and_search_find_it(
    done: ActionRequest, people: dict[str, User], query: str
) -> None:
    found = listed(visit(people["ada"]), RECORDS, query.format(id=done.pk))

    assert [r.pk for r in found] == [done.pk]


@pytest.mark.parametrize(
    "query",
    ["?q=ch_2", "?state=rejected", "?state=nonsense", "?risk_tier=x", "?agent=refund",
     "?until=2020-01-01"],
)  # fmt: skip
def test_filters_and_search_find_nothing_else(
    done: ActionRequest, people: dict[str, User], query: str
) -> None:
    assert listed(visit(people["ada"]), RECORDS, query) == []


@pytest.mark.parametrize("name", ["ada", "mona", "olga"])
def test_lists_cost_the_same_however_many_rows(people: dict[str, User], name: str) -> None:
    agent = make_agent(people["olga"])
    client = visit(people[name])
    kinds = ("actionrequest", "requirement", "policydecision", "evidenceitem")

    def queries() -> list[int]:
        counts = []
        for kind in kinds:
            cache.clear()
            with CaptureQueriesContext(connection) as found:
                assert listed(client, f"admin:approvals_{kind}_changelist")
            assert not any("DISTINCT" in q["sql"] for q in found)
            counts.append(len(found))
        return counts

    make_request(agent, refund("ch_1001", "800.00"))
    few = queries()
    for number in range(3, 9):
        make_request(agent, refund(f"ch_100{number}", "800.00"))

    assert queries() == few


def test_a_record_costs_no_more_than_one_question_for_each_part_it_has(
    people: dict[str, User], done: ActionRequest
) -> None:
    other = make_request(done.agent, refund("ch_1008", "900.00"))
    ada = visit(people["ada"])

    def queries(request: ActionRequest) -> int:
        cache.clear()
        with CaptureQueriesContext(connection) as found:
            assert ada.get(page_of(request)).status_code == 200
        return len(found)

    parts = ("decisions", "grants", "executions", "attempts", "verifications")
    assert queries(other) < queries(done) <= queries(other) + len(parts)


def test_a_key_s_hash_is_on_no_page(people: dict[str, User], done: ActionRequest) -> None:
    client = visit(people["olga"])
    agent_page = reverse("admin:approvals_agent_change", args=[done.agent.pk])
    shown = client.post(
        reverse("admin:approvals_agent_issue_key", args=[done.agent.pk]), {"days": "1"}
    )
    key = AgentKey.objects.latest("pk")

    assert shown.status_code == 200
    for address in (
        agent_page, reverse("admin:approvals_agentkey_changelist"),
        reverse("admin:approvals_agentkey_change", args=[key.pk]),
    ):  # fmt: skip
        html = client.get(address).content.decode()
        assert key.prefix in html
        assert key.secret_sha256 not in html
