"""Routing by authority: it climbs until a limit covers it, and nobody is never met with silence."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from approvals.exceptions import NotAuthorised
from approvals.models import ActionRequest, Escalation, Notice
from approvals.selectors.inbox import TO_DECIDE, in_view, requests_of
from approvals.selectors.requests import policy_decision_of
from approvals.selectors.viewer_permissions import ViewerPermissions, permissions_of
from approvals.services import agents
from approvals.services.deadlines import step_on
from audit.actors import Actor
from audit.lib import db_clock
from audit.models import AuditEvent
from connectors.registry import action_type
from policies.models import User
from policies.services.absences import set_absence
from tests.approvals.make import (
    Cast,
    approve,
    approve_with_edits,
    fresh,
    look_at,
    make_access,
    make_agent,
    make_crm,
    make_limit,
    make_older,
    make_person,
    make_request,
    publish,
    refund,
)
from tests.approvals.story import DECIDED, ROUTED, assert_story, codes, snapshot
from tests.database import as_superuser


def small(cast: Cast) -> ActionRequest:
    """480.00 EUR, which finance decides within its limit."""
    return make_request(cast.agent, refund("ch_1001", amount="480.00"))


def steps(request: ActionRequest) -> list[tuple[str, str, str]]:
    found = Escalation.objects.filter(request=request, version=fresh(request).version)
    return [(e.step, e.from_group, e.to_group) for e in found]


def said(request: ActionRequest, code: str) -> dict[str, str]:
    event = AuditEvent.objects.filter(subject_id=str(request.pk), code=code).latest("seq")
    found: dict[str, str] = json.loads(event.data)
    return found


def standing(request: ActionRequest, viewer: User) -> ViewerPermissions:
    return permissions_of(
        fresh(request),
        viewer,
        policy=policy_decision_of(request),
        kind=action_type(request.action_type),
        at=db_clock.now(),
    )


def deactivate(*users: User) -> None:
    User.objects.filter(pk__in=[user.pk for user in users]).update(is_active=False)


def test_it_climbs_to_whoever_has_a_limit_that_covers_the_amount(cast: Cast) -> None:
    make_limit(cast.fred, "100.00")
    deactivate(cast.max)

    request = small(cast)

    assert steps(request) == [("climbed", "finance", "manager")]
    assert said(request, "route.climbed") == {
        "group": "finance",
        "to": "manager",
        "because": "above_limits",
    }
    assert request.escalations.get().reason == (
        "Nobody in finance may approve 480.00 EUR; mona (manager) may up to 1,000.00 EUR."
    )
    with pytest.raises(NotAuthorised) as refusal:
        approve(request, cast.fred)
    assert refusal.value.code == "over_limit"
    approve(request, cast.mona)
    told = [*ROUTED, "route.climbed", "decision.refused", *DECIDED]
    assert_story(request, "approved", told)


def test_it_climbs_past_those_whose_limits_are_too_low_as_well(cast: Cast) -> None:
    erik = make_person("erik", "executive", first_name="Erik", last_name="Executive")
    make_limit(erik, "100000.00")
    for user in (cast.fred, cast.mona, cast.max):
        make_limit(user, "100.00")

    request = small(cast)

    assert steps(request) == [("climbed", "finance", "executive")]
    mine = requests_of("executive")
    assert list(in_view(mine, "executive", TO_DECIDE, at=db_clock.now())) == [request]
    approve(request, erik)
    assert fresh(request).state == "approved"


def test_the_reviewer_reads_who_may(cast: Cast) -> None:
    make_limit(cast.fred, "100.00")
    make_limit(cast.max, "20000.00")
    User.objects.filter(pk=cast.max.pk).update(first_name="Max", last_name="Director")
    deactivate(cast.mona)

    page = standing(small(cast), cast.fred)

    assert (page.may_approve, page.may_answer) == (False, True)
    assert page.refusal == "This is above your approval limit (100.00 EUR)."
    assert page.could_decide == ("Max Director (manager, up to 20,000.00 EUR)",)


def test_the_limit_of_the_day_makes_it_climb_too(cast: Cast) -> None:
    make_limit(cast.fred, "500.00", per_day="500.00")
    approve(small(cast), cast.fred)

    second = make_request(cast.agent, refund("ch_1004", amount="300.00"))

    assert steps(second) == [("climbed", "finance", "manager")]


def test_nobody_anywhere_is_an_alarm_with_the_named_fallback(cast: Cast) -> None:
    for user in (cast.fred, cast.mona, cast.max):
        make_limit(user, "100.00")
    with as_superuser():
        Notice.objects.all().delete()

    request = small(cast)

    assert steps(request) == [("nobody", "finance", "manager")]
    assert codes(request) == [*ROUTED, "route.empty"]
    assert said(request, "route.empty") == {"group": "finance", "fallback": "manager"}
    alarmed = Notice.objects.filter(subject__startswith="Too few people")
    people = {notice.recipient.username for notice in alarmed}
    assert people == {"mona", "max", "ada", "alan", "olga"}  # fallback, ops admins, owner


def test_too_few_people_is_an_alarm_and_no_climb(cast: Cast) -> None:
    """Limits are fine; the only one of finance owns the agent."""
    request = make_request(make_agent(cast.fred, "freds-bot"), refund("ch_1001", amount="480.00"))

    assert steps(request) == [("nobody", "finance", "manager")]
    approve(request, cast.mona)
    assert fresh(request).state == "approved"


def test_an_empty_fallback_is_passed_over(cast: Cast) -> None:
    make_limit(make_person("erik", "executive"), "1000.00")
    deactivate(cast.fred, cast.mona, cast.max)

    request = small(cast)

    assert steps(request) == [("nobody", "finance", "executive")]


def test_two_groups_whose_only_member_is_one_person_are_too_few(cast: Cast) -> None:
    deactivate(cast.otto, cast.oona)
    make_person("sara.two", "operations", person="sara")

    request = make_access(cast)

    assert [step for step, _, _ in steps(request)] == ["nobody"]
    assert codes(request) == [*ROUTED, "route.empty"]


def test_two_groups_with_two_people_are_enough_however_they_overlap(cast: Cast) -> None:
    deactivate(cast.otto)
    cast.sara.groups.add(cast.otto.groups.get())

    request = make_access(cast)

    assert steps(request) == []


def test_the_one_who_could_answer_both_answers_what_fewer_can(cast: Cast) -> None:
    """Sara is in both groups and alone in security: her yes must not use up operations' place."""
    cast.sara.groups.add(cast.otto.groups.get())
    request = make_access(cast)

    decision = approve(request, cast.sara)
    approve(request, cast.otto)

    assert decision.group == "security"
    assert fresh(request).state == "approved"


def test_somebody_out_of_office_may_still_decide(cast: Cast) -> None:
    at = db_clock.now()
    set_absence(
        cast.fred.pk, starts_at=at, ends_at=at + timedelta(days=3), actor=Actor.human(cast.fred)
    )

    request = small(cast)

    assert steps(request) == []
    approve(request, cast.fred)
    assert fresh(request).state == "approved"


def test_an_edit_that_leads_above_the_limit_climbs(cast: Cast) -> None:
    make_limit(cast.fred, "300.00")
    request = make_request(cast.agent, refund("ch_1001", amount="260.00"))
    assert steps(request) == []

    approve_with_edits(
        request.pk, decider=cast.fred, reviewed=look_at(request, cast.fred),
        params=refund("ch_1001", amount="270.00"), reason_code="corrected",
    )  # fmt: skip

    # Fred edited it, so nobody is left in finance: too few people, and not too low a limit
    assert steps(request) == [("nobody", "finance", "manager")]


def test_an_edit_climbs_when_colleagues_have_lower_limits(cast: Cast) -> None:
    colleague = make_person("fiona", "finance")
    make_limit(colleague, "265.00")
    request = make_request(cast.agent, refund("ch_1001", amount="260.00"))

    approve_with_edits(
        request.pk, decider=cast.fred, reviewed=look_at(request, cast.fred),
        params=refund("ch_1001", amount="270.00"), reason_code="corrected",
    )  # fmt: skip

    assert steps(request) == [("climbed", "finance", "manager")]


def test_running_out_of_time_does_not_bring_it_down_again(cast: Cast) -> None:
    erik = make_person("erik", "executive")
    make_limit(erik, "100000.00")
    for user in (cast.fred, cast.mona, cast.max):
        make_limit(user, "100.00")
    request = small(cast)
    found = fresh(request)
    assert found.decide_by is not None
    assert found.clock_started_at is not None
    make_older(request, (found.decide_by - found.clock_started_at) * 0.95)

    step_on(request.pk)

    assert request.requirements.get().escalated_to == "executive"
    assert said(request, "escalation.recorded")["to"] == "executive"
    approve(request, erik)
    assert fresh(request).state == "approved"


def test_a_superuser_is_nobody_to_climb_to(cast: Cast) -> None:
    make_person("root")
    User.objects.filter(username="root").update(is_superuser=True)
    deactivate(cast.otto, cast.oona, cast.mona, cast.max)
    request = make_crm(cast)
    before = snapshot(request)

    with pytest.raises(NotAuthorised):
        approve(request, User.objects.get(username="root"))

    assert steps(request) == [("nobody", "operations", "manager")]
    assert snapshot(request) == before


def test_a_quorum_that_one_person_cannot_fill_climbs_for_the_second(cast: Cast) -> None:
    limited = "requirements: [{group: finance, within_limit: true}]"
    fiona = make_person("fiona", "finance")
    make_limit(fiona, "1000.00")
    publish(cast, (limited, "requirements: [{group: finance, within_limit: true, quorum: 2}]"))
    make_limit(fiona, "100.00")

    request = small(cast)

    assert steps(request) == [("climbed", "finance", "manager")]
    assert said(request, "route.climbed")["because"] == "above_limits"
    assert "Too few people in finance" in request.escalations.get().reason
    approve(request, cast.fred, cast.mona)
    assert fresh(request).state == "approved"


def test_handing_an_agent_over_frees_nobody_to_be_counted(cast: Cast) -> None:
    agents.change_agent(
        cast.agent.pk, actor=Actor.system("installation"), owner=cast.fred,
        team=cast.agent.team, action_types=cast.agent.action_types, model="", ceiling=None,
    )  # fmt: skip
    cast.agent.refresh_from_db()

    assert steps(small(cast)) == [("nobody", "finance", "manager")]
