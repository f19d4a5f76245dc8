"""Teams, owners and line managers on their pages, and the inbox every team has."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from policies.models import AuthorityChange, Ownership, Team, User
from policies.services.ownership import OwnerRow, set_owners
from tests.admin.make import House, action_url, browser, inbox, look, page, state_of, text_of
from tests.approvals.make import (
    INSTALLER,
    ask_of_records,
    crm,
    make_person,
    make_request,
    make_team,
    ticked,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

TEAM = {
    "code": "dispatch", "name": "Dispatch desk", "escalates_to": "operations",
    "hours": "Mon-Fri 08:00-18:00",
}  # fmt: skip


def admins() -> tuple[User, User]:
    return make_person("petra", "ops admin"), make_person("paul", "ops admin")


def agree(user: User, change: AuthorityChange) -> None:
    address = reverse("admin:policies_authoritychange_agree", args=[change.pk])
    browser(user).post(address, {"reason": "seen"})


def test_a_team_is_made_joined_by_agreement_and_has_its_inbox(house: House) -> None:
    petra, paul = admins()
    dora = make_person("dora")
    make_team("yard", make_person("yuri"))

    made = browser(petra).post(
        reverse("admin:policies_team_add"), {**TEAM, "members": [dora.pk]}, follow=True
    )

    assert "Dispatch desk is a team." in text_of(made)
    assert browser(dora).get(inbox("dispatch")).status_code == 403
    change = AuthorityChange.objects.get(beneficiary="dora")
    agree(petra, change)
    assert browser(dora).get(inbox("dispatch")).status_code == 403
    agree(paul, change)
    ask_of_records(petra, paul, "{group: dispatch}")
    request = make_request(house.agent, crm(), action_type="crm.update")

    listed = browser(dora).get("/admin/approvals/dispatchinbox/")
    assert "Dispatch desk inbox" in text_of(listed)
    assert page(request, "dispatch") in text_of(listed)
    assert "Dispatch desk inbox" in text_of(browser(dora).get(reverse("admin:index")))
    answered = browser(dora)
    seal = look(answered, request, "dispatch")
    answered.post(
        action_url(request, "approve", "dispatch"),
        {"seal": seal, "reason_code": "as_proposed", "confirmed": ticked(request)},
    )
    assert state_of(request) == "approved"
    assert browser(house.fred).get(page(request, "dispatch")).status_code == 404


def test_what_makes_no_sense_is_said_on_the_form(house: House) -> None:
    petra, _ = admins()

    for field, value, said in (
        ("code", "Dispatch!", "cannot be a team&#x27;s code"),
        ("code", "finance", "There is already a team or role"),
        ("hours", "nine to five", "are no hours"),
    ):
        answer = browser(petra).post(reverse("admin:policies_team_add"), {**TEAM, field: value})
        assert said in text_of(answer), field

    assert not Team.objects.exists()


@pytest.mark.parametrize("role", ["manager", "risk owner", "auditor"])
def test_nobody_else_makes_teams_or_owners(house: House, role: str) -> None:
    villain = browser(make_person("vera", role))

    for address, sent in (
        (reverse("admin:policies_team_add"), TEAM),
        (reverse("admin:policies_ownership_add"), {"system": "*", "pattern": "*"}),
        (reverse("admin:policies_ownership_import", args=["owners"]), {"lines": "x"}),
    ):
        assert villain.get(address).status_code == 403
        assert villain.post(address, sent).status_code == 403


def test_an_owner_goes_on_record_by_two_and_is_found_by_everybody(house: House) -> None:
    petra, paul = admins()
    ana = make_person("ana")

    browser(petra).post(
        reverse("admin:policies_ownership_add"),
        {
            "system": "records", "pattern": "account *", "kind": "data", "person": ana.pk,
            "team": "", "reason": "she keeps it",
        },
    )  # fmt: skip
    assert not Ownership.objects.exists()
    agree(paul, AuthorityChange.objects.get())

    who = f"{reverse('admin:policies_ownership_who')}?"
    asked = {"system": "records", "target": "account acct_2001"}
    found = text_of(browser(house.fred).get(who + urlencode(asked)))
    assert "Data owner" in found
    assert "<strong>ana</strong>" in found
    nobody = text_of(browser(house.fred).get(who + urlencode({**asked, "system": "else"})))
    assert "Nobody is on record" in nobody


def test_whom_it_is_asked_of_by_name_has_an_inbox_of_their_own(house: House) -> None:
    petra, paul = admins()
    ana = make_person("ana")
    set_owners([OwnerRow("records", "*", "data", person="ana")], actor=INSTALLER, reason="x")
    ask_of_records(petra, paul, "{group: 'owner:data'}")
    request = make_request(house.agent, crm(), action_type="crm.update")

    landing = browser(ana).get(f"/review/{request.pk}/", follow=True)

    assert landing.redirect_chain[0][0] == page(request, "@ana")
    assert "Asked of you" in text_of(landing)
    assert "Ana, data owner" in text_of(landing)
    assert browser(house.fay).get(inbox("@ana")).status_code == 403


@pytest.mark.parametrize("as_file", [True, False])
def test_a_file_is_one_change_for_a_second_person(house: House, as_file: bool) -> None:
    petra, paul = admins()
    make_person("ana")
    lines = "system,target,kind,team,person\ncrm,*,data,,ana\ncrm,*,service,support,\n"
    address = reverse("admin:policies_ownership_import", args=["owners"])
    file = SimpleUploadedFile("owners.csv", lines.encode(), "text/csv")

    wrong = browser(petra).post(address, {"lines": lines.replace("ana", "anna"), "reason": "x"})
    sent = {"file": file} if as_file else {"lines": lines}
    browser(petra).post(address, {**sent, "reason": "the yearly list"})

    assert "Row 1: there is no active account &#x27;anna&#x27;." in text_of(wrong)
    change = AuthorityChange.objects.get()
    assert "and 1 more" in change.summary
    agree(paul, change)
    assert Ownership.objects.count() == 2


def test_an_owner_is_ended_by_two(house: House) -> None:
    petra, paul = admins()
    (owner,) = set_owners(
        [OwnerRow("crm", "*", "data", team="support")], actor=INSTALLER, reason="x"
    )
    assert isinstance(owner, Ownership)

    browser(petra).post(
        reverse("admin:policies_ownership_end", args=[owner.pk]), {"reason": "sold"}
    )
    owner.refresh_from_db()
    assert owner.ended_at is None
    agree(paul, AuthorityChange.objects.get())

    owner.refresh_from_db()
    assert owner.ended_at is not None


def test_a_line_manager_is_set_on_the_persons_page(house: House) -> None:
    petra, paul = admins()
    ana, boss = make_person("ana"), make_person("boss")
    address = reverse("admin:policies_user_set_line_manager", args=[ana.pk])

    browser(petra).post(address, {"manager": "boss", "reason": "new boss"})
    agree(paul, AuthorityChange.objects.get())

    assert User.objects.get(pk=ana.pk).line_manager == boss
    shown = browser(petra).get(reverse("admin:policies_user_change", args=[ana.pk]))
    assert 'value="boss"' in text_of(shown)


def test_the_inbox_page_itself_leads_to_ones_first(house: House) -> None:
    answer = browser(house.fred).get("/admin/approvals/inbox/")

    assert (answer.status_code, answer["Location"]) == (302, inbox("finance"))
    nobody = browser(make_person("ada", "ops admin"))
    assert nobody.get("/admin/approvals/inbox/").status_code == 403
