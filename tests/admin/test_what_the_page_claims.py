"""The review page promises nothing that cannot happen, and rewrites nothing that did."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from approvals.choices import PauseScope
from approvals.models import ActionRequest, PolicyDecision
from approvals.services.execute import execute
from approvals.services.pauses import pause
from approvals.services.undo import propose_undo
from audit.lib.dates import format_moment
from tests.admin.make import House, action_url, browser, page, text_of
from tests.admin.review import send
from tests.approvals.agents_own import COMMAND
from tests.approvals.make import (
    INSTALLER,
    approve,
    crm,
    fresh,
    make_agent,
    make_person,
    make_request,
    refund,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def panel(text: str) -> str:
    """The part of the page where a person decides."""
    return text[text.index('id="decide"') :]


def test_what_the_target_would_refuse_has_no_approve_and_says_why_beside_the_decision(
    house: House,
) -> None:
    request = make_request(house.agent, refund("ch_1037", "300.00"))

    text = text_of(browser(house.fred).get(page(request)))

    assert "Only 192.99 EUR of charge ch_1037 is left to refund." in panel(text)
    assert action_url(request, "approve") not in text
    assert 'href="?instead=1#decide">Approve 192.99 EUR instead</a>' in text
    assert "Countersign then does exactly this" not in text


def test_what_the_agent_does_itself_is_never_said_to_be_read_or_done_by_us(
    house: House, settings: Settings
) -> None:
    settings.SYSTEMS = ("workstation",)  # and no rule about it: the highest tier
    coder = make_agent(house.olga, "coder", action_types=["command.run"])
    request = make_request(coder, COMMAND, action_type="command.run")

    text = text_of(browser(make_person("opal", "operations")).get(page(request, "operations")))

    assert "Carried out by the agent" in text
    assert "nothing was read, and nobody reads it back" in text
    assert "read by the system" not in text
    assert "data-look" not in text
    assert "Countersign then does exactly this" not in text


def test_the_smaller_amount_is_filled_in_and_becomes_the_next_version(house: House) -> None:
    request = make_request(house.agent, refund("ch_1037", "300.00"))
    client = browser(house.fred)

    text = text_of(client.get(page(request) + "?instead=1"))
    edit = text[text.index('data-answer="edit"') :]
    answer = send(
        client, request, "edit", reason_code="wrong_amount", comment="No more is left.",
        **{f"param-{k}": v for k, v in refund("ch_1037", "192.99").items()},
    )  # fmt: skip

    assert edit[: edit.index(">")].endswith(" open")
    assert 'name="param-amount" value="192.99"' in edit
    assert answer.status_code == 302
    edited = fresh(request)
    assert (edited.version, edited.amount_minor) == (2, 19299)


def test_a_smaller_amount_is_offered_only_where_there_is_one(
    house: House, request_: ActionRequest
) -> None:
    text = text_of(browser(house.fred).get(page(request_) + "?instead=1"))

    assert "instead</a>" not in text
    assert 'data-answer="edit" open' not in text


def test_a_decided_case_says_why_people_were_asked_whatever_was_checked_later(
    house: House, request_: ActionRequest
) -> None:
    approve(request_, house.fred)
    execute(request_.pk)
    checks = PolicyDecision.objects.filter(request=request_, purpose="execution")
    assert checks.exists()

    text = text_of(browser(house.fred).get(page(request_)))
    why = text[text.index('id="why"') :]
    why = why[: why.index("</section>")]

    assert "Why people were asked" in why
    assert "The customer complained in the last 90 days." in why[: why.index("Policy was also")]
    assert "Before execution" in why[why.index("Policy was also") :]


def test_nobody_is_offered_to_approve_what_is_paused(house: House, request_: ActionRequest) -> None:
    pause(PauseScope.ACTION_TYPE, "refund.issue", actor=INSTALLER, reason="odd numbers")
    boris = make_person("boris", "break-glass")

    text = text_of(browser(house.fred).get(page(request_)))
    alone = text_of(browser(boris).get(page(request_)))

    assert "Nobody approves or edits this until the pause is lifted" in text
    assert action_url(request_, "approve") not in text
    assert action_url(request_, "edit") not in text
    assert action_url(request_, "reject") in text
    assert action_url(request_, "ask") in text
    assert action_url(request_, "break_glass") not in alone


def test_one_pause_has_one_time_in_the_zone_of_whoever_reads_it(
    house: House, request_: ActionRequest
) -> None:
    made = pause(PauseScope.ALL, "", actor=INSTALLER, reason="odd numbers")
    client = browser(house.fred)

    client.cookies["countersign_zone"] = "Pacific/Auckland"
    text = text_of(client.get(page(request_)))

    with timezone.override(ZoneInfo("Pacific/Auckland")):
        there = format_moment(made.paused_at)
    here = format_moment(made.paused_at)
    assert there != here
    assert there in panel(text)
    assert there.rpartition(" ")[0] in text[: text.index('id="decide"')]
    assert here.rpartition(" ")[0] not in text


@pytest.mark.parametrize("villain", ["Not/AZone", "../../etc/passwd", "", "UTC\r\nSet-Cookie: x"])
def test_a_zone_that_is_none_is_passed_over(house: House, villain: str) -> None:
    client = browser(house.fred)
    client.cookies["countersign_zone"] = villain

    assert client.get("/admin/").status_code == 200


def test_an_undo_is_shown_as_who_asked_for_it_and_why(house: House) -> None:
    omar = make_person("omar", "operations", first_name="Omar", last_name="Ops")
    olive = make_person("olive", "operations")
    done = make_request(house.agent, crm(), action_type="crm.update")
    approve(done, omar)
    execute(done.pk)
    undo = propose_undo(done.pk, person=omar, reason="Wrong account.").request

    text = text_of(browser(olive).get(page(undo, "operations")))

    head = text[text.index('class="cs-head"') : text.index("</header>", text.index("cs-head"))]
    assert "Undo: " in head
    assert "Omar Ops" in head
    assert "Wrong account." in head
    assert "agent of" not in head
    assert "data-agent-region" not in text
    assert "Written by the agent" not in text


def test_an_edited_version_says_who_changed_what_when_and_why_word_by_word(house: House) -> None:
    susi = make_person("susi", "support", first_name="Susi", last_name="Support")
    sam = make_person("second", "support")
    mail = {"to": "customer1006@mail.example", "subject": "Your order", "body": "We will refund."}
    request = make_request(
        house.agent, mail, action_type="email.send", said={"confidence": 0.93}
    )  # fmt: skip
    assert "93%" in text_of(browser(sam).get(page(request, "support")))
    edited = {**mail, "body": "We will gladly look."}

    send(
        browser(susi), request, "edit", "support", reason_code="policy",
        comment="We promise nothing.", **{f"param-{k}": v for k, v in edited.items()},
    )  # fmt: skip
    text = text_of(browser(sam).get(page(request, "support")))

    assert fresh(request).version == 2
    main = text[text.index('class="cs-main"') :]
    assert main.index("data-edit") < main.index('id="why"')
    change = main[main.index("data-edit") : main.index("</section>")]
    assert "Susi Support changed this" in change
    assert "<q>We promise nothing.</q>" in change
    assert "We will <del>refund.</del><ins>gladly look.</ins>" in change
    assert "subject" not in change
    assert "93%" not in text
    assert "before people changed it" in text


def test_what_nobody_changed_shows_no_edit(house: House, request_: ActionRequest) -> None:
    assert "data-edit" not in text_of(browser(house.fred).get(page(request_)))
