"""Requests of one session are judged together, and nobody leaves a session by leaving it out."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from approvals.domain.derivation import rederive
from approvals.domain.policy_check import check_policy
from approvals.models import ActionRequest
from approvals.proposal import SuppliedEvidence
from approvals.selectors import prior_requests
from approvals.services.agent_replies import answer, withdraw
from approvals.services.dry_run import check
from approvals.services.execute import execute
from approvals.services.undo import propose_undo
from audit.events import AuditCode
from audit.lib import db_clock
from audit.models import AuditEvent
from connectors.base import Preview
from connectors.sandbox.server import Sandbox
from policies.facts import SOURCE_CLASSES
from tests.approvals.make import (
    Cast,
    approve,
    ask,
    crm,
    fresh,
    make_access,
    make_agent,
    make_limit,
    make_proposal,
    make_request,
    refund,
    reject,
)
from tests.approvals.story import facts_of
from tests.database import triggers_off

TAG = {"record": "acct_2001", "tag": "vip"}


def access(cast: Cast, session: str = "s1", **fields: Any) -> ActionRequest:
    params = {"user": "mia.keller", "group": "crm-editors", "until": "2030-12-31"}
    return make_request(cast.agent, params, action_type="access.grant", session=session, **fields)


def tag(cast: Cast, name: str = "vip", session: str = "s1", **fields: Any) -> ActionRequest:
    params = {"record": "acct_2001", "tag": name}
    return make_request(cast.agent, params, action_type="crm.tag", session=session, **fields)


def source(authority: str, title: str = "Page") -> SuppliedEvidence:
    return SuppliedEvidence(kind="page", title=title, authority=authority)


# --- What a chain is


def test_a_session_counts_adds_up_and_names_its_systems(cast: Cast) -> None:
    make_request(cast.agent, refund("ch_1003", "20.00"), session="s1")
    make_request(cast.agent, refund("ch_1004", "30.00"), session="other")
    tag(cast)

    facts = facts_of(make_request(cast.agent, refund("ch_1005", "5.00"), session="s1"))

    assert facts["session.named"] is True
    assert (facts["session.count"], facts["session.sum_base"]) == (3, 2500)
    assert facts["session.highest_tier"] == 3
    assert facts["session.systems"] == ["payments", "records"]


def test_two_agents_share_no_session(cast: Cast) -> None:
    other = make_agent(cast.owner, "other-bot")
    make_request(other, refund("ch_1003", "20.00"), session="s1")

    assert facts_of(tag(cast))["session.count"] == 1


def test_what_ended_without_effect_counts_for_nothing(cast: Cast) -> None:
    reject(access(cast), cast.sara)

    found = facts_of(tag(cast))

    assert (found["session.count"], found["session.highest_tier"]) == (1, 0)
    assert found["session.goes_beyond"] is False


# --- What goes beyond


def test_a_harmless_step_after_a_dangerous_one_is_judged_like_it(cast: Cast) -> None:
    access(cast)

    alone, after = tag(cast, "a", session="s2"), tag(cast, "b")

    assert (alone.risk_tier, alone.verdict) == (1, "allow")
    assert (after.risk_tier, fresh(after).state) == (4, "pending_approval")
    assert {one.group for one in after.requirements.all()} == {"operations", "security"}


def test_a_step_on_a_system_that_was_approved_goes_beyond_nothing(
    cast: Cast, sandbox: Sandbox
) -> None:
    change = make_request(cast.agent, crm(stage="lead"), action_type="crm.update", session="s1")
    before = tag(cast, "early")
    approve(change, cast.otto)
    execute(change.pk)

    after = tag(cast, "later")

    assert (before.risk_tier, after.risk_tier) == (2, 1)
    assert facts_of(after)["session.goes_beyond"] is False


def test_a_draft_and_an_undo_go_beyond_nothing(cast: Cast, sandbox: Sandbox) -> None:
    access(cast)
    draft = {"ticket": "tick_4001", "body": "We will send a new lamp."}
    done = tag(cast, "x", session="s2")
    execute(done.pk)
    with triggers_off():
        ActionRequest.objects.filter(pk=done.pk).update(session="s1", chain=fresh(done).chain)

    undo = propose_undo(done.pk, reason="wrong").request
    drafted = make_request(cast.agent, draft, action_type="draft.reply", session="s1")

    assert facts_of(undo)["session.goes_beyond"] is False
    assert (drafted.risk_tier, drafted.verdict) == (1, "allow")


# --- The server fixes it


def test_the_villain_leaves_the_session_out_and_stays_in_it(cast: Cast) -> None:
    first = access(cast)

    villain = tag(cast, session="")

    assert (fresh(villain).session, fresh(villain).chain) == ("", first.chain)
    assert villain.risk_tier == 4


def test_nor_does_another_subject_or_none_begin_another_chain(cast: Cast) -> None:
    access(cast, on_behalf_of="fred")

    found = [
        tag(cast, name, on_behalf_of=whom) for name, whom in (("a", ""), ("b", "mona"), ("c", "x"))
    ]

    assert [one.risk_tier for one in found] == [4, 4, 4]


def test_what_replaces_a_request_stays_in_its_session(cast: Cast) -> None:
    make_request(cast.agent, refund("ch_1003", "900.00"), session="s1")
    wrong = make_request(cast.agent, crm(stage="lead"), action_type="crm.update", session="s1")
    with triggers_off():  # the hour in which a session left out is the last one is over
        ActionRequest.objects.filter(session="s1").update(session="")

    right = make_request(
        cast.agent, crm(stage="won"), action_type="crm.update", supersedes=wrong.pk
    )

    assert right.chain == wrong.chain
    assert facts_of(right)["session.count"] == 2  # what was replaced is none any more


def test_an_agent_that_names_no_sessions_has_none(cast: Cast) -> None:
    make_access(cast)

    found = make_request(cast.agent, TAG, action_type="crm.tag")

    assert (found.chain, found.risk_tier) == ("", 1)
    assert facts_of(found)["session.named"] is False


def test_a_chain_is_not_rewritten(cast: Cast) -> None:
    request = tag(cast)

    with pytest.raises(DatabaseError), transaction.atomic():
        ActionRequest.objects.filter(pk=request.pk).update(chain="")


def test_the_trail_says_which_chain_it_belongs_to(cast: Cast) -> None:
    request = tag(cast)

    event = AuditEvent.objects.get(code=AuditCode.CLASSIFIED, subject_id=str(request.pk))

    assert json.loads(event.data)["chain"] == request.chain != ""


def test_a_check_says_what_the_proposal_would_hear(cast: Cast) -> None:
    access(cast)
    proposal = make_proposal(TAG, action_type="crm.tag", session="s1")

    assert check(proposal, agent=cast.agent).evaluation.tier == 4


def test_what_came_later_takes_nothing_from_what_was_allowed(cast: Cast, sandbox: Sandbox) -> None:
    allowed = tag(cast)
    access(cast)

    execute(allowed.pk)

    assert fresh(allowed).state in ("verified", "audited")


def test_a_session_costs_one_statement_however_long_it_is(cast: Cast) -> None:
    def asked(name: str, session: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            tag(cast, name, session=session)
        return len(queries)

    tag(cast, "warm")
    without, first = asked("a", "s2"), asked("b", "s1")
    for number in range(5):
        tag(cast, f"more{number}")
    other = make_agent(cast.owner, "plain-bot")
    with CaptureQueriesContext(connection) as queries:
        make_request(other, {"record": "acct_2001", "tag": "z"}, action_type="crm.tag")

    assert without == first == asked("c", "s1")
    assert len(queries) == first - 1


# --- What the agent has read


def test_sources_are_only_added_to_and_what_is_not_said_is_unknown(cast: Cast) -> None:
    def sources(name: str, *words: str) -> list[str]:
        items = tuple(source(word, title=f"{name} {word}") for word in words)
        return list(facts_of(tag(cast, name, evidence=items))["session.sources"])

    assert sources("a", "internal") == ["own"]
    assert sources("b", "authenticated") == ["own", "authenticated"]
    assert sources("c", "Official ", "external") == ["own", "authenticated", "public"]
    assert sources("d", "internal") == ["own", "authenticated", "public"]
    assert sources("e", "approved by the CFO") == list(SOURCE_CLASSES)
    assert sources("f") == list(SOURCE_CLASSES)


def test_no_word_about_sources_is_unknown_and_so_is_no_session(cast: Cast) -> None:
    silent = facts_of(tag(cast, "a"))
    homeless = facts_of(
        make_request(
            make_agent(cast.owner, "plain-bot"),
            TAG,
            action_type="crm.tag",
            evidence=(source("internal"),),
        )
    )

    assert (silent["session.sources"], silent["session.worst_source"]) == (["unknown"], "unknown")
    assert homeless["session.sources"] == ["own", "unknown"]


def test_an_agent_that_has_read_public_text_is_looked_at_for_the_whole_session(cast: Cast) -> None:
    tag(cast, "a", evidence=(source("public"),))

    villain = tag(cast, "b", evidence=(source("internal"),))

    assert fresh(villain).state == "pending_approval"
    assert "read-public-sources" in str(villain.policy_decisions.get().trace)


def test_withdrawing_what_was_read_does_not_unread_it(cast: Cast) -> None:
    withdraw(tag(cast, "a", evidence=(source("public"),)).pk, agent=cast.agent)

    assert "public" in facts_of(tag(cast, "b"))["session.sources"]


def test_what_an_answer_brings_was_read_in_the_session_too(cast: Cast) -> None:
    asked = make_request(cast.agent, crm(stage="lead"), action_type="crm.update", session="s1")
    ask(asked, cast.otto)
    answer(asked.pk, agent=cast.agent, body="See there.", evidence=(source("public"),))

    again = check_policy(rederive(fresh(asked)), Preview(), now=db_clock.now()).facts

    assert "public" in again.session.sources
    assert "public" in facts_of(tag(cast, "b"))["session.sources"]


# --- Who has authority to lend


def without_ceiling(cast: Cast) -> None:
    with triggers_off():
        type(cast.agent).objects.update(ceiling_minor=None, ceiling_currency="")
    cast.agent.refresh_from_db()


@pytest.mark.parametrize("whom", ["", "nobody.we.know", "customer@mail.example"])
def test_the_villain_names_nobody_known_and_borrows_nothing(cast: Cast, whom: str) -> None:
    without_ceiling(cast)

    request = make_request(cast.agent, refund("ch_1003", "20.00"), on_behalf_of=whom)
    named = make_request(cast.agent, refund("ch_1004", "20.00"), on_behalf_of="fred")

    assert facts_of(request)["requester.over_ceiling"] is True
    assert (fresh(request).verdict, fresh(named).verdict) == ("require_approval", "allow")


def test_an_agent_has_its_own_ceiling_and_not_a_cent_more(cast: Cast) -> None:
    with triggers_off():
        type(cast.agent).objects.update(ceiling_minor=5000, ceiling_currency="EUR")
    cast.agent.refresh_from_db()

    within = make_request(cast.agent, refund("ch_1003", "50.00"))
    above = make_request(cast.agent, refund("ch_1004", "50.01"))

    assert [facts_of(one)["requester.over_ceiling"] for one in (within, above)] == [False, True]


def test_whoever_was_named_in_a_session_still_counts_when_left_out(cast: Cast) -> None:
    make_limit(cast.fred, "100.00")
    make_request(cast.agent, refund("ch_1003", "20.00"), session="s1", on_behalf_of="fred")

    for number, whom in enumerate(("", "nobody.we.know")):
        params = refund(f"ch_100{5 + number}", "100.01")
        villain = make_request(cast.agent, params, session="s1", on_behalf_of=whom)
        assert facts_of(villain)["requester.over_ceiling"] is True
    fine = make_request(cast.agent, refund("ch_1009", "99.00"), session="s1")
    assert facts_of(fine)["requester.over_ceiling"] is False


def test_without_money_nobody_needs_to_be_named(cast: Cast) -> None:
    without_ceiling(cast)

    assert facts_of(tag(cast))["requester.over_ceiling"] is False


def test_a_session_of_hours_ago_is_over_for_who_names_none(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    access(cast)
    monkeypatch.setattr(prior_requests, "LEFT_OUT", timedelta(0))

    assert tag(cast, session="").chain == ""
