"""One person approves alone in an emergency: loudly, for minutes, and reviewed afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from approvals.exceptions import (
    AlreadyDecided,
    ApprovalError,
    EvidenceMissing,
    NotAuthorised,
    Paused,
    ReasonRequired,
    StalePage,
    StepUpRequired,
    WrongState,
)
from approvals.models import ActionRequest, BreakGlass, Decision, Notice
from approvals.services import break_glass as glass
from approvals.services.agents import pause_agent
from approvals.services.close import sign_off
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from audit.models import AuditEvent
from policies.models import User
from policies.services import people
from tests.approvals.make import (
    ACCESS,
    INSTALLER,
    Cast,
    approve,
    fresh,
    look_at,
    make_access,
    make_older,
    make_person,
    make_proof,
    make_request,
    manager_refund,
    publish,
    reject,
)
from tests.approvals.story import DONE, ROUTED, assert_story, codes, newest_event, snapshot
from tests.approvals.test_change_windows import closed_today, window
from tests.database import as_superuser

WHY = "The payment gateway is down and customers are locked out of their accounts."
BROKEN = ["decision.recorded", "glass.broken", "request.approved", "grant.issued"]


def emergency_approver(name: str = "bea", *roles: str) -> User:
    return make_person(name, "break-glass", *roles)


def break_it(request: ActionRequest, user: User, **changes: object) -> Decision:
    said: dict[str, object] = {
        "reviewed": look_at(request, user), "reason": WHY, "proof": make_proof(user),
    }  # fmt: skip
    return glass.break_glass(request.pk, decider=user, **(said | changes))  # type: ignore[arg-type]


def test_one_person_approves_alone_and_everybody_is_told(cast: Cast) -> None:
    request, bea = make_access(cast), emergency_approver()
    for name, role in (("eve", "executive"), ("aud", "auditor")):
        make_person(name, role)
    with as_superuser():
        Notice.objects.all().delete()

    decision = break_it(request, bea)

    grant, broken = request.grants.get(), BreakGlass.objects.get()
    assert_story(request, "approved", [*ROUTED, *BROKEN])
    assert (decision.verdict, decision.group, decision.requirement) == (
        "break_glass", "break-glass", None,
    )  # fmt: skip
    assert decision.authentication is not None
    assert grant.is_break_glass
    assert grant.approvers == ["bea"]
    assert grant.window == ""
    assert grant.expires_at == fresh(request).execute_by == broken.expires_at
    assert grant.expires_at - decision.created_at == timedelta(minutes=15)
    assert broken.review_due_at - broken.created_at == timedelta(hours=24)
    assert not request.requirements.filter(is_open=True).exists()
    told = set(Notice.objects.values_list("recipient__username", flat=True))
    assert {"mona", "max", "eve", "sara", "ada", "alan", "aud", "olga"} <= told
    assert not told & {"fred", "otto"}


def test_what_it_went_past_is_on_record_and_it_runs_outside_its_window(cast: Cast) -> None:
    publish(cast, window(closed_today()))
    request = make_request(cast.agent, ACCESS, action_type="access.grant", evidence=())
    bea = emergency_approver()

    with pytest.raises(EvidenceMissing):
        approve(request, cast.sara)
    break_it(request, bea)
    (event,) = (e for e in _events(request) if e.code == "glass.broken")

    assert set(json.loads(event.data)["still_needed"]) == {"operations", "security"}
    assert json.loads(event.data)["missing_evidence"] == ["risk_analysis"]
    assert json.loads(event.data)["outside_window"] == "changes"
    assert json.loads(event.data)["reason"] == WHY

    execute(request.pk)
    assert fresh(request).state == "verified"
    assert codes(request)[-4:] == DONE[:-1]


def test_the_breaker_does_not_close_the_record_a_colleague_does(cast: Cast) -> None:
    request, bea = make_access(cast), emergency_approver("bea", "security")
    break_it(request, bea)
    execute(request.pk)

    with pytest.raises(NotAuthorised, match="somebody else closes"):
        sign_off(request.pk, person=bea, note="fine", proof=make_proof(bea))
    sign_off(request.pk, person=cast.sara, note="seen", proof=make_proof(cast.sara))

    assert fresh(request).state == "audited"


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (lambda c: c.mona, "not_in_group"),
        (lambda c: c.sara, "not_in_group"),
        (lambda c: c.ada, "never_decides"),
        (lambda c: emergency_approver("both", "ops admin"), "never_decides"),
        (lambda c: emergency_approver("aud", "auditor"), "never_decides"),
        (lambda c: make_person("own-2", "break-glass", person="olga"), "four_eyes"),
        (lambda c: make_person("ada-2", "break-glass", person="ada"), "never_decides"),
        (lambda c: make_person("root", "manager", is_staff=True), "not_in_group"),
    ],
)
def test_nobody_else_breaks_it(cast: Cast, who: Callable[[Cast], User], code: str) -> None:
    request, villain = make_access(cast), who(cast)
    User.objects.filter(username="root").update(is_superuser=True)
    before = snapshot(request)

    with pytest.raises(NotAuthorised) as refused:
        break_it(request, villain)

    assert refused.value.code == code
    assert snapshot(request) == before
    assert newest_event(request).code == "decision.refused"
    assert not BreakGlass.objects.exists()


def test_a_deactivated_breaker_and_one_who_left_the_role_are_refused(cast: Cast) -> None:
    request, bea, ben = make_access(cast), emergency_approver(), emergency_approver("ben")
    seen_by_bea, seen_by_ben = look_at(request, bea), look_at(request, ben)
    people.deactivate(bea.pk, actor=INSTALLER, reason="left")
    people.change_roles(ben.pk, actor=INSTALLER, roles=["finance"], reason="moved")

    for villain, reviewed in ((bea, seen_by_bea), (ben, seen_by_ben)):
        with pytest.raises(NotAuthorised):
            break_it(request, villain, reviewed=reviewed)
    assert fresh(request).state == "pending_approval"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"reason": "It is urgent."}, ReasonRequired),
        ({"reason": " " * 60}, ReasonRequired),
        ({"proof": None}, StepUpRequired),
        ({"proof": 10**9}, StepUpRequired),
    ],
)
def test_it_needs_a_long_reason_and_a_fresh_proof(
    cast: Cast, changes: dict[str, object], error: type[ApprovalError]
) -> None:
    request, bea = make_access(cast), emergency_approver()
    before = snapshot(request)

    with pytest.raises(error):
        break_it(request, bea, **changes)

    assert snapshot(request) == before
    assert not BreakGlass.objects.exists()


def test_a_proof_serves_one_breaking_only_and_its_owner_only(cast: Cast) -> None:
    bea = emergency_approver()
    first, second = make_access(cast), make_request(cast.agent, manager_refund())
    proof = make_proof(bea)
    break_it(first, bea, proof=proof)

    for used in (proof, make_proof(cast.mona)):
        with pytest.raises(StepUpRequired):
            break_it(second, bea, proof=used)
    assert fresh(second).state == "pending_approval"


def test_somebody_elses_or_an_old_page_does_not_count(cast: Cast) -> None:
    request, bea = make_access(cast), emergency_approver()
    reviewed = look_at(request, bea)

    with pytest.raises(StalePage):
        break_it(request, bea, reviewed=look_at(request, cast.sara))
    break_it(request, bea, reviewed=reviewed)
    with pytest.raises(WrongState):
        break_it(request, bea, reviewed=reviewed)


def test_it_passes_no_pause(cast: Cast) -> None:
    request, bea = make_access(cast), emergency_approver()
    pause_agent(cast.agent.pk, actor=INSTALLER, reason="numbers look odd")

    with pytest.raises(Paused):
        break_it(request, bea)


def test_policys_denial_at_execution_holds(cast: Cast) -> None:
    request, bea = make_request(cast.agent, manager_refund()), emergency_approver()
    break_it(request, bea)
    publish(cast, ("\nrules:\n", f"\nrules:\n{_DENY_ALL}"))

    execute(request.pk)

    assert fresh(request).state == "denied"


def test_a_pause_after_it_stops_it_too(cast: Cast) -> None:
    request, bea = make_access(cast), emergency_approver()
    break_it(request, bea)
    pause_agent(cast.agent.pk, actor=INSTALLER, reason="stop")

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert request.grants.get().revoked_at is not None


def test_a_breaker_who_left_meanwhile_unlocks_nothing(cast: Cast) -> None:
    request, bea = make_access(cast), emergency_approver()
    break_it(request, bea)
    people.change_roles(bea.pk, actor=INSTALLER, roles=[], reason="left")

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert "may no longer do so" in " ".join(event.data for event in _events(request))


def test_after_a_quarter_of_an_hour_it_is_over(cast: Cast) -> None:
    request, bea = make_access(cast), emergency_approver()
    break_it(request, bea)
    make_older(request, timedelta(minutes=16))

    execute(request.pk)
    sweep()

    assert fresh(request).state == "expired"


def test_whoever_said_no_or_yes_before_does_not_break_it(cast: Cast) -> None:
    bea = emergency_approver("bea", "security")
    half, ended = make_access(cast), make_request(cast.agent, manager_refund())
    approve(half, bea)
    reject(ended, cast.mona)

    with pytest.raises(AlreadyDecided):
        break_it(half, bea)
    with pytest.raises(WrongState):
        break_it(ended, bea)


_DENY_ALL = """\
  - id: nothing-today
    owner: finance
    reason: Nothing today.
    when: ["true"]
    effect: deny
"""


def _events(request: ActionRequest) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(subject_id=str(request.pk)).order_by("seq"))
