"""Plans: several actions judged together, done in order, and undone newest first."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.core.management import call_command

from approvals.domain.attempts import Claim
from approvals.domain.evidence import read_target
from approvals.exceptions import (
    IdempotencyMismatch,
    InvalidProposal,
    NotAuthorised,
    NotFound,
    StalePage,
    WrongState,
)
from approvals.models import ActionRequest, Compensation, Plan
from approvals.selectors.plan_view import PlanView
from approvals.selectors.plans import plan_of_agent
from approvals.selectors.requests import action_of
from approvals.services.execute import NotNow, claim_now, execute
from approvals.services.plan_progress import carry_on
from approvals.services.plans import approve_plan, reject_plan, withdraw_plan
from approvals.services.sweep import sweep
from audit.lib.canonical import JsonObject
from audit.models import AuditEvent
from connectors.sandbox.server import Sandbox
from connectors.sandbox.web import Fault
from policies.models import User
from tests.approvals import make
from tests.approvals.executing import plan as plan_fault
from tests.approvals.make import Cast, crm, fresh, look_at, make_agent, make_proof, refund
from tests.approvals.story import codes

REROUTE: JsonObject = {"shipment": "shp_6001", "depot": "BER-1", "reason": "the roof leaks"}
RECORD, SHIPMENT, MONEY = (
    ("crm.update", crm()),
    ("shipment.reroute", REROUTE),
    ("refund.issue", refund("ch_1001", "800.00")),
)
"""Three systems; operations decide the first two, a manager the third."""


def propose(cast: Cast, *actions: tuple[str, JsonObject], key: str = "plan-1") -> Plan:
    return make.make_plan(cast.agent, *(actions or (RECORD, SHIPMENT, MONEY)), key=key)


def of(plan: Plan) -> list[ActionRequest]:
    return list(ActionRequest.objects.filter(plan=plan).order_by("step"))


def states(plan: Plan) -> list[str]:
    return [step.state for step in of(plan)]


def approve(plan: Plan, user: User, which: Sequence[int] = (1, 2)) -> None:
    """They look at the whole plan and say yes to the steps that are theirs."""
    approve_plan(
        plan.pk,
        decider=user,
        reviewed=[look_at(step, user) for step in of(plan) if step.step in which],
        reason_code="as_proposed",
        proof=make_proof(user),
    )


def agreed(cast: Cast) -> Plan:
    plan = propose(cast)
    approve(plan, cast.otto)
    approve(plan, cast.mona, [3])
    return plan


def work(times: int = 8) -> None:
    """What workers and beat do until nothing is left to be done."""
    for _ in range(times):
        Plan.objects.filter(next_look_at__isnull=False).update(next_look_at="2026-01-01T00:00Z")
        assert sweep().failed == 0


def effects(sandbox: Sandbox) -> list[str]:
    return [
        system for system in ("records", "logistics", "payments") for _ in sandbox.effects(system)
    ]


def over(plan: Plan) -> tuple[str, str]:
    found = Plan.objects.get(pk=plan.pk)
    return found.outcome, found.stop_reason


# --- Judged together --------------------------------------------------------------------------


def test_the_highest_tier_and_the_strictest_verdict_govern_every_step(
    cast: Cast, sandbox: Sandbox
) -> None:
    alone = make.make_request(
        cast.agent, {"record": "acct_2002", "tag": "vip"}, action_type="crm.tag"
    )
    plan = propose(cast, ("crm.tag", {"record": "acct_2003", "tag": "vip"}), MONEY)

    tag, money = of(plan)
    assert (alone.risk_tier, alone.verdict) == (1, "allow")
    assert (money.risk_tier, money.verdict) == (3, "require_approval")
    assert (tag.risk_tier, tag.verdict, tag.state) == (3, "require_approval", "pending_approval")
    assert PlanView(plan).facts.highest_tier == 3
    assert codes(plan) == ["plan.proposed"]
    call_command("verify_audit")


def test_what_policy_allows_alone_it_allows_as_a_plan(cast: Cast, sandbox: Sandbox) -> None:
    plan = propose(cast, *(("crm.tag", {"record": f"acct_200{n}", "tag": "vip"}) for n in (1, 2)))
    assert states(plan) == ["approved", "approved"]

    work()

    assert states(plan) == ["audited", "audited"]
    assert over(plan) == ("done", "")


def test_one_denied_step_denies_all_of_it(cast: Cast, sandbox: Sandbox) -> None:
    money = ("refund.issue", refund("ch_1001", "900000.00"))
    plan = propose(cast, RECORD, money)
    if "denied" not in states(plan):  # no rule of the default policy denies by amount
        make.publish(
            cast,
            ("rules:\n", "rules:\n  - {id: never, owner: head of finance, reason: Never., when: "
             '[action.type == "refund.issue"], effect: deny}\n'),
        )  # fmt: skip
        plan = propose(cast, RECORD, money, key="plan-2")

    assert states(plan) == ["denied", "denied"]
    work()
    assert over(plan)[0] == "nothing"


def test_rules_may_ask_about_the_plan(cast: Cast, sandbox: Sandbox) -> None:
    make.publish(
        cast,
        ("rules:\n", "rules:\n  - {id: far-reaching, owner: head of security, reason: Far., when: "
         '["plan.steps > 1 && size(plan.systems) > 2"], effect: deny}\n'),
    )  # fmt: skip

    assert states(propose(cast, RECORD, SHIPMENT, key="two")) == ["pending_approval"] * 2
    assert states(propose(cast, key="three")) == ["denied"] * 3


@pytest.mark.parametrize(
    ("actions", "field"),
    [
        ((RECORD, ("refund.issue", refund(amount="-1"))), "steps.1.params.amount"),
        ((RECORD, ("crm.update", crm(stage="lost"))), "steps.1.params"),
    ],
)
def test_a_bad_step_is_named_and_nothing_is_stored(
    cast: Cast, sandbox: Sandbox, actions: tuple[tuple[str, JsonObject], ...], field: str
) -> None:
    with pytest.raises(InvalidProposal) as refused:
        propose(cast, *actions)

    assert [problem.field for problem in refused.value.problems] == [field]
    assert not Plan.objects.exists()
    assert not ActionRequest.objects.exists()


def test_the_same_key_opens_one_plan(cast: Cast, sandbox: Sandbox) -> None:
    first = propose(cast)

    assert propose(cast) == first
    assert ActionRequest.objects.count() == 3
    with pytest.raises(IdempotencyMismatch):
        propose(cast, RECORD, SHIPMENT)
    with pytest.raises(NotFound):
        plan_of_agent(first.pk, make_agent(cast.owner, "other-bot"))


# --- Decided together -------------------------------------------------------------------------


def test_nothing_begins_before_every_step_is_approved(cast: Cast, sandbox: Sandbox) -> None:
    plan = propose(cast)
    approve(plan, cast.otto)
    for step in of(plan):
        execute(step.pk)
    work()

    assert states(plan) == ["approved", "approved", "pending_approval"]
    assert effects(sandbox) == []


def test_no_step_is_decided_by_itself(cast: Cast, sandbox: Sandbox) -> None:
    step = of(propose(cast))[0]

    for decide in (make.approve, make.reject, make.ask):
        with pytest.raises(WrongState) as refused:
            decide(step, cast.otto)
        assert refused.value.code == "part_of_plan"
    assert fresh(step).state == "pending_approval"


def test_who_may_not_decide_one_of_the_steps_shown_decides_none(
    cast: Cast, sandbox: Sandbox
) -> None:
    plan = propose(cast)

    with pytest.raises(NotAuthorised):
        approve(plan, cast.otto, [1, 2, 3])  # the refund is no business of operations
    with pytest.raises(WrongState):
        approve(plan, cast.otto, [])

    assert states(plan) == ["pending_approval"] * 3
    assert not AuditEvent.objects.filter(code="decision.recorded").exists()
    assert codes(of(plan)[2])[-1] == "decision.refused"


def test_steps_of_another_plan_are_not_decided_with_it(cast: Cast, sandbox: Sandbox) -> None:
    plan = propose(cast)
    other = propose(cast, ("crm.update", crm("acct_2002")), MONEY, key="other")

    with pytest.raises(WrongState):
        approve_plan(plan.pk, decider=cast.otto, reviewed=[look_at(of(other)[0], cast.otto)])


def test_a_page_of_before_decides_nothing(cast: Cast, sandbox: Sandbox) -> None:
    plan = propose(cast)
    seen = [look_at(step, cast.otto) for step in of(plan)[:2]]
    for step in of(plan)[:1]:
        make.supply(step, cast.oona, "note")

    with pytest.raises(StalePage):
        approve_plan(plan.pk, decider=cast.otto, reviewed=seen)


def test_one_no_ends_all_of_it(cast: Cast, sandbox: Sandbox) -> None:
    plan = propose(cast)
    approve(plan, cast.otto)

    seen = [look_at(of(plan)[2], cast.mona)]
    reject_plan(plan.pk, decider=cast.mona, reviewed=seen, reason_code="not_justified")
    work()

    assert states(plan) == ["withdrawn", "withdrawn", "rejected"]
    assert over(plan) == ("nothing", "Step 3 of the plan: rejected.")
    assert effects(sandbox) == []


# --- Done in order ----------------------------------------------------------------------------


def test_steps_run_in_their_order_each_after_the_one_before(cast: Cast, sandbox: Sandbox) -> None:
    plan = agreed(cast)
    first, second, third = of(plan)

    for early in (third, second):
        execute(early.pk)
        assert fresh(early).state == "approved"
    execute(first.pk)
    assert states(plan) == ["audited", "approved", "approved"]
    work()

    assert states(plan) == ["audited"] * 3
    assert over(plan) == ("done", "")
    assert sorted(effects(sandbox)) == ["logistics", "payments", "records"]
    begun = AuditEvent.objects.filter(code="request.execution_begun").order_by("id")
    assert [event.subject_id for event in begun] == [str(step.pk) for step in of(plan)]
    call_command("verify_audit")


def test_a_claim_looks_for_itself_whose_turn_it_is(cast: Cast, sandbox: Sandbox) -> None:
    first, second, _ = of(agreed(cast))

    preview = read_target(action_of(second))
    assert isinstance(claim_now(second.pk, preview), NotNow)
    execute(first.pk)
    assert isinstance(claim_now(second.pk, read_target(action_of(second))), Claim)


def test_a_failure_undoes_what_was_done_newest_first_as_people_allow(
    cast: Cast, sandbox: Sandbox
) -> None:
    plan = agreed(cast)
    plan_fault(sandbox, Fault("refuse", method="POST"))
    work()

    assert states(plan) == ["audited", "audited", "failed"]
    undos = Compensation.objects.order_by("id")
    assert [link.original.step for link in undos] == [2]  # one at a time, the newest first
    assert fresh(undos[0].undo).state == "pending_approval"
    make.approve(undos[0].undo, cast.oona)
    work()
    assert [link.original.step for link in undos.all()] == [2, 1]
    make.approve(undos.all()[1].undo, cast.oona)
    work()

    assert states(plan) == ["compensated", "compensated", "failed"]
    assert over(plan) == ("undone", "Step 3 of the plan: failed.")
    assert codes(Plan.objects.get()) == ["plan.proposed", "plan.stopped", "plan.closed"]
    call_command("verify_audit")


def test_people_may_refuse_to_undo_and_are_told_that_something_stays(
    cast: Cast, sandbox: Sandbox
) -> None:
    plan = agreed(cast)
    plan_fault(sandbox, Fault("refuse", method="POST"))
    work()
    make.reject(Compensation.objects.get().undo, cast.oona)
    work()
    make.approve(Compensation.objects.get(original__step=1).undo, cast.oona)
    work()

    assert states(plan) == ["compensated", "audited", "failed"]
    assert over(plan)[0] == "left"
    first = of(plan)[0]
    assert first.notices.filter(subject__contains="some of it stays done").exists()


def test_what_cannot_be_undone_is_left_and_the_older_ones_are_undone(
    cast: Cast, sandbox: Sandbox
) -> None:
    plan = propose(cast, RECORD, MONEY, SHIPMENT)
    approve(plan, cast.otto, [1, 3])
    approve(plan, cast.mona, [2])
    plan_fault(sandbox, Fault("refuse"), system="logistics")
    work(2)
    plan_fault(sandbox, Fault("refuse", method="POST", times=9), system="logistics")
    plan_fault(sandbox, Fault("refuse", method="PUT", times=9), system="logistics")
    plan_fault(sandbox, Fault("refuse", method="PATCH", times=9), system="logistics")
    work()

    assert states(plan) == ["audited", "audited", "failed"]
    make.approve(Compensation.objects.get().undo, cast.oona)
    work()

    assert states(plan) == ["compensated", "audited", "failed"]
    assert over(plan)[0] == "left"


def test_a_step_sent_back_waits_for_people_and_holds_up_the_rest(
    cast: Cast, sandbox: Sandbox
) -> None:
    from tests.connectors.make import change_row

    plan = agreed(cast)
    change_row(sandbox, "UPDATE accounts SET stage = ? WHERE id = ?", "lost", "acct_2001")
    work()

    assert states(plan) == ["pending_approval", "approved", "approved"]
    approve(plan, cast.oona, [1])
    work()
    assert states(plan) == ["audited"] * 3


# --- Withdrawn, interrupted -------------------------------------------------------------------


def test_an_agent_takes_back_all_of_it(cast: Cast, sandbox: Sandbox) -> None:
    plan = propose(cast)
    withdraw_plan(plan, agent=cast.agent)
    withdraw_plan(plan, agent=cast.agent)
    work()

    assert states(plan) == ["withdrawn"] * 3
    assert over(plan)[0] == "nothing"


def test_taking_it_back_half_way_undoes_what_was_done(cast: Cast, sandbox: Sandbox) -> None:
    plan = agreed(cast)
    execute(of(plan)[0].pk)
    withdraw_plan(plan, agent=cast.agent, reason="changed our mind")
    work()

    assert states(plan) == ["audited", "withdrawn", "withdrawn"]
    assert fresh(Compensation.objects.get().undo).state == "pending_approval"
    assert effects(sandbox) == ["records"]


def test_a_worker_that_dies_leaves_nothing_standing(
    cast: Cast, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = agreed(cast)

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr("approvals.services.plan_progress._go_on", die)
        with pytest.raises(SystemExit):
            carry_on(plan.pk)
    assert Plan.objects.get().next_look_at is not None
    work()

    assert states(plan) == ["audited"] * 3
