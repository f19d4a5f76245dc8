"""Counters hold exactly what was proposed and not ended without effect, whatever happens."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from datetime import UTC, timedelta
from random import Random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals.choices import ENDED_WITHOUT_EFFECT
from approvals.exceptions import ApprovalError
from approvals.models import ActionRequest, Agent, CountedRequest, PolicyDecision, VelocityBucket
from approvals.selectors.prior_requests import earlier, earlier_asked
from approvals.services import agent_replies
from approvals.services.dry_run import check
from approvals.services.execute import execute
from approvals.services.undo import propose_undo
from approvals.services.verify import read_back
from audit.lib import db_clock
from audit.lib.canonical import digest_of
from connectors.sandbox.server import Sandbox
from policies.models import User
from tests.approvals.counting import another_charge, enlarge, let_pass, unseen
from tests.approvals.make import (
    Cast,
    approve,
    approve_with_edits,
    crm,
    fresh,
    look_at,
    make_agent,
    make_proposal,
    make_request,
    manager_refund,
    publish,
    refund,
    reject,
)
from tests.trials import trials

Held = dict[tuple[str, str], tuple[int, int, int]]


def in_the_counters() -> Held:
    """Count, sum and allowed sum of each counter, as the buckets have it."""
    held: dict[tuple[str, str], Counter[str]] = {}
    for bucket in VelocityBucket.objects.select_related("counter"):
        one = held.setdefault((bucket.counter.scope, bucket.counter.key), Counter())
        one.update(n=bucket.count, sum=bucket.sum_base, allowed=bucket.allowed_base)
    found = {key: (one["n"], one["sum"], one["allowed"]) for key, one in held.items()}
    return {key: figures for key, figures in found.items() if figures != (0, 0, 0)}


def by_the_requests() -> Held:
    """The same from the requests themselves, in the plainest way."""
    held: dict[tuple[str, str], Counter[str]] = {}
    for one in ActionRequest.objects.select_related("agent__owner"):
        if one.state in ENDED_WITHOUT_EFFECT or one.compensates_id is not None:
            continue
        evaluated = one.policy_decisions.exclude(purpose=PolicyDecision.Purpose.EXECUTION)
        facts = json.loads(evaluated.latest("id").facts)
        named = facts["customer.id"]
        customer = (
            {"customer": named} if named else {"counterparty": one.counterparty or one.target}
        )
        figures = Counter(n=1, sum=one.amount_base or 0)
        figures["allowed"] = (one.amount_base or 0) if one.verdict == "allow" else 0
        for scope, what in {
            "target": {"type": one.action_type, "target": one.target},
            "customer": {"type": one.action_type, **customer},
            "agent": {"agent": one.agent_id},
            "owner": {"owner": one.agent.owner.person},
        }.items():
            held.setdefault((scope, digest_of(what)), Counter()).update(figures)
    return {key: (one["n"], one["sum"], one["allowed"]) for key, one in held.items()}


class Story:
    """People and agents who do anything they may, in an order nobody thought of."""

    def __init__(self, cast: Cast, sandbox: Sandbox, random: Random) -> None:
        self.cast, self.random = cast, random
        self.agents = [cast.agent, make_agent(cast.owner, "second-bot")]
        self.charges = [
            another_charge(sandbox, like=like) for like in ["ch_1002"] * 2 + ["ch_1003"]
        ]

    def step(self) -> None:
        deed = self.random.choice(
            [self.propose] * 4 + [self.decide, self.edit, self.withdraw, self.run, self.wait]
        )
        with suppress(ApprovalError):  # too late, too much, not theirs: nothing has changed then
            deed()

    def propose(self) -> None:
        amount = f"{self.random.choice([20, 120, 240, 700])}.00"
        agent: Agent = self.random.choice(self.agents)
        if self.random.random() < 0.2:
            make_request(agent, crm(notes=f"note {self.random.random()}"), action_type="crm.update")
        else:
            make_request(agent, refund(self.random.choice(self.charges), amount))

    def one(self, *states: str) -> ActionRequest | None:
        found = list(ActionRequest.objects.filter(state__in=states).order_by("id"))
        return self.random.choice(found) if found else None

    def decide(self) -> None:
        request = self.one("pending_approval")
        if request:
            decider: User = self.random.choice([self.cast.fred, self.cast.mona, self.cast.otto])
            self.random.choice([approve, reject])(request, decider)

    def edit(self) -> None:
        request = self.one("pending_approval")
        if request and request.action_type == "refund.issue":
            approve_with_edits(
                request.pk,
                decider=self.cast.fred,
                reviewed=look_at(request, self.cast.fred),
                params=refund(self.random.choice(self.charges), "90.00"),
                reason_code="corrected",
            )

    def withdraw(self) -> None:
        request = self.one("pending_approval", "approved")
        if request:
            agent_replies.withdraw(request.pk, agent=request.agent)

    def run(self) -> None:
        request = self.one("approved")
        if request:
            execute(request.pk)

    def wait(self) -> None:
        let_pass(timedelta(hours=self.random.choice([1, 7, 30])))


@pytest.mark.parametrize("seed", range(trials(4)))
def test_the_counters_say_what_the_requests_say(cast: Cast, sandbox: Sandbox, seed: int) -> None:
    story = Story(cast, sandbox, Random(seed))  # noqa: S311 - a story, not a secret

    for _ in range(25):
        story.step()

        assert in_the_counters() == by_the_requests()
    assert len(by_the_requests()) > 4


# --- Taken out once, counted once


def test_what_is_rejected_makes_room_again_and_only_once(cast: Cast, sandbox: Sandbox) -> None:
    first, second = (another_charge(sandbox) for _ in range(2))
    large = make_request(cast.agent, refund(first, "900.00"))
    held_up = make_request(cast.agent, refund(second, "100.00"))

    reject(large, cast.mona)
    after = make_request(cast.agent, refund(another_charge(sandbox), "100.00"))

    counted = CountedRequest.objects.get(request=large)
    assert (held_up.verdict, after.verdict) == ("require_approval", "allow")
    assert counted.taken_out_at is not None
    assert in_the_counters() == by_the_requests()


def test_a_check_and_a_second_look_at_execution_count_nothing(cast: Cast, sandbox: Sandbox) -> None:
    charge = enlarge(sandbox)
    check(make_proposal(refund(charge, "200.00")), agent=cast.agent)
    request = make_request(cast.agent, refund(charge, "200.00"))
    before = in_the_counters()

    execute(request.pk)
    check(make_proposal(refund(charge, "200.00")), agent=cast.agent)

    assert fresh(request).state == "audited"
    assert before == in_the_counters() == by_the_requests()


def test_undoing_is_not_counted(cast: Cast) -> None:
    tag = {"record": "acct_2002", "tag": "vip"}
    done = make_request(cast.agent, tag, action_type="crm.tag")
    execute(done.pk)
    read_back(done.pk)
    before = in_the_counters()

    undo = propose_undo(done.pk).request

    assert not CountedRequest.objects.filter(request=undo).exists()
    assert in_the_counters() == before


def test_what_the_policy_denies_is_not_counted(cast: Cast) -> None:
    denied = make_request(
        cast.agent,
        {"user": "mia.keller", "group": "domain-admins", "until": "2030-12-31"},
        action_type="access.grant",
    )

    assert denied.state == "denied"
    assert in_the_counters() == {}


def test_what_would_run_unseen_and_goes_back_to_people_is_unseen_no_longer(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_request(cast.agent, refund(enlarge(sandbox), "200.00"))
    publish(cast, ("refund_automatic: 25000", "refund_automatic: 10000"))

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert unseen([request]) == 0
    assert not CountedRequest.objects.get(request=request).allowed
    assert in_the_counters() == by_the_requests()


def test_twenty_four_hours_are_never_less(cast: Cast, sandbox: Sandbox) -> None:
    make_request(cast.agent, refund(another_charge(sandbox), "200.00"))
    let_pass(timedelta(hours=24))  # to the hour: up to 25 hours ago

    after = make_request(cast.agent, refund(another_charge(sandbox), "100.00"))
    let_pass(timedelta(hours=1))
    later = make_request(cast.agent, refund(another_charge(sandbox), "100.00"))

    facts = [json.loads(one.policy_decisions.latest("id").facts) for one in (after, later)]
    assert [f["velocity.customer_sum_24h"] for f in facts] == [30_000, 20_000]
    assert [f["velocity.customer_sum_30d"] for f in facts] == [30_000, 40_000]


def test_hours_are_whole_and_in_utc(cast: Cast) -> None:
    make_request(cast.agent)

    hours = {bucket.hour.astimezone(UTC) for bucket in VelocityBucket.objects.all()}
    assert len(hours) == 1
    assert all((hour.minute, hour.second, hour.microsecond) == (0, 0, 0) for hour in hours)
    assert VelocityBucket.objects.count() == 4


def test_judging_takes_as_many_queries_after_a_hundred_requests_as_after_one(
    cast: Cast, sandbox: Sandbox
) -> None:
    make_request(cast.agent, manager_refund("900.00"))

    def queries_of(amount: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            make_request(cast.agent, manager_refund(amount))
        return len(queries)

    queries_of("900.50")  # whose words its rules are is looked up once a process
    few = queries_of("901.00")
    for n in range(20):
        make_request(cast.agent, refund(f"ch_10{n + 10}", "20.00"))

    assert queries_of("902.00") == few


def test_whether_anything_was_done_for_somebody_is_found_by_an_index_of_just_that(
    cast: Cast,
) -> None:
    """Asked of every proposal, among all there ever were."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # no table of a test is worth an index

    with CaptureQueriesContext(connection) as queries:
        asked = earlier_asked(
            cast.agent,
            "refund.issue",
            business_key="",
            digest="",
            counterparty="Anna Beispiel",
            at=db_clock.now(),
            rejected_until=db_clock.now(),
            but=None,
        )
        earlier(asked)
    with connection.cursor() as cursor:
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        cursor.execute(f"{explain} {queries.captured_queries[-1]['sql']}")
        plan = str(cursor.fetchall())

    assert "approvals_request_done_for" in plan
