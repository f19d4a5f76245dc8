"""Who counts for a requirement: its alternatives, its exclusions, its stages; on real rows."""

from __future__ import annotations

import pytest

from approvals.api.output import ActionOutput
from approvals.exceptions import NotAuthorised
from approvals.models import ActionRequest, Requirement
from approvals.models.decision import column_of
from approvals.selectors.authority import may_conclude
from approvals.selectors.inbox import TO_DECIDE, in_view, requests_of
from approvals.selectors.request_view import RequestView
from approvals.services.agent_replies import answer
from approvals.services.execute import execute
from audit.lib import db_clock
from connectors.sandbox.server import Sandbox
from policies.models import User
from policies.services import people
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    ask,
    fresh,
    make_access,
    make_crm,
    make_person,
)
from tests.approvals.story import codes, snapshot
from tests.database import triggers_off


def widen(request: ActionRequest, group: str, /, **columns: object) -> None:
    """Give one requirement what no policy of the tests says."""
    with triggers_off():
        assert Requirement.objects.filter(request=request, group=group).update(**columns) == 1


def refused(request: ActionRequest, user: User) -> str:
    before = snapshot(request)
    with pytest.raises(NotAuthorised) as refusal:
        approve(request, user)
    assert snapshot(request) == before
    return refusal.value.code


@pytest.fixture
def lea(cast: Cast) -> User:
    return make_person("lea", "legal")


def test_an_alternative_group_has_it_in_its_inbox_and_may_answer(cast: Cast, lea: User) -> None:
    request = make_crm(cast)
    assert refused(request, lea) == "not_in_group"
    widen(request, "operations", alternatives=column_of(["legal", "security"]))

    inbox = in_view(requests_of("legal"), "legal", TO_DECIDE, at=db_clock.now())
    assert list(inbox) == [request]
    assert refused(request, cast.fred) == "not_in_group"
    decision = approve(request, lea)

    assert (decision.group, fresh(request).state) == ("legal", "approved")
    assert RequestView(fresh(request)).requirements[0].given_by == ("lea",)


def test_what_an_alternative_said_holds_at_execution(
    cast: Cast, lea: User, sandbox: Sandbox
) -> None:
    request = make_crm(cast)
    widen(request, "operations", alternatives=column_of(["legal"]))
    approve(request, lea)
    people.change_roles(lea.pk, actor=INSTALLER, roles=["support"], reason="moved")

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert sandbox.effects("records") == []


def test_a_name_like_another_is_not_that_other(cast: Cast, lea: User) -> None:
    request = make_crm(cast)
    widen(request, "operations", alternatives="|paralegal|")

    assert not requests_of("legal").exists()
    assert refused(request, lea) == "not_in_group"


def test_members_of_an_excluded_group_do_not_count_under_any_account(cast: Cast) -> None:
    request = make_crm(cast)
    widen(request, "operations", excludes=column_of(["support"]))
    make_person("otto.two", "support", person="otto")

    assert refused(request, cast.otto) == "excluded"
    approve(request, cast.oona)

    assert fresh(request).state == "approved"


def test_whom_a_requirement_keeps_out_does_not_conclude_it_either(cast: Cast) -> None:
    request = make_crm(cast)
    widen(request, "operations", excludes=column_of(["support"]))
    make_person("otto.two", "support", person="otto")

    assert not may_conclude(cast.otto, fresh(request))
    assert may_conclude(cast.oona, fresh(request))


def test_whoever_joins_an_excluded_group_after_saying_yes_counts_no_more(
    cast: Cast, sandbox: Sandbox
) -> None:
    request = make_access(cast)
    widen(request, "operations", excludes=column_of(["support"]))
    approve(request, cast.otto)
    people.create_user(
        username="otto.two", roles=["support"], person="otto", actor=INSTALLER, password=None
    )

    approve(request, cast.sara)

    assert fresh(request).state == "pending_approval"
    assert [(n.group, n.met) for n in RequestView(fresh(request)).requirements] == [
        ("security", True),
        ("operations", False),
    ]
    approve(request, cast.oona)
    assert fresh(request).state == "approved"


def test_one_group_never_stands_in_for_two(cast: Cast) -> None:
    request = make_access(cast)
    widen(request, "security", alternatives=column_of(["operations"]))
    approve(request, cast.otto)

    assert refused(request, cast.oona) in {"one_group_twice", "nothing_open"}
    approve(request, cast.sara)

    assert fresh(request).state == "approved"


def test_a_later_stage_waits_for_the_earlier_one(cast: Cast) -> None:
    request = make_access(cast)
    widen(request, "operations", stage=2)

    assert refused(request, cast.otto) != ""
    approve(request, cast.sara)
    approve(request, cast.otto)

    assert fresh(request).state == "approved"


def test_the_same_group_may_be_asked_again_in_a_later_stage(cast: Cast) -> None:
    request = make_access(cast)
    widen(request, "security", group="operations", stage=2)

    approve(request, cast.otto)
    with pytest.raises(Exception, match="already"):
        approve(request, cast.otto)
    approve(request, cast.oona)

    assert fresh(request).state == "approved"


def test_a_new_version_asks_for_the_same(cast: Cast, lea: User) -> None:
    request = make_access(cast)
    columns = {"alternatives": "|legal|", "excludes": "|finance|support|"}
    widen(request, "operations", **columns)
    approve(request, cast.sara)
    ask(request, cast.otto)

    answer(request.pk, agent=cast.agent, body="It was order 7.")

    again = Requirement.objects.get(request=request, version=2, group="operations")
    assert (again.alternatives, again.excludes) == ("|legal|", "|finance|support|")
    approve(request, lea, cast.sara)
    assert fresh(request).state == "approved"


def test_agents_read_the_contract_fields_and_what_is_met(cast: Cast, lea: User) -> None:
    request = make_access(cast)
    widen(request, "operations", alternatives=column_of(["legal"]))
    approve(request, lea)

    told = {"quorum": 1, "stage": 1, "minimum": None, "escalated_to": None, "alarm": None}
    assert ActionOutput(RequestView(fresh(request))).data["requirements"] == [
        {"group": "security", "met": False, "alternatives": [], **told},
        {"group": "operations", "met": True, "alternatives": ["legal"], **told},
    ]
    assert "decision.recorded" in codes(request)
