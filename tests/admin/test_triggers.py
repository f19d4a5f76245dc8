"""What a trigger did is on a page: what was measured, what caused it, and how to end it."""

from __future__ import annotations

import pytest
from django.urls import reverse

from approvals.models import FiredTrigger
from approvals.services import triggers
from approvals.services.complaints import report_complaint
from approvals.services.execute import execute
from audit.lib import db_clock
from tests.admin.make import House, browser, make_people, text_of
from tests.approvals.make import make_person, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def house() -> House:
    return make_people()


@pytest.fixture
def fired(house: House) -> FiredTrigger:
    """Three complaints about one agent, which is demoted."""
    request = make_request(house.agent, refund("ch_1002", "20.00"))
    execute(request.pk)
    for number in range(3):
        report_complaint(request.pk, agent=house.agent, reference=f"T-{number}", text="<b>No</b>")
    (due,) = triggers.find_due(db_clock.now())
    found = triggers.fire(due)
    assert found is not None
    return found


def page(fired: FiredTrigger, name: str = "change") -> str:
    return reverse(f"admin:approvals_firedtrigger_{name}", args=[fired.pk])


def test_an_ops_admin_reads_why_and_ends_it(house: House, fired: FiredTrigger) -> None:
    ada = browser(make_person("ada", "ops admin"))

    listed = text_of(ada.get(reverse("admin:approvals_firedtrigger_changelist")))
    shown = text_of(ada.get(page(fired)))
    today = text_of(ada.get(reverse("admin:index")))
    saved = ada.post(page(fired), {"measured": "0"})
    empty = text_of(ada.post(page(fired, "end"), {"reason": ""}, follow=True))
    ended = text_of(ada.post(page(fired, "end"), {"reason": "Seen."}, follow=True))
    late = text_of(ada.post(page(fired, "end"), {"reason": "Seen."}, follow=True))

    assert saved.status_code == 302
    assert f"agent {house.agent.name}" in listed
    assert "demoted" in listed
    assert "3 complaints" in shown
    assert "3 complaints within 7 days" in shown
    assert "1 request that you do not see" in shown
    assert f"people look at everything of: agent {house.agent.name}" in today
    assert "This field is required" in empty
    assert "does again by itself what policy allows" in ended
    assert "ended this on" in late
    fired.refresh_from_db()
    assert (fired.ended_by, fired.end_reason) == ("ada", "Seen.")


def test_others_read_it_and_end_nothing(house: House, fired: FiredTrigger) -> None:
    for user in (house.mona, make_person("ann", "auditor"), house.agent.owner):
        client = browser(user)

        assert client.get(page(fired)).status_code == 200
        assert "End it" not in text_of(client.get(page(fired)))
        assert client.post(page(fired, "end"), {"reason": "Mine."}).status_code == 403

    fired.refresh_from_db()
    assert fired.is_in_force


def test_an_owner_of_other_agents_does_not_see_it(fired: FiredTrigger) -> None:
    other = browser(make_person("oskar", "agent owner"))

    assert other.get(page(fired)).status_code == 404


def test_a_complaint_is_shown_as_plain_text_to_who_sees_the_request(
    house: House, fired: FiredTrigger
) -> None:
    ann = browser(make_person("ann", "auditor"))
    complaint = house.agent.complaints.first()
    assert complaint is not None

    answer = ann.get(reverse("admin:approvals_complaint_change", args=[complaint.pk]))

    assert answer.status_code == 200
    assert b"&lt;b&gt;No&lt;/b&gt;" in answer.content
