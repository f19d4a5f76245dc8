"""Who gets a mail: whoever may decide, the one it is suggested to first; who approved, the end."""

from __future__ import annotations

import pytest

from approvals.domain.sending import send_waiting
from approvals.models import ActionRequest, Notice
from approvals.services.execute import execute
from audit.lib.dates import format_moment
from connectors.sandbox.server import Sandbox
from connectors.sandbox.web import Fault
from tests.approvals.executing import plan
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    make_crm,
    make_limit,
    make_person,
    make_request,
    refund,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def told(request: ActionRequest, beginning: str) -> list[str]:
    """User names, in the order the mails go out."""
    notices = Notice.objects.filter(request=request, subject__startswith=beginning)
    names = notices.order_by("next_attempt_at", "id").values_list("recipient__username", flat=True)
    return list(names)


def test_nobody_gets_a_mail_about_what_they_may_never_decide(cast: Cast) -> None:
    small = make_person("small", "finance")
    make_limit(small, "10.00")
    owner = cast.agent.owner

    request = make_request(cast.agent, refund("ch_1037", "150.00"))

    people = told(request, "A request waits for your decision")
    assert "fred" in people
    assert small.username not in people
    assert owner.username not in people


def test_whom_it_is_suggested_to_comes_first_and_reads_team_tier_and_due(cast: Cast) -> None:
    request = make_crm(cast)
    assignee = request.requirements.get().assignee
    assert assignee is not None
    assert request.decide_by is not None

    people = told(request, "A request waits for your decision")
    subjects = dict(
        Notice.objects.filter(request=request).values_list("recipient__username", "subject")
    )

    assert people[0] == assignee.username
    assert sorted(people) == ["oona", "otto"]
    about = f"operations, tier 2, due {format_moment(request.decide_by)}"
    (other,) = set(people) - {assignee.username}
    assert subjects[assignee.username] == (
        f"A request waits for your decision: suggested to you: {about}"
    )
    assert subjects[other] == f"A request waits for your decision: {about}"
    assert send_waiting() == len(subjects)


def test_whoever_approved_learns_that_it_was_done(cast: Cast) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)

    execute(request.pk)

    assert fresh(request).state == "audited"
    assert told(request, "A request you approved was carried out and checked, tier 2") == ["otto"]


def test_whoever_approved_learns_that_it_failed(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent, refund("ch_1037", "150.00"))
    approve(request, cast.fred)
    plan(sandbox, Fault(mode="refuse", method="POST"))

    execute(request.pk)

    assert fresh(request).state == "failed"
    assert told(request, "A request you approved FAILED: nothing was done, tier 3") == ["fred"]
    assert told(request, "A request of your agent is now failed") == ["olga"]
