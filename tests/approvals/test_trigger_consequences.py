"""What triggers do: complaints demote, failed verifications and changed formats pause."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.core.mail import EmailMessage

from approvals.choices import PauseScope
from approvals.domain import sending
from approvals.domain.attempts import call
from approvals.exceptions import (
    ApprovalError,
    IdempotencyMismatch,
    NotAuthorised,
    NotFound,
    Paused,
    WrongState,
)
from approvals.models import ActionRequest, Agent, Complaint, FiredTrigger, Pause
from approvals.selectors.pauses import connection_of
from approvals.services import agents, pauses
from approvals.services.complaints import report_complaint
from approvals.services.execute import settle
from approvals.services.sweep import sweep
from approvals.services.triggers import end_trigger, find_due
from approvals.services.verify import read_back
from audit.lib import db_clock
from audit.verify import verify
from connectors.circuit import keep_unexpected
from connectors.sandbox.server import Sandbox
from tests.approvals.executing import claimed
from tests.approvals.make import (
    INSTALLER,
    Cast,
    fresh,
    make_agent,
    make_crm,
    publish,
)
from tests.approvals.story import codes, newest_event
from tests.approvals.triggering import (
    COST,
    EFFECTS,
    ERRORS,
    FORMAT,
    allowed,
    by,
    done,
    failed,
    fired,
    whom,
)
from tests.database import triggers_off

# --- Complaints demote ---------------------------------------------------------------------------


def reporter(cast: Cast) -> Agent:
    """The help desk, which hears of complaints about everybody."""
    agent = make_agent(cast.owner, "help-desk", action_types=[])
    return agents.change_agent(
        agent.pk, actor=INSTALLER, owner=cast.owner, team="support", model="", action_types=[],
        ceiling=agent.ceiling, reports_complaints=True,
    )  # fmt: skip


def test_complaints_demote_the_agent_until_somebody_restores_it(cast: Cast) -> None:
    desk = reporter(cast)
    for number in range(3):
        report_complaint(done(cast).pk, agent=desk, reference=f"T-{number}", text="Wrong lamp.")

    sweep()

    cast.agent.refresh_from_db()
    found = fired()
    assert (cast.agent.level, found.then, found.level_before) == (0, "demote", 1)
    assert allowed(cast).state == "pending_approval"
    assert newest_event(cast.agent).actor_name == "triggers"
    end_trigger(found.pk, actor=by(cast.ada), reason="The supplier was at fault.")
    cast.agent.refresh_from_db()
    assert cast.agent.level == 1
    assert allowed(cast).state == "approved"
    assert verify().problem is None


def test_raising_the_level_by_hand_does_not_get_around_a_demotion(cast: Cast) -> None:
    desk = reporter(cast)
    for number in range(3):
        report_complaint(done(cast).pk, agent=desk, reference=f"T-{number}", text="")
    sweep()

    agents.change_agent(
        cast.agent.pk, actor=by(cast.ada), owner=cast.owner, team="support", model="",
        action_types=cast.agent.action_types, ceiling=cast.agent.ceiling, level=3,
    )  # fmt: skip

    assert allowed(cast).state == "pending_approval"


def test_a_complaint_counts_once(cast: Cast) -> None:
    desk, request = reporter(cast), done(cast)

    first = report_complaint(request.pk, agent=desk, reference="T-1", text="Wrong lamp.")
    again = report_complaint(request.pk, agent=desk, reference="T-1", text="Wrong lamp.")

    assert (first.replayed, again.replayed) == (False, True)
    assert first.complaint == again.complaint
    assert codes(request).count("complaint.reported") == 1
    assert fresh(request).state == "audited"
    with pytest.raises(IdempotencyMismatch):
        report_complaint(request.pk, agent=desk, reference="T-1", text="Another text.")
    with pytest.raises(IdempotencyMismatch):
        report_complaint(done(cast).pk, agent=desk, reference="T-1", text="Wrong lamp.")


def test_only_its_own_and_only_what_was_carried_out(cast: Cast) -> None:
    other, own = make_agent(cast.owner, "other-bot"), done(cast)

    with pytest.raises(NotFound):
        report_complaint(own.pk, agent=other, reference="T-1", text="")
    with pytest.raises(NotFound):
        report_complaint(uuid4(), agent=reporter(cast), reference="T-1", text="")
    with pytest.raises(WrongState):
        report_complaint(make_crm(cast).pk, agent=cast.agent, reference="T-1", text="")
    report_complaint(own.pk, agent=cast.agent, reference="T-1", text="")
    assert Complaint.objects.count() == 1


def test_an_owner_does_not_let_an_agent_report_about_others(cast: Cast) -> None:
    for actor in (by(cast.owner), by(cast.mona)):
        with pytest.raises(NotAuthorised):
            agents.change_agent(
                cast.agent.pk, actor=actor, owner=cast.owner, team="support", model="",
                action_types=cast.agent.action_types, ceiling=cast.agent.ceiling,
                reports_complaints=True,
            )  # fmt: skip


# --- Failed verifications and changed formats pause ----------------------------------------------


def refuted(cast: Cast, sandbox: Sandbox) -> ActionRequest:
    """Applied, and read back as something else."""
    request = allowed(cast)
    claim = claimed(request)
    settle(claim, call(claim))
    with sandbox.store.transaction("payments") as store:
        found = next(one for one in store.all("refund") if one["amount"] == 2_000)
        store.put("refund", found["id"], {**found, "amount": 90_000})
    read_back(request.pk)
    assert fresh(request).state == "verification_failed"
    return request


def test_effects_that_are_not_as_approved_pause_the_action_type(
    cast: Cast, sandbox: Sandbox
) -> None:
    publish(cast, EFFECTS)
    refuted(cast, sandbox)
    refuted(cast, sandbox)

    sweep()

    found, pause = fired(), Pause.objects.get(lifted_at=None)
    assert (found.per, found.key, found.then) == ("action type", "refund.issue", "pause")
    assert (pause.scope, pause.key, found.pause) == ("action_type", "refund.issue", pause)
    assert "2 effects that are not as approved within 1 day" in pause.reason
    with pytest.raises(Paused):
        allowed(cast)
    with pytest.raises(ApprovalError, match="lift the pause"):
        end_trigger(found.pk, actor=by(cast.ada), reason="fine")
    pauses.lift(pause.pk, actor=by(cast.ada), reason="The file was mended.")
    found = fired()
    assert (found.ended_by, found.end_reason) == ("ada", "The file was mended.")
    sweep()
    assert FiredTrigger.objects.count() == 1


def test_what_is_paused_already_stays_paused_by_whom_it_was(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, EFFECTS)
    refuted(cast, sandbox)
    refuted(cast, sandbox)
    standing = pauses.pause(
        PauseScope.ACTION_TYPE, "refund.issue", actor=by(cast.ada), reason="odd"
    )

    sweep()

    assert fired().pause == standing
    assert Pause.objects.count() == 1
    pauses.lift(standing.pk, actor=by(cast.alan), reason="Seen.")
    assert not fired().is_in_force


def test_answers_of_another_form_pause_the_connection(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, FORMAT)
    name = connection_of("refund.issue", "payments")
    keep_unexpected(name, "refund.issue", "verify")
    keep_unexpected(name, "vendor.pay", "preview")

    sweep()

    found = fired()
    assert (found.per, found.key, found.causes) == ("connection", name, [])
    assert Pause.objects.get(lifted_at=None).scope == "connector"
    assert whom(found) == ["ada", "alan"]


def test_the_mail_leads_to_what_fired(
    cast: Cast, sandbox: Sandbox, mailoutbox: list[EmailMessage]
) -> None:
    publish(cast, FORMAT)
    name = connection_of("refund.issue", "payments")
    keep_unexpected(name, "refund.issue", "verify")
    keep_unexpected(name, "refund.issue", "verify")
    sweep()

    sending.send_waiting()

    (mail, _) = [one for one in mailoutbox if "trigger" in one.subject]
    assert mail.subject == "[Countersign] A trigger paused it: connection payments"
    assert f"/admin/approvals/firedtrigger/{fired().pk}/change/" in str(mail.body)


# --- Cost, and pausing an agent ------------------------------------------------------------------


def test_money_spent_adds_up_and_what_failed_does_not(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, COST)
    done(cast)
    failed(cast, sandbox)
    sweep()
    assert not FiredTrigger.objects.exists()

    done(cast)
    sweep()

    found = fired()
    assert (found.watch, found.measured, found.at_least) == ("cost", 4_000, 3_000)
    assert allowed(cast).state == "pending_approval"
    end_trigger(found.pk, actor=by(cast.ada), reason="A busy day.")
    done(cast)
    sweep()
    assert FiredTrigger.objects.count() == 1


def test_an_agent_is_paused_and_goes_on_when_it_is_resumed(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, ERRORS, ("within: 1h\n    then: manual", "within: 1h\n    then: pause"))
    failed(cast, sandbox)
    failed(cast, sandbox)

    sweep()

    with pytest.raises(Paused):
        allowed(cast)
    with pytest.raises(NotAuthorised):
        agents.resume_agent(cast.agent.pk, actor=by(cast.owner))
    agents.resume_agent(cast.agent.pk, actor=by(cast.ada))
    assert not fired().is_in_force
    sweep()
    assert FiredTrigger.objects.count() == 1


def test_what_a_person_opened_is_not_counted_against_the_agent(
    cast: Cast, sandbox: Sandbox
) -> None:
    publish(cast, ERRORS)
    first, second = failed(cast, sandbox), failed(cast, sandbox)
    with triggers_off():
        ActionRequest.objects.filter(pk__in=[first.pk, second.pk]).update(requested_by=cast.otto)

    assert find_due(db_clock.now()) == []
