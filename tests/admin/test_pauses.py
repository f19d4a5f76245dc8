"""A pause is begun and lifted on its page, seen on every page, and told to machines."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from approvals.choices import PauseScope
from approvals.models import Pause
from approvals.services.agents import pause_agent, resume_agent
from approvals.services.pauses import lift, pause
from audit.actors import Actor
from policies.models import User
from tests.admin.make import House, browser, inbox, make_people, page, text_of
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import INSTALLER, make_key, make_person, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

PAUSES = "admin:approvals_pause_changelist"
ADD = "admin:approvals_pause_add"


@pytest.fixture
def house() -> House:
    return make_people()


def stop(scope: PauseScope = PauseScope.ALL, key: str = "") -> Pause:
    return pause(scope, key, actor=INSTALLER, reason="numbers <b>look</b> odd")


def of(made: Pause, name: str = "change") -> str:
    return reverse(f"admin:approvals_pause_{name}", args=[made.pk])


def test_a_manager_stops_everything_and_an_ops_admin_lifts_it(house: House) -> None:
    mona, ada = browser(house.mona), browser(make_person("ada", "ops admin"))

    answer = mona.post(reverse(ADD), {"what": "all", "reason": "fraud"}, follow=True)

    made = Pause.objects.get()
    assert answer.status_code == 200
    assert (made.scope, made.paused_by, made.reason) == ("all", "mona", "fraud")
    assert "Lift the pause" not in text_of(mona.get(of(made)))
    assert mona.post(of(made, "lift"), {"reason": "fine"}).status_code == 403
    assert "Lift the pause" in text_of(ada.get(of(made)))
    assert "Reason: This field is required." in text_of(ada.post(of(made, "lift"), follow=True))
    ada.post(of(made, "lift"), {"reason": "false alarm"})
    made.refresh_from_db()
    assert made.lifted_by == "ada"


def test_an_action_type_and_a_connector_are_chosen_from_what_there_is(house: House) -> None:
    mona = browser(house.mona)

    mona.post(reverse(ADD), {"what": "action_type:refund.issue", "reason": "a"})
    mona.post(reverse(ADD), {"what": "connector:payments", "reason": "b"})
    again = mona.post(reverse(ADD), {"what": "connector:payments", "reason": "c"})
    unknown = mona.post(reverse(ADD), {"what": "connector:fax", "reason": "d"})

    assert {str(one) for one in Pause.objects.all()} == {
        "action type refund.issue",
        "connector payments",
    }
    assert "Paused already: connector payments." in text_of(again)
    assert "Select a valid choice" in text_of(unknown)
    assert "Choose what to stop" in text_of(mona.get(reverse(ADD), {"what": "connector:fax"}))


def test_nothing_is_chosen_beforehand_and_what_stops_is_said_first(house: House) -> None:
    mona = browser(house.mona)
    make_request(house.agent, refund("ch_1033", "250.00"))
    make_request(house.agent, refund("ch_1034", "300.00"))
    make_request(house.agent, refund("ch_1035", "150.00"))  # policy allows it

    choices = text_of(mona.get(reverse(ADD)))
    chosen = text_of(mona.get(reverse(ADD), {"what": "action_type:refund.issue"}))

    assert "<textarea" not in choices
    assert 'href="?what=payments">Stop payments</a>' in choices
    assert "Stop “Refund a charge” now</button>" in chosen
    assert "<dt>Approved, not begun</dt><dd><strong>1</strong>" in chosen
    assert "<dt>Waiting for people</dt><dd><strong>2</strong>" in chosen
    assert "Refund a charge</th><td>1</td><td>2</td><td>0</td>" in chosen
    assert "Undos that people ask for still go through." in chosen
    assert not Pause.objects.exists()


def test_a_stop_of_payments_is_one_click_and_a_reason(house: House) -> None:
    mona = browser(house.mona)
    request = make_request(house.agent, refund("ch_1034", "300.00"))
    landing = text_of(mona.get(reverse("admin:index")))
    assert f'href="{reverse(ADD)}?what=payments"' in landing
    asked = text_of(mona.get(reverse(ADD), {"what": "payments"}))
    assert "Nothing is open of what it covers too: Change a vendor" in asked
    assert "Set stage" not in asked

    unsaid = mona.post(reverse(ADD), {"what": "payments", "reason": " "})
    answer = mona.post(reverse(ADD), {"what": "payments", "reason": "fraud"}, follow=True)

    assert "Write why it is stopped." in text_of(unsaid)
    text = text_of(answer)
    assert "Payments are stopped. None of this is approved or carried out" in text
    assert "Stopped while this lasts" in text
    assert [str(one) for one in Pause.objects.all()] == ["connector payments"]
    assert "Stop payments now" not in text_of(mona.get(reverse("admin:index")))
    again = mona.post(reverse(ADD), {"what": "payments", "reason": "fraud"})
    assert "Payments are stopped already." in text_of(again)
    assert "Nobody approves or edits this" in text_of(browser(house.fred).get(page(request)))


def test_nobody_is_offered_a_stop_who_may_not_stop(house: House) -> None:
    assert "Stop payments now" not in text_of(browser(house.fred).get(reverse("admin:index")))
    assert browser(house.fred).get(reverse(ADD), {"what": "payments"}).status_code == 403


def test_auditors_read_and_nobody_else_comes_in_or_stops_anything(house: House) -> None:
    made = stop()
    root = User.objects.create(username="root", is_staff=True, is_superuser=True)
    auditor = make_person("ida", "auditor")

    assert "in force" in text_of(browser(auditor).get(reverse(PAUSES)))
    for villain in (house.fred, house.olga, auditor, root):
        client = browser(villain)
        assert client.post(reverse(ADD), {"what": "all", "reason": "x"}).status_code == 403
        assert client.post(of(made, "lift"), {"reason": "x"}).status_code == 403
    assert browser(house.fred).get(reverse(PAUSES)).status_code == 403
    assert Pause.objects.get().lifted_at is None


def test_every_page_says_what_is_paused(house: House) -> None:
    request = make_request(house.agent, refund("ch_1034", "300.00"))
    first = stop()
    stop(PauseScope.CONNECTOR, "email")

    for address in (reverse("admin:index"), inbox(), page(request)):
        text = text_of(browser(house.fred).get(address))
        assert "Paused: everything" in text
        assert "by installation: numbers &lt;b&gt;look&lt;/b&gt; odd" in text
        assert "2 pauses in all" in text
        assert "All pauses" not in text
    assert "Nobody approves or edits this until the pause is lifted." in text
    assert "Yours is the last yes" not in text
    assert "All pauses" in text_of(browser(house.mona).get(inbox("manager")))
    assert "Paused:" not in text_of(Client().get(reverse("admin:login")))
    lift(first.pk, actor=INSTALLER)
    text = text_of(browser(house.fred).get(inbox()))
    assert "Paused: connector email" in text
    assert "pauses in all" not in text


def test_every_page_says_which_agent_is_paused(house: House) -> None:
    pause_agent(house.agent.pk, actor=Actor.human(house.olga), reason="it <b>raves</b>")
    fred, riskowner = browser(house.fred), browser(make_person("rita", "risk owner"))

    alone = text_of(fred.get(reverse("admin:index")))
    stop(PauseScope.CONNECTOR, "email")
    beside = text_of(fred.get(inbox()))

    assert f"Paused: agent {house.agent.name}" in alone
    assert "by olga: it &lt;b&gt;raves&lt;/b&gt;" in alone
    assert "Paused agents</a>" in alone
    assert "All pauses" not in alone
    assert "Paused: connector email" in beside
    assert f"2 pauses in all: connector email, agent {house.agent.name}" in beside
    assert "Paused agents</a>" not in text_of(riskowner.get(reverse("admin:index")))
    resume_agent(house.agent.pk, actor=Actor.human(house.olga))
    assert house.agent.name not in text_of(fred.get(reverse("admin:index")))


def test_machines_are_told_at_once(house: House) -> None:
    cache.clear()
    before = Client().get("/readyz").json()
    stop(PauseScope.CONNECTOR, "payments")
    key = make_key(house.agent)

    refused = AgentClient(key).propose(a_proposal(refund("ch_1003", "20.00")))
    after = Client().get("/readyz").json()

    nothing = {"everything": False, "restored": False, "action_types": 0, "connectors": 0}
    assert before["pauses"] == nothing
    assert after["pauses"] == {**nothing, "connectors": 1}
    assert after["status"] == "ready"
    assert refused.status_code == 403
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "paused"
    assert refused.json()["detail"] == "Connector payments is paused: numbers <b>look</b> odd"


def test_those_who_keep_the_house_see_pauses_on_the_landing_page(house: House) -> None:
    cache.clear()
    ada = browser(make_person("ada", "ops admin"))
    assert "Nothing is paused" in text_of(ada.get(reverse("admin:index")))

    stop(PauseScope.ACTION_TYPE, "crm.update")

    assert "action type crm.update" in text_of(ada.get(reverse("admin:index")))
