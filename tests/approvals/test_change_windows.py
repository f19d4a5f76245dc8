"""Some actions are carried out only inside a change window."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from approvals.api.output import ActionOutput
from approvals.models import ActionRequest
from approvals.selectors.openings import opening_shown
from approvals.selectors.request_view import RequestView
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from connectors.sandbox.server import Sandbox
from tests.approvals.make import Cast, approve, fresh, make_access, make_crm, make_older, publish
from tests.approvals.story import DECIDED, DONE, ROUTED, assert_story

TWO_DECIDED = ["decision.recorded", *DECIDED]
VERIFIED = DONE[:-1]


def window(days: str) -> tuple[str, str]:
    return ("days: [mon, tue, wed, thu, fri, sat, sun]", f"days: [{days}]")


def closed_today() -> str:
    """A day of the week that is neither today nor next to it, wherever on earth."""
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    return names[(timezone.now().weekday() + 3) % 7]


def test_outside_its_window_it_waits_and_inside_it_runs(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, window(closed_today()))
    request = make_access(cast)
    approve(request, cast.sara, cast.otto)

    execute(request.pk)
    sweep()

    assert_story(request, "approved", [*ROUTED, *TWO_DECIDED])
    assert sandbox.effects("directory") == []
    publish(cast)
    execute(request.pk)
    assert_story(request, "verified", [*ROUTED, *TWO_DECIDED, *VERIFIED])


def test_a_window_that_never_opened_in_time_ends_in_expiry(cast: Cast, sandbox: Sandbox) -> None:
    publish(cast, window(closed_today()))
    request = make_access(cast)
    approve(request, cast.sara, cast.otto)
    make_older(request, timedelta(hours=8))

    sweep()

    assert_story(request, "expired", [*ROUTED, *TWO_DECIDED, "grant.revoked", "request.expired"])
    assert sandbox.effects("directory") == []


def test_a_window_policy_asks_for_since_counts_too(cast: Cast, sandbox: Sandbox) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    publish(
        cast,
        window(closed_today()),
        (
            "execute_by: 24h\n    reason_required: false",
            "execute_by: 24h\n    window: changes\n    reason_required: false",
        ),
    )

    execute(request.pk)

    assert_story(request, "approved", [*ROUTED, *DECIDED])
    assert sandbox.effects("records") == []


def test_a_window_that_opens_after_the_deadline_is_told_at_once(
    cast: Cast, sandbox: Sandbox
) -> None:
    publish(cast, window(closed_today()))

    doomed = opening_shown(RequestView(make_access(cast)))

    assert doomed is not None
    assert (doomed.window, doomed.is_too_late) == ("changes", True)
    assert doomed.hours == f"{closed_today()} 00:00 to 24:00 Europe/Berlin"
    assert "cannot run in time, whoever approves it" in doomed.sentence
    answer = ActionOutput(RequestView(ActionRequest.objects.get())).data["opening"]
    assert (answer["hours"], answer["too_late"]) == (doomed.hours, True)
    assert answer["message"] == doomed.sentence


def test_a_window_that_opens_in_time_is_shown_with_its_hours(cast: Cast, sandbox: Sandbox) -> None:
    request = make_access(cast)

    waits = opening_shown(RequestView(request))

    assert waits is not None
    assert not waits.is_too_late
    assert "mon, tue, wed, thu, fri, sat, sun" in waits.hours
    assert opening_shown(RequestView(make_crm(cast))) is None
    approve(request, cast.sara, cast.otto)
    execute(request.pk)
    assert opening_shown(RequestView(fresh(request))) is None
