"""A preflight says what a proposal would learn, from target, policy and records; nothing moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals.api.output import ActionOutput
from approvals.api.preflight_output import ForeseenOutput
from approvals.exceptions import InvalidProposal
from approvals.models import ActionRequest
from approvals.selectors.request_view import RequestView
from approvals.services.agent_replies import withdraw
from approvals.services.dry_run import check
from approvals.services.execute import execute
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from policies.verdicts import HIGHEST_TIER
from tests.approvals.make import (
    ACCESS,
    Cast,
    crm,
    fresh,
    make_agent,
    make_proposal,
    make_request,
    manager_refund,
    publish,
    refund,
)

SOON = timedelta(minutes=1)
REFUND_EVIDENCE = ["charge", "customer_record", "impact_estimate"]


def foreseen(cast: Cast, params: JsonObject | None = None, **fields: Any) -> dict[str, Any]:
    """What the preflight answers."""
    return ForeseenOutput(check(make_proposal(params, **fields), agent=cast.agent)).data


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def about(text: str, wanted: datetime) -> bool:
    """Whether that is the moment, give or take how long a test takes."""
    return abs(at(text) - wanted) < SOON


CASES: list[tuple[str, JsonObject]] = [
    ("refund.issue", refund()),  # allowed
    ("refund.issue", manager_refund()),
    ("refund.issue", refund("ch_1001", "1999.00")),
    ("refund.issue", refund("ch_1001", "90000.00")),  # denied
    ("refund.issue", refund(amount="9000.00")),  # more than was charged
    ("crm.update", crm()),
    ("crm.tag", {"record": "acct_9999", "tag": "vip"}),  # nothing there
    ("access.grant", ACCESS),
    ("access.grant", {**ACCESS, "group": "domain-admins"}),
]


@pytest.mark.parametrize(("action_type", "params"), CASES)
def test_it_says_what_the_proposal_then_learns(
    cast: Cast, action_type: str, params: JsonObject
) -> None:
    said = foreseen(cast, params, action_type=action_type)
    request = make_request(cast.agent, params, action_type=action_type)

    learnt = ActionOutput(RequestView(fresh(request))).data
    for name in ("action_type", "digest", "effect", "target", "risk_tier", "verdict"):
        assert said[name] == learnt[name], name
    assert said["policy"]["version"] == learnt["policy"]["version"]
    assert [(r["rule"], r["reason"]) for r in said["policy"]["matched"]] == [
        (r["rule"], r["reason"]) for r in learnt["policy"]["matched"]
    ]
    assert len(said["requirements"]) == len(learnt["requirements"])
    for asked, required in zip(said["requirements"], learnt["requirements"], strict=True):
        later = {"escalated_to"}  # nothing has been escalated before it is proposed
        assert set(required) - set(asked) == later
        assert [asked[n] for n in required if n not in later] == [
            required[n] for n in required if n not in later
        ]
    assert (said["decide_by"] is None) == (learnt["decide_by"] is None)
    if learnt["decide_by"]:
        assert about(said["decide_by"], at(learnt["decide_by"]))
    if learnt["execute_by"]:
        assert about(said["execute_by"], at(learnt["execute_by"]))


def test_nothing_is_written(cast: Cast) -> None:
    with CaptureQueriesContext(connection) as asked:
        foreseen(cast, manager_refund(), decide_by=db_clock.now() + timedelta(hours=1))

    assert asked.captured_queries
    assert {query["sql"].split()[0] for query in asked} == {"SELECT"}


def test_what_is_refused_is_told_as_for_a_proposal(cast: Cast) -> None:
    strangers = make_request(make_agent(cast.owner, "other-bot"), manager_refund())
    proposal = make_proposal(
        refund(amount="1.5"),
        decide_by=db_clock.now() - SOON,
        supersedes=strangers.pk,
        said={"supersedes": str(strangers.pk), "decide_by": "then"},
    )

    with pytest.raises(InvalidProposal) as refused:
        check(proposal, agent=cast.agent)

    found = [problem.field for problem in refused.value.problems]
    assert found == ["params.amount", "supersedes", "decide_by"]


# --- The target -------------------------------------------------------------------------------


def test_it_shows_the_target_as_it_is_and_as_it_would_be(cast: Cast) -> None:
    said = foreseen(cast, crm(stage="won"), action_type="crm.update")["preview"]

    assert said["before"]["stage"] != "won"
    assert said["after"]["stage"] == "won"
    assert (said["unavailable"], said["problem"]) == (None, None)


def test_it_says_what_the_target_would_refuse(cast: Cast) -> None:
    said = foreseen(cast, refund(amount="9000.00"))

    assert said["preview"]["problem"]
    assert said["preview"]["after"] == {}
    assert said["preview"]["before"]
    assert said["verdict"] == "require_approval"


def test_it_says_why_there_is_no_preview_and_which_evidence_is_missing(cast: Cast) -> None:
    said = foreseen(cast, refund("ch_9999", "800.00"))
    there = foreseen(cast, manager_refund())

    assert said["preview"]["unavailable"]
    assert (said["preview"]["before"], said["preview"]["after"]) == ({}, {})
    assert said["risk_tier"] == HIGHEST_TIER
    assert "unreadable" in [gap["problem"] for gap in said["evidence_gaps"]]
    assert there["evidence"] == {"required": REFUND_EVIDENCE, "missing": []}
    assert there["evidence_gaps"] == []


def test_evidence_nobody_has_read_is_named(cast: Cast) -> None:
    publish(cast, ("evidence: [charge,", "evidence: [contract, charge,"))

    said = foreseen(cast, manager_refund())

    assert said["evidence"] == {"required": ["contract", *REFUND_EVIDENCE], "missing": ["contract"]}
    assert [(gap["kind"], gap["problem"], gap["by"]) for gap in said["evidence_gaps"]] == [
        ("contract", "missing", "system")
    ]


# --- The clocks -------------------------------------------------------------------------------


def test_what_runs_by_itself_has_nobodys_time_to_wait_for(cast: Cast) -> None:
    said = foreseen(cast)

    now = db_clock.now()
    assert (said["verdict"], said["decide_by"]) == ("allow", None)
    assert about(said["may_begin_at"], now)
    assert at(said["execute_by"]) > now
    assert (said["window"], said["freezes"]) == (None, [])


def test_what_is_denied_has_no_time_at_all(cast: Cast) -> None:
    said = foreseen(cast, refund("ch_1001", "90000.00"))

    assert said["verdict"] == "deny"
    assert ("refund-ceiling", "deny") in {
        (rule["rule"], rule["effect"]) for rule in said["policy"]["matched"]
    }
    assert [said[name] for name in ("decide_by", "execute_by", "may_begin_at")] == [None] * 3
    assert said["requirements"] == []


def test_the_agents_own_deadline_counts_where_it_is_earlier(cast: Cast) -> None:
    now = db_clock.now()

    usual = foreseen(cast, manager_refund())
    hurried = foreseen(cast, manager_refund(), decide_by=now + timedelta(minutes=10))
    patient = foreseen(cast, manager_refund(), decide_by=now + timedelta(days=300))

    assert at(hurried["decide_by"]) == now + timedelta(minutes=10)
    assert about(patient["decide_by"], at(usual["decide_by"]))
    assert at(hurried["execute_by"]) < at(usual["execute_by"])


def test_it_names_the_window_and_when_that_opens(cast: Cast) -> None:
    day = (datetime.now(UTC) + timedelta(days=3)).weekday()
    name = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][day]
    publish(cast, ("days: [mon, tue, wed, thu, fri, sat, sun]", f"days: [{name}]"))

    said = foreseen(cast, ACCESS, action_type="access.grant")

    assert said["window"] == "changes"
    assert at(said["may_begin_at"]).timestamp() > db_clock.now().timestamp() + 24 * 60 * 60


def test_it_names_the_freeze_and_waits_for_its_end(cast: Cast) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begins, ends = today - timedelta(days=1), today + timedelta(days=2)
    publish(
        cast,
        (
            "freezes: []",
            f"freezes:\n- {{name: close, from: {begins:%Y-%m-%dT%H:%M}, "
            f"to: {ends:%Y-%m-%dT%H:%M}, tz: UTC, action_types: [refund.issue], "
            "reason: Books are closed.}",
        ),
    )

    said, free = foreseen(cast), foreseen(cast, crm(), action_type="crm.update")

    assert [(f["name"], f["reason"], at(f["ends_at"])) for f in said["freezes"]] == [
        ("close", "Books are closed.", ends)
    ]
    assert at(said["may_begin_at"]) == ends
    assert free["freezes"] == []


# --- Who would decide ---------------------------------------------------------------------------


def test_it_says_who_would_decide_in_which_order_and_whether_they_need_a_limit(cast: Cast) -> None:
    people = "requirements: [{group: security}, {group: operations}]"
    ordered = people.replace("security", "security, alternatives: [legal]")
    ordered = ordered.replace("operations", "operations, stage: 2")
    pattern = "window: changes\n    operating_model: in the loop\n    pattern: "
    publish(cast, (people, ordered), (f"{pattern}two groups", f"{pattern}ordered stages"))

    money = foreseen(cast, manager_refund())["requirements"]
    access = foreseen(cast, ACCESS, action_type="access.grant")["requirements"]

    assert [(r["group"], r["quorum"], r["stage"], r["within_limit"]) for r in money] == [
        ("manager", 1, 1, True)
    ]
    assert money[0]["minimum"] == "800.00 EUR"
    assert [(r["group"], r["stage"], r["alternatives"], r["within_limit"]) for r in access] == [
        ("security", 1, ["legal"], False),
        ("operations", 2, [], False),
    ]
    assert not any(r["met"] or r["minimum"] or r["excludes"] for r in access)


# --- The same thing, proposed before --------------------------------------------------------------


def test_the_same_thing_of_ones_own_that_is_open_is_named(cast: Cast) -> None:
    assert same(foreseen(cast, manager_refund())) == (False, None)
    make_request(cast.agent, manager_refund())
    newest = make_request(cast.agent, {**manager_refund(), "reason": "in other words"})

    assert same(foreseen(cast, manager_refund())) == (True, str(newest.pk))
    assert same(foreseen(cast, manager_refund("801.00"))) == (False, None)


def test_another_agents_is_not_named(cast: Cast) -> None:
    make_request(make_agent(cast.owner, "other-bot"), manager_refund())

    assert same(foreseen(cast, manager_refund())) == (True, None)


def test_what_has_ended_or_would_be_replaced_is_not_open(cast: Cast) -> None:
    done = make_request(cast.agent)
    execute(done.pk)
    taken_back = make_request(cast.agent, manager_refund())
    withdraw(taken_back.pk, agent=cast.agent, reason="")
    replaced = make_request(cast.agent, crm(), action_type="crm.update")

    assert ActionRequest.objects.get(pk=done.pk).state == "audited"
    assert same(foreseen(cast)) == (False, None)
    assert same(foreseen(cast, manager_refund())) == (False, None)
    assert same(foreseen(cast, crm(), action_type="crm.update", supersedes=replaced.pk)) == (
        False,
        None,
    )


def same(said: dict[str, Any]) -> tuple[bool, str | None]:
    return said["already_open"], said["duplicate_of"]
