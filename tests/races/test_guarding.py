"""Two people answer one change of authority, or one emergency, at the same moment: one wins."""

from __future__ import annotations

from functools import partial

import pytest

from approvals.exceptions import ApprovalError
from approvals.models import ActionRequest, BreakGlass
from approvals.services import break_glass as glass
from approvals.services import decide
from audit.actors import Actor
from connectors.sandbox.server import Sandbox
from policies.exceptions import PolicyError
from policies.models import ApprovalLimit, AuthorityChange, User
from policies.services.dual_control import agree, refuse, withdraw
from policies.services.limits import set_limit
from tests.approvals.make import Cast, fresh, look_at, make_person, make_proof
from tests.approvals.story import codes
from tests.approvals.test_break_glass import WHY
from tests.races.make import Call, at_once, losers
from tests.races.rounds import ROUNDS, crm_for, the_trail_is_whole_after_every_race

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

__all__ = ["the_trail_is_whole_after_every_race"]  # runs around every test here


def raised(cast: Cast, number: int) -> AuthorityChange:
    change = set_limit(
        actor=Actor.human(cast.ada), user_id=cast.otto.pk, action_type="*", currency="EUR",
        each_minor=100 + number, reason="more",
    )  # fmt: skip
    assert isinstance(change, AuthorityChange)
    return change


def one_won(results: list[object], change: AuthorityChange) -> str:
    """Says how it ended; everybody but one was told that it was over."""
    beaten = losers(results)
    assert len(beaten) == len(results) - 1
    assert {error.code for error in beaten if isinstance(error, PolicyError)} == {"change_over"}
    assert len(codes(change)) == 2
    return AuthorityChange.objects.get(pk=change.pk).status


def test_of_agreeing_refusing_and_withdrawing_one_wins(cast: Cast) -> None:
    alan = Actor.human(cast.alan)
    cato = Actor.human(make_person("cato", "ops admin"))
    for number in ROUNDS:
        change = raised(cast, number)
        before = ApprovalLimit.objects.filter(user=cast.otto).values_list("each_minor", flat=True)
        had = list(before)

        ended = one_won(
            at_once(
                partial(agree, change.pk, actor=alan, reason="yes"),
                partial(refuse, change.pk, actor=cato, reason="no"),
                partial(withdraw, change.pk, actor=Actor.human(cast.ada), reason="mine"),
            ),
            change,
        )

        now = list(before.all())
        assert (now == [100 + number]) is (ended == "agreed")
        assert ended == "agreed" or now == had


def test_of_many_who_agree_one_carries_it_out(cast: Cast) -> None:
    others = [Actor.human(make_person(f"ops{n}", "ops admin")) for n in range(3)]
    for number in ROUNDS:
        change = raised(cast, number)

        ended = one_won(
            at_once(*(partial(agree, change.pk, actor=one, reason="yes") for one in others)), change
        )

        assert ended == "agreed"
    limit = ApprovalLimit.objects.get(user=cast.otto)
    assert codes(limit) == ["limit.set"] * len(ROUNDS)


def breaking(request: ActionRequest, user: User) -> Call:
    """Use break-glass with a page opened and a password typed before the race."""
    return partial(
        glass.break_glass,
        request.pk,
        decider=user,
        reviewed=look_at(request, user),
        reason=WHY,
        proof=make_proof(user),
    )


def test_of_breaking_the_glass_and_saying_no_one_wins(cast: Cast, sandbox: Sandbox) -> None:
    bea = make_person("bea", "break-glass")
    for number in ROUNDS:
        request = crm_for(cast, number)
        reviewed = look_at(request, cast.otto)
        no = partial(
            decide.reject, request.pk, decider=cast.otto, reviewed=reviewed, reason_code="policy"
        )

        results = at_once(breaking(request, bea), no)

        assert [isinstance(error, ApprovalError) for error in losers(results)] == [True]
        broke = BreakGlass.objects.filter(request=request).count()
        ended = fresh(request).state
        assert (broke, ended) in {(1, "approved"), (0, "rejected")}


def test_of_many_who_break_it_one_does(cast: Cast, sandbox: Sandbox) -> None:
    people = [make_person(f"bea{n}", "break-glass") for n in range(3)]
    for number in ROUNDS:
        request = crm_for(cast, number)

        results = at_once(*(breaking(request, user) for user in people))

        assert len(losers(results)) == 2
        assert BreakGlass.objects.filter(request=request).count() == 1
        assert request.grants.count() == 1
