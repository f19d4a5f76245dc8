"""From a case to the policy editor: a reviewer suggests a rule, a writer of policy finds it."""

from __future__ import annotations

import pytest
from django.urls import reverse

from approvals.models import ActionRequest
from policies.models import PolicyVersion
from tests.admin.make import House, action_url, browser, page, text_of
from tests.admin.review import send
from tests.approvals.invoices import INVOICE, in_days
from tests.approvals.make import fresh, make_person, make_request

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def invoice(house: House) -> ActionRequest:
    return make_request(house.agent, INVOICE, action_type="vendor.pay")


def test_a_reviewer_suggests_it_and_a_risk_owner_finds_it(
    house: House, invoice: ActionRequest
) -> None:
    rita = make_person("rita", "risk owner")
    client = browser(house.fred)
    offered = text_of(client.get(page(invoice)))

    answer = send(
        client, invoice, "suggest_rule", until=in_days(30).isoformat(), total="1.400,00",
        reason="The rent.",
    )  # fmt: skip

    version = PolicyVersion.objects.get(suggested_from=str(invoice.pk))
    assert "action.amount &lt;= 64000" in offered
    assert answer["Location"] == page(invoice)
    assert f"Suggested as {version.label}" in text_of(client.get(page(invoice)))
    assert fresh(invoice).state == "pending_approval"
    listed = text_of(browser(rita).get(reverse("admin:policies_policyversion_changelist")))
    address = reverse("admin:policies_policyversion_change", args=[version.pk])
    assert "fred suggests a rule from a case. The rent." in listed
    assert address in listed
    shown = text_of(browser(rita).get(address))
    assert "suggested from a case" in shown
    assert "Replay over past requests" in shown
    assert browser(house.fred).get(address).status_code in (302, 403)


def test_what_is_wrong_with_it_is_said_beside_the_field(
    house: House, invoice: ActionRequest
) -> None:
    answer = send(
        browser(house.fred), invoice, "suggest_rule", until=in_days(400).isoformat(),
        total="much", reason="The rent.",
    )  # fmt: skip

    text = text_of(answer)
    assert answer.status_code == 400
    assert 'id="suggest_rule-until_error"' in text
    assert 'value="much"' in text
    assert not PolicyVersion.objects.exclude(suggested_from="").exists()


def test_who_may_not_approve_is_not_asked(house: House, invoice: ActionRequest) -> None:
    mona = text_of(browser(house.mona).get(page(invoice, "manager")))
    olga = browser(house.olga).get(page(invoice))

    assert olga.status_code == 404
    may_approve = action_url(invoice, "approve", "manager") in mona
    assert (action_url(invoice, "suggest_rule", "manager") in mona) == may_approve
