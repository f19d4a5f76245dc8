"""A limit raised afterwards changes nothing about what was decided before."""

from __future__ import annotations

import pytest

from approvals.exceptions import NotAuthorised
from approvals.models import Decision
from approvals.services.execute import execute
from audit.actors import Actor
from policies.models import AuthorityChange
from policies.services.dual_control import agree
from policies.services.limits import set_limit
from tests.approvals.make import Cast, approve, fresh, make_request, manager_refund
from tests.approvals.story import codes, rows_of


def raise_for_mona(cast: Cast, minor: int) -> AuthorityChange:
    change = set_limit(
        actor=Actor.human(cast.ada), user_id=cast.mona.pk, action_type="*", currency="EUR",
        each_minor=minor, reason="more to do",
    )  # fmt: skip
    assert isinstance(change, AuthorityChange)
    return change


def test_a_decision_keeps_the_limit_it_was_made_on(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    before = rows_of(Decision)

    agree(raise_for_mona(cast, 5_000_00).pk, actor=Actor.human(cast.alan), reason="yes")

    assert rows_of(Decision) == before
    assert before[0]["limit_minor"] == 1_000_00
    execute(request.pk)
    assert fresh(request).state == "audited"


def test_what_only_waits_raises_nothing_and_a_refused_attempt_stays_refused(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund("1500.00"))
    change = raise_for_mona(cast, 5_000_00)

    with pytest.raises(NotAuthorised):
        approve(request, cast.mona)
    agree(change.pk, actor=Actor.human(cast.alan), reason="yes")

    assert fresh(request).state == "pending_approval"
    assert codes(request)[-1] == "decision.refused"


def test_a_limit_cut_at_once_sends_back_what_rested_on_it(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)

    set_limit(
        actor=Actor.human(cast.ada), user_id=cast.mona.pk, action_type="*", currency="EUR",
        each_minor=1, reason="cut",
    )  # fmt: skip
    execute(request.pk)

    assert fresh(request).state == "pending_approval"
