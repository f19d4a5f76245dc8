"""Past cases as replays take them: what intake evaluated, on which facts, and whom it asked."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

import approvals
from approvals.models import ActionRequest, PolicyDecision
from approvals.selectors import past_cases
from approvals.services.sweep import sweep
from audit.actors import Actor
from policies.models import Backtest, ShadowVerdict
from policies.parsing.parser import parse_document
from policies.replay.backtest import LAID_OVER, PastCase, Replay, Said
from policies.replay.summary import Summary
from policies.services.backtests import request_backtest
from policies.services.shadow import forget_shadows, start_shadow
from policies.services.versions import draft_version
from policies.verdicts import Verdict
from tests.approvals.make import (
    DEFAULT_POLICY,
    Cast,
    approve,
    fresh,
    make_crm,
    make_person,
    make_request,
    manager_refund,
    refund,
)

LOOSER = DEFAULT_POLICY.replace("refund_automatic: 25000", "refund_automatic: 90000")


@pytest.fixture(autouse=True)
def _unknown_shadows() -> Iterator[None]:
    forget_shadows()
    yield
    forget_shadows()


def cases(most: int = 100) -> list[PastCase]:
    return [case for batch in past_cases.newest(most) for case in batch]


def make_unreadable(cast: Cast) -> ActionRequest:
    """Policy would allow it, could anybody read what it would change."""
    params = {"record": "acct_9999", "tag": "vip"}
    return make_request(cast.agent, params, action_type="crm.tag")


def make_refused(cast: Cast) -> ActionRequest:
    """Policy would allow it; by what the target shows, it would refuse it."""
    return make_request(cast.agent, refund("ch_1003", "240.00"))


def in_force(cast: Cast) -> Replay:
    return Replay(parse_document(DEFAULT_POLICY), past=past_cases)


def test_the_policy_in_force_answers_past_cases_as_it_did(cast: Cast) -> None:
    """Allowed, asked, laid over for want of a reading: all the same again."""
    make_request(cast.agent)
    make_request(cast.agent, manager_refund())
    make_crm(cast)
    make_unreadable(cast)

    replay = in_force(cast)
    flips = replay.over(cases())

    assert flips == []
    assert replay.summary.same == 4


def test_a_case_says_what_intake_said_however_it_went_on(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())
    decision = PolicyDecision.objects.get(request=request)
    approve(request, cast.mona)

    (case,) = cases()

    assert case.subject_id == str(request.pk)
    assert case.said == Said(Verdict.REQUIRE_APPROVAL, 3, ("manager",), 1)
    assert (case.facts, case.at) == (decision.facts, decision.created_at)
    assert fresh(request).state != "pending_approval"


def test_only_judgements_at_intake_count(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())
    first = PolicyDecision.objects.get(request=request)
    PolicyDecision.objects.create(
        request=request,
        version=1,
        purpose="execution",
        verdict="deny",
        tier=5,
        reason_required=True,
        decide_within=timedelta(1),
        execute_within=timedelta(1),
        facts="{}",
        trace="{}",
        created_at=first.created_at,
    )

    assert [case.said.verdict for case in cases()] == ["require_approval"]
    assert past_cases.how_many(100) == 1


def test_the_newest_come_first_in_two_statements_a_batch(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    made = [str(make_request(cast.agent, manager_refund(f"8{n}0.00")).pk) for n in range(5)]
    monkeypatch.setattr(past_cases, "BATCH", 2)

    with django_assert_num_queries(4):
        found = cases(3)

    assert [case.subject_id for case in found] == made[:1:-1]
    assert [len(batch) for batch in past_cases.newest(5)] == [2, 2, 1]
    assert (past_cases.how_many(3), past_cases.how_many(9)) == (3, 5)


def test_what_intake_laid_over_is_told_by_its_trace(cast: Cast) -> None:
    plain, refused = make_request(cast.agent), make_refused(cast)

    floors = past_cases.laid_over([str(plain.pk), str(refused.pk)])

    assert floors == {str(refused.pk): Verdict.REQUIRE_APPROVAL}


def test_every_rule_intake_lays_over_policy_is_known_to_replays() -> None:
    source = Path(approvals.__file__).parent / "domain" / "policy_check.py"
    laid = {
        call.args[1].value
        for call in ast.walk(ast.parse(source.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "with_engine_rule"
        and isinstance(call.args[1], ast.Constant)
    }

    assert laid == LAID_OVER


def test_a_replay_ordered_by_a_risk_owner_is_carried_out_by_the_sweep(cast: Cast) -> None:
    rita = make_person("rita", "risk owner")
    make_request(cast.agent)
    make_request(cast.agent, refund("ch_1001", "300.00"))
    draft = draft_version(LOOSER, author=rita, reason="try it")
    order = request_backtest(draft.pk, actor=Actor.human(rita))

    swept = sweep()

    order = Backtest.objects.get(pk=order.pk)
    assert (swept.counts["replays"], swept.failed, order.status) == (1, 0, "done")
    assert Summary.from_json(order.summary).total == ActionRequest.objects.count() == 2


def test_a_shadow_watches_intake(cast: Cast) -> None:
    rita = make_person("rita", "risk owner")
    draft = draft_version(LOOSER, author=rita, reason="try it")
    start_shadow(draft.pk, actor=Actor.human(rita), reason="watch it")
    forget_shadows()

    request = make_request(cast.agent)

    row = ShadowVerdict.objects.get()
    assert (row.subject_id, row.version, row.direction) == (str(request.pk), draft, "same")
    assert (row.active_verdict, row.shadow_verdict) == (request.verdict, request.verdict)


@pytest.mark.postgres
def test_a_batch_is_found_by_index(cast: Cast) -> None:
    make_crm(cast)
    rows = past_cases._INTAKE.filter(pk__lt=10**9).values_list("pk", "facts")[:5000]
    with connection.cursor() as cursor:
        # two rows: the plan of many is asked for
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")

        plan = rows.explain()

    assert "Index Scan Backward using approvals_policydecision_pkey" in plan
    assert "Sort" not in plan
