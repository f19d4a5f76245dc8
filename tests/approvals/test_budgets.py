"""Budgets and levels: keepers tighten, ops admins loosen, and above a budget people decide."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals.exceptions import ApprovalError, InvalidProposal, NotAuthorised
from approvals.models import ActionRequest, Agent, AgentBudget
from approvals.services import agents
from approvals.services.budgets import Budget, remove_budget, set_budget
from approvals.services.dry_run import check
from audit.actors import Actor
from audit.models import AuditEvent
from policies.models import User
from policies.services import people
from tests.approvals.counting import let_pass
from tests.approvals.make import (
    INSTALLER,
    Cast,
    fresh,
    make_agent,
    make_person,
    make_proposal,
    make_request,
    refund,
    reject,
)


def tag(agent: Agent, name: str, record: str = "acct_2001") -> ActionRequest:
    """What policy allows by itself."""
    return make_request(agent, {"record": record, "tag": name}, action_type="crm.tag")


def is_over(request: ActionRequest) -> bool:
    facts = json.loads(request.policy_decisions.latest("id").facts)
    return bool(facts["agent.over_budget"])


def events(agent: Agent) -> list[str]:
    found = AuditEvent.objects.filter(subject_id=str(agent.pk), code__startswith="budget")
    return list(found.order_by("id").values_list("code", flat=True))


# --- Above it people decide


def test_above_the_count_people_decide(cast: Cast) -> None:
    set_budget(cast.agent.pk, action_type="crm.*", budget=Budget(count=2), actor=INSTALLER)

    requests = [tag(cast.agent, f"tag-{n}") for n in range(3)]

    assert [is_over(one) for one in requests] == [False, False, True]
    assert [fresh(one).verdict for one in requests] == ["allow", "allow", "require_approval"]


def test_above_the_sum_people_decide_in_whatever_currency(cast: Cast) -> None:
    set_budget(cast.agent.pk, action_type="refund.*", budget=Budget(minor=30_000), actor=INSTALLER)

    first = make_request(cast.agent, refund("ch_1002", "180.00"))
    second = make_request(cast.agent, refund("ch_1003", "130.00"))
    unknown = make_request(cast.agent, refund("ch_1004", "1.00", currency="USD"))

    assert [is_over(one) for one in (first, second, unknown)] == [False, True, True]
    assert fresh(second).state == "pending_approval"


def test_above_the_number_on_one_target_people_decide(cast: Cast) -> None:
    set_budget(cast.agent.pk, action_type="*", budget=Budget(per_target=1), actor=INSTALLER)

    requests = [
        tag(cast.agent, "a"),
        tag(cast.agent, "b", "acct_2002"),
        tag(cast.agent, "c"),
    ]

    assert [is_over(one) for one in requests] == [False, False, True]


def test_other_kinds_other_agents_and_yesterday_do_not_count(cast: Cast) -> None:
    set_budget(cast.agent.pk, action_type="crm.tag", budget=Budget(count=1), actor=INSTALLER)
    second = make_agent(cast.owner, "second-bot")
    make_request(cast.agent)
    tag(second, "x")
    assert not is_over(tag(cast.agent, "a"))
    let_pass(timedelta(hours=25))

    assert not is_over(tag(cast.agent, "b"))
    assert is_over(tag(cast.agent, "c"))


def test_what_was_rejected_makes_room(cast: Cast) -> None:
    set_budget(cast.agent.pk, action_type="refund.*", budget=Budget(count=1), actor=INSTALLER)
    large = make_request(cast.agent, refund("ch_1001", "800.00"))

    reject(large, cast.mona)

    assert not is_over(make_request(cast.agent, refund("ch_1002", "20.00")))


def test_the_preflight_sees_the_budget(cast: Cast) -> None:
    set_budget(cast.agent.pk, action_type="*", budget=Budget(count=1), actor=INSTALLER)
    tag(cast.agent, "a")
    proposal = make_proposal({"record": "acct_2002", "tag": "b"}, action_type="crm.tag")

    assert check(proposal, agent=cast.agent).evaluation.verdict == "require_approval"


def test_an_agent_without_budgets_costs_one_query_more_than_nothing(cast: Cast) -> None:
    tag(cast.agent, "a")
    with CaptureQueriesContext(connection) as queries:
        tag(cast.agent, "b")

    asked = [one for one in queries.captured_queries if "agentbudget" in one["sql"].lower()]
    assert len(asked) == 1


# --- Who sets them


def test_the_owner_sets_and_tightens_and_an_ops_admin_loosens(cast: Cast) -> None:
    owner, ada = Actor.human(cast.owner), Actor.human(cast.ada)
    set_budget(cast.agent.pk, action_type="*", budget=Budget(count=9, minor=900), actor=owner)
    set_budget(cast.agent.pk, action_type="*", budget=Budget(count=5, minor=900), actor=owner)

    for looser in (Budget(count=6, minor=900), Budget(count=5), Budget(minor=900)):
        with pytest.raises(NotAuthorised) as refused:
            set_budget(cast.agent.pk, action_type="*", budget=looser, actor=owner)
        assert refused.value.code == "not_ops_admin"
    set_budget(cast.agent.pk, action_type="*", budget=Budget(count=6), actor=ada)

    in_force = AgentBudget.objects.get(agent=cast.agent, valid=True)
    assert (in_force.most_count, in_force.most_minor) == (6, None)
    assert AgentBudget.objects.count() == 3
    assert events(cast.agent) == ["budget.set"] * 3


def test_removing_takes_an_ops_admin_and_the_row_stays(cast: Cast) -> None:
    owner, ada = Actor.human(cast.owner), Actor.human(cast.ada)
    row = set_budget(cast.agent.pk, action_type="*", budget=Budget(count=1), actor=owner)

    with pytest.raises(NotAuthorised):
        remove_budget(row.pk, actor=owner)
    remove_budget(row.pk, actor=ada)

    with pytest.raises(ApprovalError):
        remove_budget(row.pk, actor=ada)
    assert not AgentBudget.objects.get(pk=row.pk).valid
    assert events(cast.agent) == ["budget.set", "budget.removed"]


@pytest.mark.parametrize("villain", ["other owner", "manager", "superuser", "the agent itself"])
def test_nobody_else_does(cast: Cast, villain: str) -> None:
    root = make_person("root")
    User.objects.filter(pk=root.pk).update(is_superuser=True)
    actor = {
        "other owner": Actor.human(make_person("anton", "agent owner")),
        "manager": Actor.human(cast.mona),
        "superuser": Actor.human(root),
        "the agent itself": Actor.agent(cast.agent),
    }[villain]
    row = set_budget(cast.agent.pk, action_type="*", budget=Budget(count=1), actor=INSTALLER)

    with pytest.raises(NotAuthorised):
        set_budget(cast.agent.pk, action_type="*", budget=Budget(count=0), actor=actor)
    with pytest.raises(NotAuthorised):
        remove_budget(row.pk, actor=actor)

    assert AgentBudget.objects.get().valid


@pytest.mark.parametrize(
    ("pattern", "budget"),
    [
        ("ref*nd", Budget(count=1)),
        ("*", Budget()),
        ("*", Budget(count=-1)),
        ("*", Budget(minor=10**16)),
        ("*", Budget(count=2**40)),
    ],
)
def test_what_is_no_budget_is_refused(cast: Cast, pattern: str, budget: Budget) -> None:
    with pytest.raises(InvalidProposal):
        set_budget(cast.agent.pk, action_type=pattern, budget=budget, actor=INSTALLER)

    assert not AgentBudget.objects.exists()


# --- Levels


def new_agent(cast: Cast, actor: Actor) -> Agent:
    return agents.register_agent(
        name="new-bot", owner=cast.owner, team="support", action_types=["crm.tag"], actor=actor
    )


def change_level(agent: Agent, level: int, actor: Actor) -> int:
    agent = agents.change_agent(
        agent.pk,
        actor=actor,
        owner=agent.owner,
        team=agent.team,
        action_types=agent.action_types,
        model=agent.model,
        ceiling=None,
        level=level,
    )
    return agent.level


def test_an_owners_new_agent_is_on_probation_and_asks_people(cast: Cast) -> None:
    agent = new_agent(cast, Actor.human(cast.owner))

    assert agent.level == 0
    assert new_request_facts(agent)["agent.level"] == 0
    assert fresh(tag(agent, "b")).state == "pending_approval"


def new_request_facts(agent: Agent) -> dict[str, object]:
    request = tag(agent, "a")
    found: dict[str, object] = json.loads(request.policy_decisions.latest("id").facts)
    return found


def test_an_ops_admins_new_agent_is_ordinary(cast: Cast) -> None:
    assert new_agent(cast, Actor.human(cast.ada)).level == 1


def test_an_ops_admin_raises_it_and_the_owner_lowers_it(cast: Cast) -> None:
    agent = new_agent(cast, Actor.human(cast.owner))

    with pytest.raises(NotAuthorised):
        change_level(agent, 1, Actor.human(cast.owner))
    assert change_level(agent, 2, Actor.human(cast.ada)) == 2
    assert change_level(agent, 1, Actor.human(cast.owner)) == 1
    with pytest.raises(NotAuthorised):
        change_level(agent, 2, Actor.human(cast.owner))
    with pytest.raises(InvalidProposal):
        change_level(agent, 4, Actor.human(cast.ada))
    assert Agent.objects.get(pk=agent.pk).level == 1


def test_an_ops_admin_does_not_raise_their_own_agent_with_any_account(cast: Cast) -> None:
    mine = make_agent(cast.ada, "adas-bot")
    second = people.create_user(
        username="ada-2", roles=["ops admin"], person=cast.ada.person, actor=INSTALLER
    )

    for account in (cast.ada, second):
        with pytest.raises(NotAuthorised):
            change_level(mine, 3, Actor.human(account))

    assert change_level(mine, 3, Actor.human(cast.alan)) == 3


def test_what_an_ops_admin_registers_for_themselves_is_on_probation_too(cast: Cast) -> None:
    values = {"team": "support", "action_types": ["crm.tag"], "actor": Actor.human(cast.ada)}

    mine = agents.register_agent(name="adas", owner=cast.ada, **values)
    olgas = agents.register_agent(name="olgas", owner=cast.owner, **values)

    assert (mine.level, olgas.level) == (0, 1)


def test_a_level_is_not_raised_by_handing_the_agent_to_oneself(cast: Cast) -> None:
    agent = new_agent(cast, Actor.human(cast.owner))

    with pytest.raises(NotAuthorised):
        agents.change_agent(
            agent.pk,
            actor=Actor.human(cast.ada),
            owner=cast.ada,
            team=agent.team,
            action_types=agent.action_types,
            model="",
            ceiling=None,
            level=3,
        )

    assert Agent.objects.get(pk=agent.pk).level == 0


def test_an_ops_admin_neither_loosens_nor_removes_a_budget_of_their_own_agent(cast: Cast) -> None:
    mine = make_agent(cast.ada, "adas-own-bot")
    row = set_budget(mine.pk, action_type="*", budget=Budget(count=5), actor=Actor.human(cast.alan))

    with pytest.raises(NotAuthorised):
        set_budget(mine.pk, action_type="*", budget=Budget(count=6), actor=Actor.human(cast.ada))
    with pytest.raises(NotAuthorised):
        remove_budget(row.pk, actor=Actor.human(cast.ada))

    assert mine.budgets.get(valid=True).most_count == 5
