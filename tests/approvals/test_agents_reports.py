"""What an agent says of what it carried out itself: kept, counted once, and never verified."""

from __future__ import annotations

import json

import pytest

from approvals.exceptions import (
    GrantRefused,
)
from approvals.models import (
    ActionRequest,
    Agent,
    Attempt,
    CountedRequest,
    Notice,
)
from approvals.services.close import resolve
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from tests.approvals.agents_own import (
    REDEEMED,
    approved_command,
    executions,
    lease_over,
    redeemed,
    reports,
    told,
)
from tests.approvals.executing import attempts
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    make_crm,
)
from tests.approvals.story import assert_story, codes, newest_event


def reports_in_vain(request: ActionRequest, outcome: str = "done", **told: object) -> str:
    with pytest.raises(GrantRefused) as refusal:
        reports(request, outcome, **told)  # type: ignore[arg-type]
    return refusal.value.code


def test_the_same_report_again_changes_nothing(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    redeemed(request)
    reports(request)
    before = codes(request)

    reports(request)

    assert codes(request) == before
    assert reports_in_vain(request, "failed") == "already_reported"
    assert fresh(request).state == "executed"
    assert codes(request) == [*before, "execution.report_refused"]


def test_a_report_under_another_fence_is_refused_and_kept(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    redeemed(request)

    for fence in (0, 2):
        assert reports_in_vain(request, fence=fence) == "wrong_fence"

    assert fresh(request).state == "executing"
    assert codes(request) == [*REDEEMED, *["execution.report_refused"] * 2]
    kept = json.loads(newest_event(request).data)
    assert kept == {
        "attempt": 2,
        "outcome": "done",
        "receipt": "build-4711",
        "result_digest": "",
        "reason": "wrong_fence",
    }


def test_without_a_grant_there_is_nothing_to_report(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)

    assert reports_in_vain(request) == "not_redeemed"
    ours = make_crm(cast)
    approve(ours, cast.otto)
    execute(ours.pk)
    assert reports_in_vain(ours) == "not_redeemed"
    assert fresh(ours).state == "audited"


def test_a_lease_that_is_over_without_a_report_is_an_incident(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    redeemed(request)
    before = Notice.objects.filter(recipient=cast.owner).count()
    lease_over(request)

    sweep()
    sweep()

    assert_story(
        request,
        "outcome_unknown",
        [*REDEEMED, "execution.lease_expired", "request.outcome_unknown"],
    )
    assert attempts(request) == ["unknown"]
    assert "did not report in time" in executions(request)[0]["problem"]
    assert Notice.objects.filter(recipient=cast.owner).count() == before + 1
    assert told(request).outcome == "unclear"


def test_a_late_report_is_kept_and_changes_nothing_by_itself(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    redeemed(request)
    lease_over(request)

    assert reports_in_vain(request) == "late_report"
    assert fresh(request).state == "executing"
    sweep()
    assert reports_in_vain(request) == "late_report"
    assert reports_in_vain(request, "failed") == "late_report"

    assert fresh(request).state == "outcome_unknown"
    attempt = Attempt.objects.get(execution__request=request)
    assert attempt.late_result == "reported by the agent: done build-4711"
    assert codes(request).count("execution.late_result") == 2
    resolve(request.pk, person=cast.otto, applied=True, outcome="The host's log shows it.")
    assert fresh(request).state == "resolved"


def test_an_agent_that_does_not_know_leaves_it_to_people(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    redeemed(request)

    reports(request, "unknown", receipt="")
    reports(request, "unknown", receipt="")
    sweep()

    assert fresh(request).state == "outcome_unknown"
    assert codes(request)[-2:] == ["execution.reported", "request.outcome_unknown"]
    assert reports_in_vain(request, "done") == "already_reported"
    assert fresh(request).state == "outcome_unknown"


_FAILED = "The agent reported that it failed (exit-2)."


def test_a_failure_by_the_agents_word_ends_it_and_frees_no_budget(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    redeemed(request)

    reports(request, "failed", receipt="exit-2")

    assert_story(request, "failed", [*REDEEMED, "execution.reported", "request.failed"])
    story = told(request)
    assert (story.outcome, story.cause) == (
        "refused",
        _FAILED,
    )
    assert CountedRequest.objects.get(request=request).taken_out_at is None
