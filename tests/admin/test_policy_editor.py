"""The policy editor: what a risk owner does in the pages, and what everybody else cannot."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.actors import Actor
from policies.models import Backtest, PolicyVersion, User
from policies.services import backtests, drafts, versions
from policies.services.versions import DEFAULT_DOCUMENT, DEFAULT_FLOOR, install_default_floor
from tests.admin.make import House, browser, text_of
from tests.approvals.make import INSTALLER, make_house, make_person, make_request, refund

pytestmark = pytest.mark.django_db

TEXT = DEFAULT_DOCUMENT.read_text(encoding="utf-8")
LOOSER = TEXT.replace("refund_automatic: 25000", "refund_automatic: 40000")


@pytest.fixture
def rita() -> User:
    return make_person("rita", "risk owner")


@pytest.fixture
def rolf() -> User:
    return make_person("rolf", "risk owner")


def at(name: str, *args: Any) -> str:
    return reverse(f"admin:policies_policyversion_{name}", args=args)


def action_url(client: Client, version: PolicyVersion, name: str, reason: str = "agreed") -> str:
    """What the page says after the door was tried."""
    answer = client.post(at(name, version.pk), {"reason": reason}, follow=True)
    assert answer.status_code == 200
    return text_of(answer)


def draft_by(person: User, text: str = LOOSER) -> PolicyVersion:
    return versions.draft_version(text, author=person, reason="small refunds faster")


def replayed(version: PolicyVersion, person: User) -> Backtest:
    order = backtests.request_backtest(version.pk, actor=Actor.human(person))
    backtests.run_backtest(order.pk)
    return Backtest.objects.get(pk=order.pk)


def test_a_risk_owner_writes_replays_proposes_and_another_publishes(
    house: House, rita: User, rolf: User, sandbox: object
) -> None:
    make_request(house.agent, refund("ch_1021", "300.00"))
    hers, his = browser(rita), browser(rolf)

    page = text_of(hers.get(at("add")))
    assert "A small refund to a known customer" in page
    answer = hers.post(at("add"), {"document": LOOSER.replace("\n", "\r\n"), "reason": "faster"})
    version = PolicyVersion.objects.get(status="draft")
    assert answer.headers["Location"] == at("change", version.pk)
    assert version.document == LOOSER

    page = text_of(hers.get(at("change", version.pk)))
    assert "Replay it first" in page
    assert "not replayed over past requests yet" in action_url(hers, version, "propose")
    action_url(hers, version, "replay")
    order = Backtest.objects.get()
    assert "data-progress" in text_of(hers.get(at("change", version.pk)))
    backtests.run_backtest(order.pk)
    page = text_of(hers.get(at("change", version.pk)))
    assert "Of 1 past request 1 would have gone through automatically, 300.00 EUR in all" in page

    action_url(hers, version, "propose")
    assert "You wrote in this version; somebody else publishes it." in action_url(
        hers, version, "publish"
    )
    page = text_of(hers.get(at("change", version.pk)))
    assert "You wrote in this version; somebody else publishes it." in page
    assert at("publish", version.pk) not in page
    assert f"Publish {version.label}" in text_of(his.get(at("change", version.pk)))
    assert f"{version.label} is in force." in action_url(his, version, "publish")

    version.refresh_from_db()
    assert (version.status, version.publisher) == ("published", rolf)


def test_every_problem_is_shown_at_its_line_and_the_text_is_kept(house: House, rita: User) -> None:
    text = TEXT.replace("reason:", "raeson:", 1).replace("customer.known\n", "custommer.known\n", 1)
    line = text[: text.index("raeson:")].count("\n") + 1

    answer = browser(rita).post(at("add"), {"document": text, "reason": "x"})

    page = text_of(answer)
    assert answer.status_code == 422
    assert re.search(
        rf"Line {line}, column \d+</a> <span class=\"cs-mono\">\(rules\[0\]\.raeson\)", page
    )
    assert page.count("Did you mean") >= 2
    assert "    raeson: Refunds above " in page
    assert re.search(r"\n {4}\^", page)
    assert "- custommer.known" in page
    assert PolicyVersion.objects.count() == 1


def test_checking_says_what_would_change_and_keeps_nothing(house: House, rita: User) -> None:
    answer = browser(rita).post(at("add"), {"document": LOOSER, "reason": "", "_check": "1"})

    page = text_of(answer)
    assert "Checked, not saved" in page
    assert "refund_automatic" in page
    assert PolicyVersion.objects.count() == 1


def test_what_nobody_can_meet_is_refused_and_the_text_is_kept(house: House, rita: User) -> None:
    text = TEXT.replace("{group: manager, within_limit: true}", "{group: manager, quorum: 9}", 1)

    answer = browser(rita).post(at("add"), {"document": text, "reason": "x"})

    assert answer.status_code == 422
    assert "nobody can meet" in text_of(answer)
    assert "quorum: 9" in text_of(answer)
    assert PolicyVersion.objects.count() == 1


def test_a_draft_is_edited_by_a_colleague_who_then_may_not_publish_it(
    house: House, rita: User, rolf: User
) -> None:
    version, his = draft_by(rita), browser(rolf)
    form = {"document": LOOSER + "# checked\n", "reason": "a note", "seen": version.digest}

    his.post(at("edit", version.pk), form)
    stale = browser(rita).post(at("edit", version.pk), form | {"document": LOOSER + "# mine\n"})
    replayed(version, rita)
    action_url(browser(rita), version, "propose")

    assert "Somebody saved another text meanwhile" in text_of(stale)
    assert "# mine" in text_of(stale)
    assert "You wrote in this version" in action_url(his, version, "publish")
    page = text_of(his.get(at("change", version.pk)))
    assert "a note" in page
    assert "+# checked" in page


def test_sending_back_discarding_and_rolling_back(house: House, rita: User, rolf: User) -> None:
    version, his = draft_by(rita), browser(rolf)
    replayed(version, rita)
    drafts.request_publication(version.pk, actor=Actor.human(rita), reason="x")

    assert "is a draft again" in action_url(his, version, "send_back", "the limit is wrong")
    assert "is discarded" in action_url(his, version, "discard", "a bad idea")
    first = PolicyVersion.objects.get(status="published")
    second = draft_by(rita)
    replayed(second, rita)
    drafts.request_publication(second.pk, actor=Actor.human(rita), reason="x")
    versions.publish_version(second.pk, publisher=rolf, reason="x")

    page = action_url(his, first, "roll_back", "too many refunds")

    again = PolicyVersion.objects.get(status="proposed")
    assert again.document == first.document
    assert f"back to {first.label}" in page
    assert "You wrote in this version; somebody else publishes it." in page


def test_the_shadow_is_switched_on_and_off_and_shows_its_days(
    house: House, rita: User, sandbox: object
) -> None:
    version, hers = draft_by(rita), browser(rita)

    assert "runs in the shadow" in action_url(hers, version, "start_shadow", "a week first")
    page = text_of(hers.get(at("shadow", version.pk)))
    assert "Requests it answered differently" in page
    assert "no longer runs in the shadow" in action_url(hers, version, "end_shadow", "seen enough")


def test_flips_are_filtered_and_taken_along_without_formulas(
    house: House, rita: User, sandbox: object
) -> None:
    make_request(house.agent, refund("ch_1021", "300.00"))
    make_request(house.agent, refund("ch_1022", "260.00"))
    order = replayed(draft_by(rita), rita)
    order.flips.update(agent="=HYPERLINK(1)")
    hers = browser(rita)
    page = reverse("admin:policies_backtest_change", args=[order.pk])
    table = reverse("admin:policies_backtest_csv", args=[order.pk])

    assert "300.00 EUR" in text_of(hers.get(page))
    assert "None." in text_of(hers.get(page, {"direction": "stricter"}))
    answer = hers.get(table, {"direction": "looser"})
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]

    assert len(lines) == 3
    assert lines[0].startswith("request,evaluated at,action type,agent")
    assert all(",'=HYPERLINK(1)," in line for line in lines[1:])
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"


def test_progress_is_read_and_never_posted(house: House, rita: User) -> None:
    version = draft_by(rita)
    order = backtests.request_backtest(version.pk, actor=Actor.human(rita))
    address = reverse("admin:policies_backtest_progress", args=[order.pk])

    assert browser(rita).get(address).json() == {
        "status": "waiting", "total": 0, "done": 0, "percent": 0,
    }  # fmt: skip
    assert browser(rita).post(address).status_code == 405
    assert browser(house.fred).get(address).status_code in {403, 404}


def test_links_to_records_are_for_those_who_may_open_them(
    house: House, rita: User, sandbox: object
) -> None:
    request = make_request(house.agent, refund("ch_1021", "300.00"))
    order = replayed(draft_by(rita), rita)
    page = reverse("admin:policies_backtest_change", args=[order.pk])
    record = reverse("admin:approvals_actionrequest_change", args=[request.pk])

    assert record in text_of(browser(make_person("audrey", "auditor")).get(page))
    assert record not in text_of(browser(rita).get(page))
    assert str(request.pk)[:13] in text_of(browser(rita).get(page))


def test_what_rules_may_ask_comes_from_the_facts_themselves(house: House, rita: User) -> None:
    from policies.facts import declared

    page = text_of(browser(rita).get(at("vocabulary")))

    assert all(f">{name}</code>" in page for name in declared())
    assert "on: [crm.update]" in page
    for field in ("params.record", "params.fields.stage", "before.stage", "after.stage"):
        assert f">{field}</code>" in page, field
    assert "text, may be missing" in page


@pytest.mark.parametrize("role", ["auditor", "manager", "agent owner", ""])
def test_nobody_else_gets_through_any_door(house: House, rita: User, role: str) -> None:
    villain = make_person("villain", *([role] if role else []))
    User.objects.filter(pk=villain.pk).update(is_superuser=not role)
    version, client = draft_by(rita), browser(villain)
    before = PolicyVersion.objects.get(pk=version.pk)

    for name in ("replay", "propose", "publish", "send_back", "discard", "roll_back",
                 "start_shadow", "end_shadow", "edit"):  # fmt: skip
        assert client.get(at(name, version.pk)).status_code in {403, 404, 405}, name
        answer = client.post(at(name, version.pk), {"reason": "x", "document": TEXT})
        assert answer.status_code in {403, 404}, name
    assert client.post(at("add"), {"document": TEXT, "reason": "x"}).status_code == 403

    now = PolicyVersion.objects.get(pk=version.pk)
    assert (now.status, now.audit_seq, now.document) == ("draft", before.audit_seq, LOOSER)
    assert not Backtest.objects.exists()


def test_doors_need_their_token(house: House, rita: User) -> None:
    version = draft_by(rita)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(rita)

    assert strict.post(at("discard", version.pk), {"reason": "x"}).status_code == 403
    assert PolicyVersion.objects.get(pk=version.pk).status == "draft"


def test_the_one_in_force_is_on_top_of_the_list(house: House, rita: User) -> None:
    version = draft_by(rita)
    current = PolicyVersion.objects.get(status="published")

    page = text_of(browser(rita).get(at("changelist")))

    assert page.index(f">{current.label}<") < page.index(f">{version.label}<")
    assert "New draft from the version in force" in page


def test_security_finds_the_floor_in_the_editor_and_others_read_it() -> None:
    make_house()
    floor = install_default_floor(actor=INSTALLER)
    assert floor is not None
    sara, rita = make_person("sara", "security"), make_person("rita", "risk owner")
    add = at("add")
    shown = at("change", floor.pk)

    draft, ordinary = (
        text_of(browser(sara).get(f"{add}?floor")),
        text_of(browser(rita).get(add)),
    )
    page, read = text_of(browser(sara).get(shown)), text_of(browser(rita).get(shown))

    assert "kind: floor" in draft
    assert "kind: floor" not in ordinary
    assert "floor.domain-admins" in ordinary  # what no version can weaken
    assert "This is the floor" in page
    assert "New draft from it" in page
    assert "New draft from it" not in read


def test_security_drafts_a_floor_and_no_policy() -> None:
    make_house()
    install_default_floor(actor=INSTALLER)
    client = browser(make_person("sara", "security"))
    add = at("add")
    floor = DEFAULT_FLOOR.read_text() + "# ours\n"

    kept = client.post(add, {"document": floor, "reason": "ours", "_save": "1"})
    refused = client.post(add, {"document": TEXT, "reason": "ours", "_save": "1"})

    assert (kept.status_code, refused.status_code) == (302, 422)
    assert "Only a risk owner or an ops admin writes policy." in text_of(refused)
    draft = PolicyVersion.objects.get(status="draft")
    assert (draft.kind, draft.author.get_username()) == ("floor", "sara")
    assert client.get(at("edit", draft.pk)).status_code == 200
