"""From the proposal to the undo at a vendor's system, with its answers lost on the way."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from approvals.choices import State
from approvals.exceptions import NotReversible
from approvals.models import ActionRequest, Agent
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from approvals.services.undo import propose_undo
from connectors.sandbox.server import Sandbox
from policies.models import User
from policies.services.ownership import OwnerRow, set_owners
from tests.approvals.conftest import begins_with, cast
from tests.approvals.executing import taken_over
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    fresh,
    make_agent,
    make_person,
    make_request,
    make_team,
    publish,
)
from tests.vendors.catalogue import VENDORS
from tests.vendors.conftest import Starter
from tests.vendors.double import Vendor

__all__ = ["begins_with", "cast"]

RULES = """
  - id: issue
    owner: head of engineering
    reason: Where work stands is looked at by whoever answers for it.
    on: [issue.transition]
    when:
      - params.issue != ""
    effect: require_approval
    requirements:
      - {group: "owner:service"}
  - id: machine
"""


@pytest.fixture
def jira(sandbox: Sandbox, settings: Settings, vendor_at: Starter) -> Vendor:
    running = vendor_at(VENDORS["jira"])
    settings.SYSTEMS = ("jira",)
    here = {"base_url": running.url, "token": running.system.credential}
    settings.CONNECTORS = {**settings.CONNECTORS, "jira": here}
    return running.system


@pytest.fixture
def dina(jira: Vendor, cast: Cast) -> User:
    found = make_person("dina")
    make_team("developers", found)
    owned = OwnerRow("jira", "issue *", "service", team="developers")
    set_owners([owned], actor=INSTALLER, reason="test")
    return found


@pytest.fixture
def agent(jira: Vendor, cast: Cast) -> Agent:
    tier = '"order.correct", "shipment.reroute"'
    publish(cast, ("\n  - id: machine\n", RULES), (tier, f'{tier}, "issue.transition"'))
    return make_agent(cast.owner, "dev-bot", action_types=["issue.transition"])


def move(agent: Agent) -> ActionRequest:
    params = {"issue": "SHOP-42", "status": "Done"}
    return make_request(agent, params, action_type="issue.transition")


def test_a_reviewer_reads_what_the_issue_is_about(jira: Vendor, dina: User, agent: Agent) -> None:
    request = move(agent)

    assert request.effect == 'Move issue SHOP-42 to the status "Done".'
    titles = request.evidence.values_list("title", flat=True)
    assert 'SHOP-42: "Lamp arrived broken"' in titles
    assert jira.writes == 0


def test_an_issue_is_moved_once_read_back_and_moved_back_on_request(
    jira: Vendor, dina: User, agent: Agent
) -> None:
    request = move(agent)
    approve(request, dina)
    execute(request.pk)
    sweep()
    assert fresh(request).state == State.AUDITED

    undo = propose_undo(request.pk).request
    approve(undo, dina)
    execute(undo.pk)

    assert fresh(request).state == State.COMPENSATED
    assert (len(jira.applied), jira.writes) == (2, 2)
    assert jira.object("issue", "SHOP-42")["status"] == "In Progress"


def test_a_lost_answer_is_found_by_its_property_and_never_sent_again(
    jira: Vendor, dina: User, agent: Agent
) -> None:
    request = move(agent)
    approve(request, dina)
    jira.plan("apply_then_reset")

    execute(request.pk)
    taken_over(request)
    sweep()

    assert fresh(request).state == State.AUDITED
    assert (len(jira.applied), jira.writes) == (1, 1)
    # nobody knows any more what it replaced, and no undo pretends to
    with pytest.raises(NotReversible, match="did not tell the earlier state"):
        propose_undo(request.pk)


def test_an_issue_somebody_moved_meanwhile_is_sent_back(
    jira: Vendor, dina: User, agent: Agent
) -> None:
    request = move(agent)
    approve(request, dina)
    jira.change("issue", "SHOP-42", status="To Do")  # from there no way leads to "Done"

    execute(request.pk)

    assert fresh(request).state == State.PENDING_APPROVAL
    assert jira.writes == 0
