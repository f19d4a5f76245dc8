"""Who works on a request is seen by everybody, said by three small doors, and locks nobody out."""

from __future__ import annotations

import pytest
from django.utils import timezone

from approvals.models import ActionRequest, Requirement
from approvals.services import claims
from policies.models import User
from tests.admin.make import (
    House,
    action_url,
    browser,
    inbox,
    look,
    make_people,
    page,
    state_of,
    text_of,
)
from tests.approvals.make import make_request, refund, ticked
from tests.approvals.story import codes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def house() -> House:
    return make_people()


@pytest.fixture
def waiting(house: House) -> ActionRequest:
    """Finance has it; it is suggested to fay, who comes first by name."""
    return make_request(house.agent, refund("ch_1034", "300.00"))


def holder(request: ActionRequest) -> str:
    found = Requirement.objects.get(request=request).assignee
    return found.get_username() if found else ""


def test_a_suggestion_is_shown_to_whom_it_was_made(house: House, waiting: ActionRequest) -> None:
    assert "suggested to you" in text_of(browser(house.fay).get(inbox()))
    assert "suggested to you" not in text_of(browser(house.fred).get(inbox()))
    assert "suggested to <strong>fay</strong>" in text_of(browser(house.fred).get(page(waiting)))
    assert page(waiting) in text_of(browser(house.fay).get(f"{inbox()}?show=mine"))
    assert page(waiting) not in text_of(browser(house.fred).get(f"{inbox()}?show=mine"))


def test_a_claim_is_seen_by_colleagues_and_given_back(house: House, waiting: ActionRequest) -> None:
    fred, fay = browser(house.fred), browser(house.fay)

    claimed = fred.post(action_url(waiting, "claim"), follow=True)

    until = timezone.localtime(waiting.requirements.get().claimed_until)
    when = f"{until:%-d %b %Y, %H:%M %Z}"
    assert f"You work on it until {when}." in text_of(claimed)
    assert "you work on it" in text_of(fred.get(inbox()))
    assert "fred works on it" in text_of(fay.get(inbox()))
    assert page(waiting) in text_of(fay.get(f"{inbox()}?show=claimed"))
    assert f"fred works on this until {when}." in text_of(
        fay.post(action_url(waiting, "claim"), follow=True)
    )
    fred.post(action_url(waiting, "release"))
    assert holder(waiting) == ""
    assert codes(waiting)[-2:] == ["request.claimed", "request.claim_released"]


def test_somebody_elses_claim_keeps_nobody_from_deciding(
    house: House, waiting: ActionRequest
) -> None:
    claims.claim(waiting.pk, person=house.fred)
    fay = browser(house.fay)

    fay.post(
        action_url(waiting, "approve"),
        {
            "seal": look(fay, waiting),
            "reason_code": "as_proposed",
            "comment": "",
            "confirmed": ticked(waiting),
        },
    )

    assert state_of(waiting) == "approved"


def test_it_is_given_to_a_colleague_who_may_decide_it(house: House, waiting: ActionRequest) -> None:
    fay = browser(house.fay)
    offered = text_of(fay.get(page(waiting)))

    given = fay.post(
        action_url(waiting, "reassign"), {"to": house.fred.pk, "reason": "my cousin"}, follow=True
    )

    assert f'<option value="{house.fred.pk}">fred</option>' in offered
    assert f'<option value="{house.olga.pk}">' not in offered
    assert "fred has it now" in text_of(given)
    assert holder(waiting) == "fred"


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"to": "", "reason": "x"}, "Choose a colleague."),
        ({"to": "1e9", "reason": "x"}, "whole number"),
        ({"to": "99999", "reason": "x"}, "no such colleague"),
        ({"to": "owner", "reason": "x"}, "may not decide this"),
        ({"to": "fred", "reason": " "}, "Write why"),
    ],
)
def test_what_is_wrong_with_giving_it_away_is_said(
    house: House, waiting: ActionRequest, typed: dict[str, str], problem: str
) -> None:
    named = {"owner": house.olga.pk, "fred": house.fred.pk}
    typed = {**typed, "to": str(named.get(typed["to"], typed["to"]))}

    answer = browser(house.fay).post(action_url(waiting, "reassign"), typed, follow=True)

    assert problem in text_of(answer)
    assert holder(waiting) == "fay"


@pytest.mark.parametrize("name", ["claim", "release", "reassign"])
def test_nobody_from_elsewhere_goes_through_and_nobody_by_opening(
    house: House, waiting: ActionRequest, name: str
) -> None:
    root = User.objects.create(username="root", is_staff=True, is_superuser=True)
    form = {"to": str(house.fred.pk), "reason": "x"}

    for villain in (house.sam, house.olga, root):
        assert browser(villain).post(action_url(waiting, name), form).status_code == 404
    assert browser(house.fred).get(action_url(waiting, name)).status_code == 405

    assert holder(waiting) == "fay"


def test_after_the_decision_nobody_works_on_it(house: House, waiting: ActionRequest) -> None:
    fred = browser(house.fred)
    fred.post(
        action_url(waiting, "reject"),
        {"seal": look(fred, waiting), "reason_code": "duplicate", "comment": ""},
    )

    assert "Who works on it" not in text_of(fred.get(page(waiting)))
    assert "there is nothing to work on" in text_of(
        fred.post(action_url(waiting, "claim"), follow=True)
    )
