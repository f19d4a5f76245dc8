"""One delegator's day, spent by several people at once: it is spent once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.exceptions import NotAuthorised
from approvals.models import Decision
from audit.actors import Actor
from audit.lib import db_clock
from policies.models import User
from policies.services import delegations
from policies.services.dual_control import agree
from tests.approvals.make import Cast, fresh, make_limit, make_person, make_request, manager_refund
from tests.database import triggers_off
from tests.races.make import at_once, losers
from tests.races.rounds import ROUNDS, approving, the_trail_is_whole_after_every_race

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
__all__ = ["the_trail_is_whole_after_every_race"]


def propose_delegation(cast: Cast, lender: User, *delegates: User) -> None:
    at = db_clock.now()
    for delegate in delegates:
        change = delegations.propose_delegation(
            lender=lender,
            delegate_id=delegate.pk,
            starts_at=at,
            ends_at=at + timedelta(days=1),
            reason="holiday",
            actor=Actor.human(lender),
        )
        agree(change.pk, actor=Actor.human(cast.ada), reason="holiday")


def test_two_delegates_do_not_spend_the_lenders_day_twice(cast: Cast) -> None:
    susi, sam = make_person("susi", "support"), make_person("sam", "support")
    propose_delegation(cast, cast.mona, susi, sam)
    for number in ROUNDS:
        spent = sum(d.amount_minor or 0 for d in Decision.objects.all())
        make_limit(cast.mona, "1000.00", per_day=f"{spent // 100 + 1000}.00")
        first, second = (
            make_request(cast.agent, manager_refund(f"{amount}.00")) for amount in (600, 601)
        )
        other = cast.mona if number % 2 else sam  # the delegator against a delegate, or two of them

        results = at_once(approving(first, susi), approving(second, other))

        (loser,) = losers(results)
        assert isinstance(loser, NotAuthorised)
        assert loser.code.endswith("over_daily_limit")
        assert sorted([fresh(first).state, fresh(second).state]) == [
            "approved",
            "pending_approval",
        ]


def test_lender_and_delegate_count_once_on_one_request(cast: Cast) -> None:
    susi = make_person("susi", "support")
    propose_delegation(cast, cast.mona, susi)
    for _ in ROUNDS:
        request = make_request(cast.agent, manager_refund())
        with triggers_off():
            request.requirements.update(quorum=2)

        results = at_once(approving(request, susi), approving(request, cast.mona))

        assert len(losers(results)) == 1
        assert fresh(request).state == "pending_approval"
        assert request.decisions.count() == 1
