"""What the review page and the record say of a denial, a failure and a reopening."""

from __future__ import annotations

import re

import pytest

from approvals.choices import PauseScope
from approvals.domain.attempts import call
from approvals.models import ActionRequest
from approvals.services.execute import execute, settle
from approvals.services.pauses import pause
from audit.actors import Actor
from policies.models import User
from tests.admin.make import House, browser, page, text_of
from tests.approvals.executing import claimed
from tests.approvals.make import (
    DEFAULT_POLICY,
    approve,
    make_person,
    make_request,
    manager_refund,
    refund,
)
from tests.policies.make import put_in_force

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def publish(old: str, new: str) -> None:
    """Publish the default policy with that replacement, its tests left out."""
    text = DEFAULT_POLICY[: DEFAULT_POLICY.index("\ntests:\n")] + "\n"
    assert old in text
    author, publisher = make_person("rita", "ops admin"), make_person("ralf", "ops admin")
    put_in_force(text.replace(old, new, 1), author=author, publisher=publisher)


def words(html: str) -> str:
    """The text of it, a space for each tag."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def section(html: str, title: str) -> str:
    """The words of one section of the review page."""
    found = re.search(rf'aria-labelledby="{title}">(.*?)</section>', html, re.DOTALL)
    assert found
    return words(found[1])


def banner(html: str) -> str:
    """What the page says first of what went wrong; "" where it says nothing."""
    found = re.search(r"<(div|p) [^>]*data-cause>(.*?)</\1>", html, re.DOTALL)
    return words(found[2]) if found else ""


def record(user: User, request: ActionRequest) -> str:
    return text_of(browser(user).get(f"/admin/approvals/actionrequest/{request.pk}/change/"))


@pytest.fixture
def denied(house: House) -> ActionRequest:
    """A refund a manager approved and a newer policy denied before it ran."""
    request = make_request(house.agent, manager_refund())
    approve(request, house.mona)
    publish("refund_never: 2000000", "refund_never: 20000")
    execute(request.pk)
    return request


def test_a_denial_at_execution_is_named_and_why_people_were_asked_stays(
    house: House, denied: ActionRequest
) -> None:
    html = text_of(browser(house.mona).get(page(denied, "manager")))

    version = denied.policy_decisions.latest("id").policy_version
    assert banner(html).startswith(f"Denied. Policy {version.label} denied it before execution: ")
    assert "Refunds above 200.00 EUR" in banner(html)
    why = section(html, "why")
    reasons, _, later = why.partition("Policy was also asked")
    assert "Above 500.00 EUR a manager" in reasons
    assert "Refunds above 200.00 EUR" not in reasons
    assert "Before execution: deny version 1 of the request, policy" in later
    assert "Refunds above 200.00 EUR" in later


def test_the_record_names_the_decision_that_denied_it(house: House, denied: ActionRequest) -> None:
    html = record(make_person("ann", "auditor"), denied)

    version = denied.policy_decisions.latest("id").policy_version.label
    assert f"Policy {version} denied it before execution: " in banner(html)
    text = words(html)
    assert f"Policy&#x27;s verdict deny Policy version {version}" in text
    assert text.count("The request stands where it does because of this.") == 1
    card = text.partition("The request stands where it does because of this.")[0]
    assert card.rpartition("What policy said at")[2].startswith(" execution Verdict deny")


def test_what_was_sent_back_is_not_called_edited_and_says_why_first(
    house: House, request_: ActionRequest
) -> None:
    approve(request_, house.fred)
    pause(PauseScope.ALL, actor=Actor.human(house.mona), reason="odd numbers")

    execute(request_.pk)

    html = text_of(browser(house.fred).get(page(request_)))
    assert "sent back, version 2" in html
    assert "edited, version 2" not in html
    assert banner(html) == ""
    why = section(html, "why")
    assert why.startswith("Why it is here It was approved and goes back to people before execution")
    assert "When it was proposed: require approval version 1 of the request" in why


def test_a_request_that_waits_for_the_first_time_has_no_other_checks(
    house: House, request_: ActionRequest
) -> None:
    html = text_of(browser(house.fred).get(page(request_)))

    assert "Policy was also asked" not in html
    assert banner(html) == ""


def test_a_failure_says_in_words_what_stopped_it(house: House, request_: ActionRequest) -> None:
    approve(request_, house.fred)
    claim = claimed(request_)
    pause(PauseScope.ALL, actor=Actor.human(house.mona), reason="odd <b>numbers</b>")
    settle(claim, call(claim))

    html = text_of(browser(house.fred).get(page(request_)))

    said = "Nothing was sent. Everything is paused: odd &lt;b&gt;numbers&lt;/b&gt;"
    assert banner(html) == f"Failed. {said}"
    assert banner(record(make_person("ann", "auditor"), request_)) == said


def test_what_went_well_says_nothing_of_causes(house: House) -> None:
    request = make_request(house.agent, refund("ch_1037", "150.00"))
    approve(request, house.fred)

    execute(request.pk)

    html = text_of(browser(house.fred).get(page(request)))
    assert banner(html) == ""
    assert "The approval it had still held." in section(html, "why")
