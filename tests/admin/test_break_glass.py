"""The red, folded section of a request's page, and the pages of what was broken."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from approvals.models import ActionRequest, BreakGlass
from approvals.services.break_glass import review
from policies.models import User
from tests.admin.make import House, action_url, browser, inbox, look, page, state_of, text_of
from tests.approvals.make import ACCESS, PASSWORD, make_person, make_request, manager_refund
from tests.approvals.test_break_glass import WHY, break_it

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

LIST = "admin:approvals_breakglass_changelist"


def make_access(house: House) -> ActionRequest:
    return make_request(house.agent, ACCESS, action_type="access.grant")


def own_page(broken: BreakGlass) -> str:
    return reverse("admin:approvals_breakglass_change", args=[broken.pk])


def make_broken(house: House, emergency_approver: User) -> BreakGlass:
    break_it(make_access(house), emergency_approver)
    return BreakGlass.objects.latest("pk")


def send(client: Client, request: ActionRequest, **said: str) -> int:
    form = {"seal": look(client, request, "security"), "reason": WHY, "password": PASSWORD, **said}
    return client.post(action_url(request, "break_glass", "security"), form).status_code


def test_whoever_may_breaks_it_on_the_page_of_a_team_they_are_not_in(house: House) -> None:
    request, bea = make_access(house), make_person("bea", "break-glass")
    client = browser(bea)
    opened = client.get(reverse("review", args=[request.pk]), follow=True)
    text = text_of(opened)

    assert opened.request["PATH_INFO"] == page(request, "security")
    assert 'data-answer="break_glass"' in text
    assert 'data-answer="break_glass" open' not in text
    assert 'data-answer="approve"' not in text
    assert inbox("security") + '"' not in text  # not theirs to open
    assert send(client, request) == 302
    assert state_of(request) == "approved"
    assert "bea approved this alone by break-glass" in text_of(
        client.get(page(request, "security"))
    )


def test_the_record_leads_to_the_page_of_who_may_have_a_say(house: House) -> None:
    request, bea = make_access(house), make_person("bea", "break-glass")
    record = reverse("admin:approvals_actionrequest_change", args=[request.pk])
    way = reverse("review", args=[request.pk])

    assert way in text_of(browser(bea).get(record))
    assert way in text_of(browser(house.sam).get(record))
    assert way not in text_of(browser(make_person("ida", "auditor")).get(record))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"password": ""}, "Type your password"),
        ({"password": "wrong"}, "not your password"),
        ({"reason": "Quick!"}, "what the emergency is"),
    ],
)
def test_half_of_it_breaks_nothing(house: House, said: dict[str, str], sentence: str) -> None:
    request, client = make_access(house), browser(make_person("bea", "break-glass"))
    form = {"seal": look(client, request, "security"), "reason": WHY, "password": PASSWORD, **said}

    answer = client.post(action_url(request, "break_glass", "security"), form)

    assert answer.status_code == 422
    assert sentence in text_of(answer)
    assert form["reason"] in text_of(answer)
    assert not BreakGlass.objects.exists()
    assert state_of(request) == "pending_approval"


def test_nobody_else_is_offered_it_or_gets_through(house: House) -> None:
    request = make_access(house)
    admin = make_person("both", "ops admin", "security", "break-glass")
    for person in (house.sam, admin):
        client = browser(person)
        assert 'data-answer="break_glass"' not in text_of(client.get(page(request, "security")))
        seal = look(client, request, "security") if person is house.sam else "forged"
        form = {"seal": seal, "reason": WHY, "password": PASSWORD}
        assert client.post(action_url(request, "break_glass", "security"), form).status_code >= 400
    assert browser(house.olga).get(page(request, "security")).status_code == 404
    assert not BreakGlass.objects.exists()


def test_whose_own_yes_is_enough_is_not_offered_it(house: House) -> None:
    request = make_request(house.agent, manager_refund())
    make_person("max", "manager", "break-glass").approval_limits.create(
        action_type="*", currency="EUR", each_minor=10**6
    )

    text = text_of(browser(User.objects.get(username="max")).get(page(request, "manager")))

    assert 'data-answer="approve"' in text
    assert 'data-answer="break_glass"' not in text


def test_breakers_read_what_waits_and_nothing_else(house: House) -> None:
    bea = make_person("bea", "break-glass")
    waits, ended = make_access(house), make_access(house)
    break_it(ended, make_person("ben", "break-glass"))
    client = browser(bea)

    assert client.get(page(waits, "security")).status_code == 200
    assert client.get(page(ended, "security")).status_code == 404
    assert client.get(reverse("admin:inbox", args=["security"])).status_code == 403


def test_a_reviewer_closes_it_and_the_breaker_cannot(house: House) -> None:
    bea = make_person("bea", "break-glass", "manager")
    broken = make_broken(house, bea)
    review_url = reverse("admin:approvals_breakglass_review", args=[broken.pk])
    form = {"was_justified": "no", "comment": "The gateway was up."}

    assert "somebody else reviews it" in text_of(browser(bea).get(own_page(broken)))
    browser(bea).post(review_url, form)
    assert BreakGlass.objects.get().reviewed_at is None

    client = browser(house.mona)
    assert "waits for review" in text_of(client.get(reverse(LIST)))
    assert WHY in text_of(client.get(own_page(broken)))
    client.post(review_url, form | {"comment": ""})
    assert BreakGlass.objects.get().reviewed_at is None
    client.post(review_url, form)

    found = BreakGlass.objects.get()
    assert (found.reviewer, found.was_justified) == (house.mona, False)
    assert "NOT justified" in text_of(client.get(own_page(broken)))
    assert client.get(review_url).status_code == 405


@pytest.mark.parametrize("role", ["finance", "agent owner", "ops admin", "break-glass"])
def test_others_may_not_review_and_most_may_not_read(house: House, role: str) -> None:
    broken = make_broken(house, make_person("bea", "break-glass"))
    client = browser(make_person("villain", role))
    review_url = reverse("admin:approvals_breakglass_review", args=[broken.pk])

    answer = client.post(review_url, {"was_justified": "yes", "comment": "Fine, fine."})

    assert answer.status_code == (302 if role == "ops admin" else 404)
    assert client.get(own_page(broken)).status_code == (200 if role == "ops admin" else 404)
    assert BreakGlass.objects.get().reviewed_at is None


def test_a_reviewer_of_another_team_reads_what_was_done(house: House) -> None:
    broken = make_broken(house, make_person("bea", "break-glass"))
    record = reverse("admin:approvals_actionrequest_change", args=[broken.request_id])
    request = make_access(house)
    other = reverse("admin:approvals_actionrequest_change", args=[request.pk])
    eve = browser(make_person("eve", "executive"))

    assert eve.get(record).status_code == 200
    assert eve.get(other).status_code == 404
    assert browser(house.fred).get(record).status_code == 404


def test_the_landing_page_says_what_waits_until_it_does_not(house: House) -> None:
    broken = make_broken(house, make_person("bea", "break-glass"))
    auditor = browser(make_person("aud", "auditor"))
    cache.clear()

    assert "1 to review" in text_of(auditor.get("/admin/"))
    review(broken.pk, reviewer=house.mona, was_justified=True, comment="It was down.")
    cache.clear()
    assert "none to review" in text_of(auditor.get("/admin/"))
