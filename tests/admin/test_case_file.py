"""A record begins with what came of the request and who decided, then tells it as one story."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from approvals.models import ActionRequest
from approvals.services.decide import approve, reject
from approvals.services.execute import execute
from audit.selectors import events_of
from policies.models import User
from tests.approvals.make import look_at, make_agent, make_house, make_limit, make_person, refund
from tests.approvals.make import make_request as propose

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def mona() -> User:
    make_house()
    person = make_person("mona", "manager")
    person.first_name, person.last_name = "Mona", "Berg"
    person.save(update_fields=["first_name", "last_name"])
    make_limit(person, "5000.00")
    return person


@pytest.fixture
def request_(mona: User) -> ActionRequest:
    owner = make_person("olga", "agent owner")
    return propose(make_agent(owner), refund("ch_1001", "800.00"), intent="The <b>lamp</b> broke.")


def page(request: ActionRequest, reader: str = "ada") -> str:
    client = Client()
    client.force_login(make_person(reader, "auditor"))
    answer = client.get(reverse("admin:approvals_actionrequest_change", args=[request.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def test_what_was_done_and_who_said_yes_stand_first(request_: ActionRequest, mona: User) -> None:
    approve(request_.pk, decider=mona, reviewed=look_at(request_, mona), reason_code="as_proposed")
    execute(request_.pk)

    html = page(request_)

    begins = html.index("Done, and read back as approved.")
    assert begins < html.index("Mona Berg approved it for manager, ") < html.index("What happened")
    receipt = request_.executions.get().receipt_reference
    assert f"Receipt {receipt}." in html


def test_the_story_is_told_in_order_with_names_and_what_machines_did_is_folded(
    request_: ActionRequest, mona: User
) -> None:
    approve(
        request_.pk,
        decider=mona,
        reviewed=look_at(request_, mona),
        reason_code="as_proposed",
        comment="I rang <i>them</i>.",
    )
    execute(request_.pk)

    html = page(request_)
    story = html[html.index("What happened") : html.index('id="proof"')]

    told = [
        "refund-bot proposed it: Refund 800.00 EUR",
        "In the agent's words: </span>The &lt;b&gt;lamp&lt;/b&gt; broke.",
        "Sent to manager.",
        "Mona Berg approved it for manager: Right as proposed.",
        "I rang &lt;i&gt;them&lt;/i&gt;.",
        "Approved: every requirement is met.",
        "Done: ",
        "Read back and equal to what was approved.",
        "Countersign closed the record.",
    ]
    places = [story.index(sentence) for sentence in told]
    assert places == sorted(places)
    assert "steps of the system" in story
    for event in events_of(request_):  # the proof has every one of them
        assert f"<code>{event.mac[:16]}</code>" in html[html.index('id="proof"') :]


def test_what_was_refused_says_so_and_has_no_receipt(request_: ActionRequest, mona: User) -> None:
    reject(
        request_.pk,
        decider=mona,
        reviewed=look_at(request_, mona),
        reason_code="wrong_amount",
        comment="Half of it.",
    )

    html = page(request_)

    assert "<strong>Rejected.</strong>" in html
    assert "Mona Berg rejected it for manager: Amount is wrong." in html
    assert "Receipt" not in html[: html.index("What happened")]


def test_the_trail_s_list_leads_to_the_record(request_: ActionRequest) -> None:
    client = Client()
    client.force_login(make_person("ada", "auditor"))

    html = client.get(reverse("admin:audit_auditevent_changelist")).content.decode()

    assert reverse("admin:approvals_actionrequest_change", args=[request_.pk]) in html
