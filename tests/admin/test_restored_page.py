"""The page on which people reconcile after a restore, and end the freeze."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from approvals.models import Pause
from approvals.services import restores
from approvals.services.sweep import sweep
from tests.admin.make import House, browser, make_people, text_of
from tests.approvals.make import INSTALLER, fresh, make_person, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def house() -> House:
    return make_people()


def of(freeze: Pause, name: str = "change") -> str:
    return reverse(f"admin:approvals_pause_{name}", args=[freeze.pk])


def frozen() -> Pause:
    return restores.freeze(actor=INSTALLER, reason="Last night's dump.")


def test_the_page_says_what_is_known_and_lets_an_ops_admin_resume(house: House) -> None:
    request = make_request(house.agent, refund("ch_1002", "20.00"))
    freeze = frozen()
    ada = browser(make_person("ada", "ops admin"))

    before = text_of(ada.get(of(freeze)))
    early = text_of(ada.post(of(freeze, "lift"), {"reason": "too early"}, follow=True))
    sweep()
    after = text_of(ada.get(of(freeze)))
    ada.post(of(freeze, "lift"), {"reason": "Compared with the bank's list."})

    assert "still asking the systems about 1 request" in before
    assert "Not looked up yet: 1." in early
    assert str(request.pk) in after
    assert "not done" in after
    assert "Resume execution" in after
    freeze.refresh_from_db()
    assert freeze.lifted_by == "ada"
    assert fresh(request).state == "approved"


def test_the_page_shows_ops_admins_no_customers(house: House) -> None:
    make_request(house.agent, refund("ch_1002", "20.00"))
    freeze = frozen()
    sweep()

    page = text_of(browser(make_person("ada", "ops admin")).get(of(freeze)))

    assert "ch_1002" not in page


def test_managers_read_the_page_and_do_not_resume(house: House) -> None:
    freeze = frozen()

    mona = browser(house.mona)

    assert "Restored from a backup" in text_of(mona.get(of(freeze)))
    assert "Resume execution" not in text_of(mona.get(of(freeze)))
    assert mona.post(of(freeze, "lift"), {"reason": "fine"}).status_code == 403


def test_every_page_and_the_probe_say_that_everything_is_frozen(house: House) -> None:
    freeze = frozen()
    ada = browser(make_person("ada", "ops admin"))

    landing = ada.get(reverse("admin:index")).content.decode()

    assert "Restored from a backup: nothing runs until it is known what was done" in landing
    assert of(freeze) in landing
    assert "Last night&#x27;s dump." in browser(house.mona).get("/admin/").content.decode()
    assert Client().get("/readyz").json()["pauses"]["restored"] is True
