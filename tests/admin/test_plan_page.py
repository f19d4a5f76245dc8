"""The page of a plan, and of what undoes one."""

from __future__ import annotations

import pytest

from approvals.models import ActionRequest, Plan
from approvals.services.execute import execute
from approvals.services.undo import propose_undo
from audit.models import AuditEvent
from policies.models import User
from tests.admin.make import House, browser, page, text_of
from tests.approvals.make import approve, crm, make_person, make_plan, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def otto(house: House) -> User:
    return make_person("otto", "operations")


@pytest.fixture
def olive(house: House) -> User:
    return make_person("olive", "operations")


@pytest.fixture
def plan(house: House) -> Plan:
    return make_plan(
        house.agent, ("crm.update", crm()), ("refund.issue", refund("ch_1001", "800.00"))
    )


def address(plan: Plan, what: str = "change") -> str:
    return f"/admin/approvals/plan/{plan.pk}/{what}/"


def test_every_step_is_shown_and_the_viewers_own_are_named(
    house: House, otto: User, plan: Plan
) -> None:
    shown = text_of(browser(otto).get(address(plan)))

    first, second = plan.steps.order_by("step")
    assert first.effect.split("(")[0][:30] in shown
    assert "Refund 800.00 EUR" in shown
    assert "Tier 3 · the highest of all steps" in shown
    assert "1 of 2 cannot be undone" in shown
    assert "Your yes is for step 1." in shown
    assert f"/review/{first.pk}/" in shown
    assert f"/review/{second.pk}/" not in shown  # the managers' own


def test_who_has_no_part_in_it_finds_no_plan(house: House, plan: Plan) -> None:
    assert browser(house.sam).get(address(plan)).status_code == 404
    assert browser(house.sam).post(address(plan, "approve"), {}).status_code == 404


@pytest.mark.parametrize("what", ["approve", "reject"])
def test_nothing_is_decided_by_opening_or_without_the_pages_token(
    otto: User, plan: Plan, what: str
) -> None:
    client = browser(otto)

    opened = client.get(address(plan, what))
    sent = client.post(address(plan, what), {"reason_code": "other", "comment": "x"})
    forged = client.post(
        address(plan, what), {"reason_code": "other", "comment": "x", "seal": "a:b:c"}
    )

    assert (opened.status_code, opened.headers["Allow"]) == (405, "POST")
    assert (sent.status_code, forged.status_code) == (409, 409)
    assert "x" in text_of(sent)  # nothing that was typed is lost
    assert not AuditEvent.objects.filter(code="decision.recorded").exists()


def done(house: House, otto: User) -> ActionRequest:
    request = make_request(house.agent, crm(), action_type="crm.update")
    approve(request, otto)
    execute(request.pk)
    return request


def test_an_undo_a_person_wants_is_not_shown_as_the_agents_words(
    house: House, otto: User, olive: User
) -> None:
    undo = propose_undo(done(house, otto).pk, person=otto, reason="Wrong account.").request

    shown = text_of(browser(olive).get(page(undo, "operations")))

    assert "Undo: " in shown
    assert "otto: <q>" in shown
    assert "<q>Wrong account.</q>" in shown
    assert "data-agent-region" not in shown


def test_an_undo_the_agent_wants_is(house: House, otto: User, olive: User) -> None:
    undo = propose_undo(done(house, otto).pk, reason="I was wrong.").request

    shown = text_of(browser(olive).get(page(undo, "operations")))

    assert "data-agent-region" in shown
    assert "data-undo-asked" not in shown
