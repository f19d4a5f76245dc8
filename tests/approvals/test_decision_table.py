"""A sample of the decision table on real rows, with every value of every column in it."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from django.db import transaction

from approvals.choices import DecisionVerdict
from approvals.exceptions import NotAuthorised
from approvals.models import ActionRequest, Decision, RequestContent, Requirement, ShownContent
from approvals.selectors.authority import authorise
from audit.lib import db_clock
from policies.models import ApprovalLimit, Delegation, PolicyEdit, User
from tests.approvals.make import Cast, fresh, make_limit, make_person, make_request, manager_refund
from tests.database import triggers_off
from tests.policies.decision_table import CAPPED, LIMIT, Row, may, rows
from tests.trials import trials

HOUR = timedelta(hours=1)
SAMPLE = trials(240, least=60)


def sample() -> list[Row]:
    """Half of them yes, half no; the same ones every time."""
    draw = Random(20261120)  # noqa: S311 - not a secret
    table = list(rows())
    yes = draw.sample([row for row in table if may(row)], SAMPLE // 2)
    return yes + draw.sample([row for row in table if not may(row)], SAMPLE // 2)


def found(request: ActionRequest, row: Row) -> bool:
    """Make the row true in the database, ask, and leave no trace."""
    with transaction.atomic():
        alice = arrange(request, row)
        try:
            _, authority = authorise(alice, fresh(request), needs_limit=True, at=db_clock.now())
        except NotAuthorised:
            answer = False
        else:
            answer = True
            assert authority.group == "manager"
            assert bool(authority.on_behalf_of) == (authority.delegation_id is not None)
        transaction.set_rollback(True)
    return answer


def arrange(request: ActionRequest, row: Row) -> User:
    alice = make_person("alice", *row.groups)
    make_limit(alice, f"{LIMIT // 100}.00")
    User.objects.filter(pk=alice.pk).update(is_active=row.active, is_superuser=row.superuser)
    lender = make_person("lena", "manager")
    over = row.delegation == "delegator over limit"
    make_limit(lender, "0.01" if over else f"{LIMIT // 100}.00")
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(
            risk_tier=row.tier,
            amount_minor=row.minor,
            currency="EUR" if row.minor is not None else "",
        )
    relate(request, row.relation, alice, lender)
    if row.delegation != "none":
        at = db_clock.now()
        expired, capped = row.delegation == "expired", row.delegation == "capped below"
        Delegation.objects.create(
            lender=lender,
            delegate=alice,
            action_type="vendor.*" if row.delegation == "wrong scope" else "*",
            cap_minor=CAPPED if capped else None,
            cap_currency="EUR" if capped else "",
            starts_at=at - 2 * HOUR,
            ends_at=at - HOUR if expired else at + HOUR,
            revoked_at=at if row.delegation == "revoked" else None,
            reason="test",
            created_at=at,
        )
    return alice


def relate(request: ActionRequest, relation: str, alice: User, lender: User) -> None:
    requests = ActionRequest.objects.filter(pk=request.pk)
    match relation:
        case "owner" | "delegator involved":
            with triggers_off():
                type(request.agent).objects.filter(pk=request.agent_id).update(
                    owner=alice if relation == "owner" else lender
                )
        case "subject":
            with triggers_off():
                requests.update(on_behalf_of="ALICE@retailer.example")
        case "requester":
            with triggers_off():
                requests.update(requested_by=alice)
        case "editor":
            content = RequestContent.objects.get(request=request)
            content.pk, content.version, content.edited_by = None, 2, alice
            content._state.adding = True
            with triggers_off():
                content.save()
        case "policy author":
            evaluated = request.policy_decisions.latest("id").policy_version
            assert evaluated is not None
            PolicyEdit.objects.create(
                version=evaluated,
                editor=alice,
                digest="-",
                document="-",
                reason="-",
                at=db_clock.now(),
            )
        case "already decided":
            decided(request, alice)


def decided(request: ActionRequest, alice: User) -> None:
    at = db_clock.now()
    shown = ShownContent.objects.create(digest="0" * 64, body="{}", created_at=at)
    Decision.objects.create(
        request=request,
        version=request.version,
        requirement=None,
        decider=alice,
        person=alice.person,
        group="manager",
        verdict=DecisionVerdict.REJECT,
        digest=request.digest,
        shown=shown,
        nonce="used",
        opened_at=at,
        created_at=at,
    )


@pytest.fixture
def request_of_tier_three(cast: Cast) -> ActionRequest:
    request = make_request(cast.agent, manager_refund())
    assert list(Requirement.objects.values_list("group", "within_limit")) == [("manager", True)]
    with triggers_off():
        ApprovalLimit.objects.filter(group__isnull=False).update(valid=False)
    return request


def test_the_database_agrees_on_a_sample(request_of_tier_three: ActionRequest) -> None:
    table = sample()

    wrong = [row for row in table if found(request_of_tier_three, row) != may(row)]

    assert wrong[:5] == []
    for column in ("tier", "amount", "role", "relation", "active", "superuser", "delegation"):
        values = {getattr(row, column) for row in table}
        assert values == {getattr(row, column) for row in rows()}, column
