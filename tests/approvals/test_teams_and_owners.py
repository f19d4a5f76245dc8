"""Teams made as data, owners and line managers: who is asked, and who may answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals.exceptions import NotAuthorised
from approvals.models import ActionRequest, Escalation, Requirement
from approvals.selectors.inbox import TO_DECIDE, inboxes_of, listed
from approvals.selectors.watching import find_problems
from approvals.services.execute import execute
from audit.actors import Actor
from audit.lib import db_clock
from policies.models import AuthorityChange, User
from policies.services import delegations, dual_control
from policies.services.ownership import ManagerRow, OwnerRow, set_line_managers, set_owners
from policies.services.people import join
from policies.services.teams import create_team
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    ask_of_records,
    crm,
    fresh,
    make_agent,
    make_limit,
    make_person,
    make_request,
    make_team,
    publish,
    refund,
)


def asks(cast: Cast, requirement: str) -> None:
    """Publish a policy that asks this of changes to records."""
    ask_of_records(cast.ada, cast.alan, requirement)


def own(kind: str = "data", target: str = "acct_*", **owner: str) -> None:
    set_owners([OwnerRow("records", target, kind, **owner)], actor=INSTALLER, reason="test")


def change(cast: Cast, record: str = "acct_2001", **fields: object) -> ActionRequest:
    """A change of a record, with whoever was asked found."""
    return make_request(cast.agent, crm(record), action_type="crm.update", **fields)


def asked(request: ActionRequest) -> list[tuple[str, int]]:
    found = Requirement.objects.filter(request=request, version=fresh(request).version)
    return [(one.group, one.quorum) for one in found]


def waits_for(person: User) -> list[str]:
    return [
        team
        for team in inboxes_of(person)
        if listed(team, TO_DECIDE, at=db_clock.now(), viewer=person).exists()
    ]


def test_a_made_team_is_asked_and_decides(cast: Cast) -> None:
    dora = make_person("dora")
    make_team("dispatch", dora)
    asks(cast, "{group: dispatch}")

    request = change(cast)

    assert asked(request) == [("dispatch", 1)]
    assert waits_for(dora) == ["dispatch"]
    assert waits_for(cast.otto) == []
    with pytest.raises(NotAuthorised):
        approve(request, cast.otto)
    approve(request, dora)
    execute(request.pk)
    assert fresh(request).state == "audited"


def test_a_member_who_took_part_does_not_decide(cast: Cast) -> None:
    villain = make_person("vera", "agent owner")
    make_team("dispatch", villain)
    asks(cast, "{group: dispatch}")
    agent = make_agent(villain, "villain-bot")

    request = make_request(agent, crm(), action_type="crm.update")

    with pytest.raises(NotAuthorised) as refusal:
        approve(request, villain)
    assert refusal.value.code == "four_eyes"


def test_what_one_ops_admin_adds_alone_decides_nothing(cast: Cast) -> None:
    dora = make_person("dora")
    team = create_team(
        actor=Actor.human(cast.ada),
        code="dispatch",
        name="Dispatch",
        escalates_to="operations",
        members=[dora.pk],
    )
    join(make_person("dirk").pk, "dispatch", actor=INSTALLER, reason="test")
    asks(cast, "{group: dispatch}")
    request = change(cast)
    with pytest.raises(NotAuthorised):
        approve(request, dora)

    (waiting,) = AuthorityChange.objects.filter(beneficiary="dora", status="waiting")
    dual_control.agree(waiting.pk, actor=Actor.human(cast.alan), reason="seen")

    approve(request, dora)
    assert dora in team.group.user_set.all()


def test_a_member_of_the_team_above_answers_what_was_escalated(cast: Cast) -> None:
    dora = make_person("dora")
    make_team("dispatch", dora)
    asks(cast, "{group: dispatch}")
    User.objects.filter(pk=dora.pk).update(is_active=False)

    request = change(cast)

    step = Escalation.objects.get(request=request)
    assert (step.step, step.to_group) == ("nobody", "operations")
    approve(request, cast.otto)


def test_limits_count_in_made_teams(cast: Cast) -> None:
    dora = make_person("dora")
    make_team("dispatch", dora, escalates_to="manager")
    make_limit(dora, "100.00")
    publish(
        cast, ("[{group: finance, within_limit: true}]", "[{group: dispatch, within_limit: true}]")
    )

    request = make_request(cast.agent, refund("ch_1003", "480.00"))

    (requirement,) = request.requirements.all()
    assert (requirement.group, requirement.escalated_to) == ("dispatch", "manager")
    with pytest.raises(NotAuthorised) as refusal:
        approve(request, dora)
    assert refusal.value.code == "over_limit"


def test_the_owner_of_the_target_is_asked(cast: Cast) -> None:
    ana = make_person("ana")
    make_team("dispatch", make_person("dora"))
    own(team="dispatch", target="*")
    own(person="ana", target="account acct_2001")
    asks(cast, "{group: 'owner:data'}")

    hers, theirs = change(cast), change(cast, "acct_2002")

    assert asked(hers) == [("@ana", 1)]
    assert asked(theirs) == [("dispatch", 1)]
    assert waits_for(ana) == ["@ana"]
    with pytest.raises(NotAuthorised):
        approve(theirs, ana)
    approve(hers, ana)
    execute(hers.pk)
    assert fresh(hers).state == "audited"


def test_another_owner_tomorrow_changes_nothing_about_what_was_asked(cast: Cast) -> None:
    ana, ben = make_person("ana"), make_person("ben")
    own(person="ana", target="*")
    asks(cast, "{group: 'owner:data'}")
    request = change(cast)

    own(person="ben", target="*")

    with pytest.raises(NotAuthorised):
        approve(request, ben)
    approve(request, ana)
    execute(request.pk)
    assert fresh(request).state == "audited"


def test_the_owner_s_manager_has_what_the_owner_leaves(cast: Cast) -> None:
    make_person("ana")
    boss = make_person("boss")
    set_line_managers([ManagerRow("ana", "boss")], actor=INSTALLER, reason="test")
    own(person="ana", target="*")
    asks(cast, "{group: 'owner:data'}")

    request = change(cast)

    assert request.requirements.get().escalates_to == "@boss"
    assert inboxes_of(boss) == ("@boss",)


def test_the_line_manager_of_whom_it_is_for_decides(cast: Cast) -> None:
    make_person("ina")
    boss = make_person("boss")
    set_line_managers([ManagerRow("ina", "boss")], actor=INSTALLER, reason="test")
    asks(cast, "{group: 'manager:subject'}")

    request = change(cast, on_behalf_of="ina")

    assert asked(request) == [("@boss", 1)]
    approve(request, boss)


def test_nobody_manages_themselves_around_four_eyes(cast: Cast) -> None:
    """A manager asks for something for themselves: it goes above their head."""
    villain = make_person("vera")
    top = make_person("top")
    set_line_managers([ManagerRow("vera", "top")], actor=INSTALLER, reason="test")
    asks(cast, "{group: 'manager:subject'}")

    request = change(cast, on_behalf_of="vera")

    with pytest.raises(NotAuthorised):
        approve(request, villain)
    approve(request, top)


def test_nobody_on_record_is_an_alarm_and_managers_are_asked(cast: Cast) -> None:
    asks(cast, "{group: 'owner:service'}")

    request = change(cast)

    requirement = request.requirements.get()
    assert requirement.group == "owner:service"
    assert "Nobody is on record as service owner" in requirement.alarm
    assert requirement.escalated_to == "manager"
    assert "owners" in [problem.code for problem in find_problems()]
    approve(request, cast.mona)


def test_two_names_that_lead_to_one_team_ask_two_of_its_people(cast: Cast) -> None:
    own(team="operations", target="*")
    asks(cast, "{group: operations}\n      - {group: 'owner:data'}")

    request = change(cast)

    assert asked(request) == [("operations", 2)]
    approve(request, cast.otto)
    assert fresh(request).state == "pending_approval"
    approve(request, cast.oona)
    assert fresh(request).state == "approved"


def test_what_is_asked_of_somebody_can_be_delegated(cast: Cast) -> None:
    ana, ben = make_person("ana"), make_person("ben")
    own(person="ana", target="*")
    asks(cast, "{group: 'owner:data'}")
    request, at = change(cast), db_clock.now()
    waiting = delegations.propose_delegation(
        lender=ana,
        delegate_id=ben.pk,
        starts_at=at,
        ends_at=at.replace(year=at.year) + delegations.LONGEST / 2,
        reason="on holiday",
        actor=Actor.human(ana),
    )
    with pytest.raises(NotAuthorised):
        approve(request, ben)

    dual_control.agree(waiting.pk, actor=Actor.human(cast.ada), reason="seen")

    assert waits_for(ben) == ["@ana"]
    assert approve(request, ben).on_behalf_of == "ana"


def test_an_owner_who_configures_never_decides(cast: Cast) -> None:
    own(person="ada", target="*")
    asks(cast, "{group: 'owner:data'}")

    request = change(cast)

    with pytest.raises(NotAuthorised) as refusal:
        approve(request, cast.ada)
    assert refusal.value.code == "never_decides"
    assert "Too few people" in fresh(request).requirements.get().alarm


def test_who_left_the_team_no_longer_stands_behind_an_approval(cast: Cast) -> None:
    from policies.services.people import change_roles

    dora = make_person("dora")
    make_team("dispatch", dora)
    asks(cast, "{group: dispatch}")
    request = change(cast)
    approve(request, dora)

    change_roles(dora.pk, actor=INSTALLER, roles=(), reason="left")
    execute(request.pk)

    assert fresh(request).state == "pending_approval"


def test_owners_cost_one_statement_and_built_in_teams_none(cast: Cast) -> None:
    from policies.owners import Concern, resolved
    from policies.verdicts import RequirementSpec

    make_person("ana")
    own(person="ana", target="*")
    concern = Concern(system="records", target="account acct_2001", subject="ana", team="support")
    plain = RequirementSpec("finance")
    looked_up = [
        replace(plain, group=name, escalates_to="")
        for name in ("owner:data", "owner:requester", "manager:subject", "dispatch")
    ]

    with CaptureQueriesContext(connection) as none:
        resolved([plain], concern)
    with CaptureQueriesContext(connection) as one:
        found = resolved(looked_up, concern)

    assert len(none) == 0
    assert len(one) == 1
    assert [each.spec.group for each in found] == ["@ana", "support", "manager:subject", "dispatch"]
    assert found[2].problem == "Nobody is on record as line manager of ana."


def test_joining_needs_the_second_person_whoever_asks_again(cast: Cast) -> None:
    dora = make_person("dora")
    make_team("dispatch")

    join(dora.pk, "dispatch", actor=Actor.human(cast.ada), reason="new")

    assert inboxes_of(dora) == ("@dora",)
