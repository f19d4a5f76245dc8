"""Triggers: too much of something sends what an agent does to people, once for each cause."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from approvals.exceptions import (
    ApprovalError,
    NotAuthorised,
    NotFound,
    ReasonRequired,
)
from approvals.models import FiredTrigger
from approvals.selectors.triggers import Subject
from approvals.services import agents
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from approvals.services.triggers import end_trigger, find_due, fire
from audit.lib import db_clock
from audit.verify import verify
from connectors.sandbox.server import Sandbox
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    fresh,
    make_agent,
    make_request,
    publish,
    refund,
)
from tests.approvals.story import codes, facts_of
from tests.approvals.triggering import (
    ERRORS,
    allowed,
    by,
    failed,
    fired,
    whom,
)

# --- Routed to people ----------------------------------------------------------------------------


def test_an_error_spike_sends_everything_of_the_agent_to_people(
    cast: Cast, sandbox: Sandbox
) -> None:
    publish(cast, ERRORS)
    causes = [failed(cast, sandbox), failed(cast, sandbox)]

    sweep()

    after = allowed(cast)
    assert after.state == "pending_approval"
    assert facts_of(after)["action.triggers"] == ["errors-of-an-agent"]
    found = fired()
    assert (found.per, found.key, found.then) == ("agent", "refund-bot", "manual")
    assert (found.measured, found.at_least, found.within_seconds) == (2, 2, 3600)
    assert found.causes == [str(causes[1].pk), str(causes[0].pk)]
    assert codes(found) == ["trigger.fired"]
    assert whom(found) == ["ada", "alan", "olga"]
    assert verify().problem is None


def test_the_page_says_why_people_are_asked(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    failed(cast, sandbox)
    failed(cast, sandbox)
    sweep()

    trace = json.loads(allowed(cast).policy_decisions.latest("id").trace)

    said = {rule["rule"]: rule["reason"] for rule in trace["rules"] if "reason" in rule}
    assert "errors-of-an-agent" in said["triggered"]


def test_one_short_of_the_threshold_fires_nothing(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    failed(cast, sandbox)

    sweep()

    assert not FiredTrigger.objects.exists()
    assert allowed(cast).state == "approved"


def test_another_agent_goes_on(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    other = make_agent(cast.owner, "other-bot")
    failed(cast, sandbox)
    failed(cast, sandbox, other)

    sweep()

    assert not FiredTrigger.objects.exists()
    failed(cast, sandbox)
    sweep()
    assert allowed(cast).state == "pending_approval"
    assert allowed(cast, other).state == "approved"


def test_what_policy_allowed_before_goes_to_people_and_does_not_run(
    cast: Cast, sandbox: Sandbox
) -> None:
    publish(cast, ERRORS)
    before = allowed(cast)
    assert before.state == "approved"
    failed(cast, sandbox)
    failed(cast, sandbox)
    sent = len(sandbox.effects("payments"))

    sweep()
    execute(before.pk)

    assert fresh(before).state == "pending_approval"
    assert len(sandbox.effects("payments")) == sent


def test_what_people_approve_meanwhile_runs(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    failed(cast, sandbox)
    failed(cast, sandbox)
    sweep()
    request = allowed(cast)

    approve(request, cast.fred)
    execute(request.pk)

    assert fresh(request).state == "audited"


def test_a_denial_stays_one_and_a_requirement_is_not_lowered(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    asked = make_request(cast.agent, refund("ch_1001", "800.00"))
    failed(cast, sandbox)
    failed(cast, sandbox)
    sweep()

    again = make_request(cast.agent, refund("ch_1001", "801.00"))
    never = make_request(cast.agent, refund("ch_1001", "90000.00"))

    groups = [list(one.requirements.values_list("group", flat=True)) for one in (asked, again)]
    assert groups[0] == groups[1] != []
    assert never.state == "denied"


# --- Once for each cause -------------------------------------------------------------------------


def test_it_fires_once_however_often_workers_look(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    failed(cast, sandbox)
    failed(cast, sandbox)
    (due,) = find_due(db_clock.now())

    sweep()
    failed(cast, sandbox)
    sweep()

    assert fire(due) is None
    assert FiredTrigger.objects.count() == 1


def test_once_ended_what_was_counted_counts_no_more(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    failed(cast, sandbox)
    failed(cast, sandbox)
    sweep()
    failed(cast, sandbox)  # while it is in force

    end_trigger(fired().pk, actor=by(cast.ada), reason="The charge was wrong in the test.")
    sweep()

    assert FiredTrigger.objects.count() == 1
    assert allowed(cast).state == "approved"
    failed(cast, sandbox)
    failed(cast, sandbox)
    sweep()
    assert FiredTrigger.objects.count() == 2


def test_what_is_out_of_the_window_does_not_count(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    failed(cast, sandbox)
    failed(cast, sandbox)

    assert find_due(db_clock.now() + timedelta(minutes=61)) == []


def test_who_names_a_subject_nothing_happened_to_fires_nothing(cast: Cast) -> None:
    assert fire(Subject("errors-of-an-agent", "agent", "refund-bot")) is None
    assert not FiredTrigger.objects.exists()


def test_the_database_keeps_one_in_force(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    failed(cast, sandbox)
    failed(cast, sandbox)
    sweep()
    twin = fired()
    twin.pk = None

    with pytest.raises(DatabaseError), transaction.atomic():
        FiredTrigger.objects.bulk_create([twin])


def test_nobody_quietly_ends_or_changes_one(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    failed(cast, sandbox)
    failed(cast, sandbox)
    sweep()
    rows = FiredTrigger.objects.filter(pk=fired().pk)

    def change(**values: object) -> None:
        rows.update(**values)
        transaction.get_connection().check_constraints()  # as a commit does

    with pytest.raises(DatabaseError), transaction.atomic():
        change(measured=99)
    with pytest.raises(DatabaseError), transaction.atomic():
        change(ended_at=db_clock.now(), ended_by="mallory")


# --- Ending it -----------------------------------------------------------------------------------


def test_only_an_ops_admin_who_does_not_own_the_agent_ends_it(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    failed(cast, sandbox)
    failed(cast, sandbox)
    sweep()
    pk = fired().pk

    for person in (cast.owner, cast.mona, cast.otto):
        with pytest.raises(NotAuthorised):
            end_trigger(pk, actor=by(person), reason="It is fine.")
    with pytest.raises(ReasonRequired):
        end_trigger(pk, actor=by(cast.ada), reason=" ")
    with pytest.raises(NotFound):
        end_trigger(pk + 1, actor=by(cast.ada), reason="It is fine.")
    agents.change_agent(
        cast.agent.pk, actor=INSTALLER, owner=cast.alan, team="support", model="",
        action_types=cast.agent.action_types, ceiling=cast.agent.ceiling,
    )  # fmt: skip
    with pytest.raises(NotAuthorised):
        end_trigger(pk, actor=by(cast.alan), reason="It is fine.")
    end_trigger(pk, actor=by(cast.ada), reason="It is fine.")

    found = fired()
    assert (found.ended_by, found.end_reason) == ("ada", "It is fine.")
    assert codes(found) == ["trigger.fired", "trigger.ended"]
    with pytest.raises(ApprovalError, match="ended this already"):
        end_trigger(pk, actor=by(cast.ada), reason="It is fine.")


def test_a_version_without_the_trigger_ends_nothing(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS)
    failed(cast, sandbox)
    failed(cast, sandbox)
    sweep()

    publish(cast, ("id: errors-of-an-agent", "id: errors-of-any-agent"))

    assert allowed(cast).state == "pending_approval"
