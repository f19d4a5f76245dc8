"""How a page was read is kept with the decision: noted by the browser, bounded, nothing more."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from approvals.models import ActionRequest, Decision
from approvals.selectors.review_snapshot import read_token
from approvals.services.decide import reject
from audit.models import AuditEvent
from tests.admin.make import House, action_url, browser, look, state_of, text_of
from tests.admin.review import NOTHING_WRONG, send
from tests.approvals.make import make_person, token_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def said_in_trail() -> dict[str, Any]:
    event = AuditEvent.objects.filter(code="decision.recorded").latest("seq")
    found: dict[str, Any] = json.loads(event.data)
    return found


def test_seconds_and_evidence_are_kept_with_the_decision_and_in_the_trail(
    house: House, request_: ActionRequest
) -> None:
    item = request_.evidence.get(title__startswith="Customer")
    long_ago = read_token(
        token_for(request_, house.fred),
        visible_seconds=42,
        evidence_opened=["0" * 64, item.sha256, ""],  # of these the page had one
    )
    reviewed = replace(long_ago, opened_at=long_ago.opened_at - timedelta(minutes=2))

    reject(request_.pk, decider=house.fred, reviewed=reviewed, reason_code="not_justified")

    decision = Decision.objects.get()
    assert decision.visible_seconds == 42
    assert json.loads(decision.evidence_opened) == [item.sha256]
    said = said_in_trail()
    assert (said["visible_seconds"], said["evidence_opened"]) == (42, [item.sha256])


def test_nobody_claims_more_seconds_than_the_page_was_open(
    house: House, request_: ActionRequest
) -> None:
    client = browser(house.fred)

    assert send(client, request_, "approve", visible_seconds="86400", **NOTHING_WRONG)

    seconds = Decision.objects.get().visible_seconds
    assert seconds is not None
    assert seconds < 60


@pytest.mark.parametrize("forged", ["", "-5", "1e9", "٣", "9" * 400, "a<b>"])
def test_what_is_no_number_is_no_measurement_and_stops_nobody(
    house: House, request_: ActionRequest, forged: str
) -> None:
    data = {"visible_seconds": forged, "evidence_opened": "'; --", **NOTHING_WRONG}

    assert send(browser(house.fred), request_, "approve", **data).status_code == 302

    decision = Decision.objects.get()
    assert (decision.visible_seconds, decision.evidence_opened) == (None, "")


def test_a_browser_without_scripts_decides_all_the_same(
    house: House, request_: ActionRequest
) -> None:
    client = browser(house.fred)
    data = {"seal": look(client, request_), "reason_code": "not_justified"}

    assert client.post(action_url(request_, "reject"), data).status_code == 302

    assert state_of(request_) == "rejected"
    assert Decision.objects.get().visible_seconds is None


def test_auditors_read_it_in_the_case_file(house: House, request_: ActionRequest) -> None:
    item = request_.evidence.get(title__startswith="Customer")
    data = {"visible_seconds": "0", "evidence_opened": item.sha256, **NOTHING_WRONG}
    send(browser(house.fred), request_, "approve", **data)
    record = reverse("admin:approvals_actionrequest_change", args=[request_.pk])

    text = text_of(browser(make_person("ada", "auditor")).get(record))

    assert "The page they decided on was visible for 0 s." in text
    assert f"Evidence they had on the screen: {item.title}." in text
    assert "Facts they ticked, by rule: refund-complaints." in text
