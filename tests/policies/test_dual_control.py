"""Raising authority takes two people: whoever asks, and somebody else who agrees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F

from approvals.services.sweep import sweep
from audit.actors import Actor, ActorKind
from audit.models import AuditEvent
from policies.exceptions import PolicyError
from policies.models import ApprovalLimit, AuthorityChange, User
from policies.services.dual_control import agree, carries_out, propose_change, refuse, withdraw
from policies.services.limits import remove_limit, set_limit
from policies.services.people import deactivate
from tests.database import triggers_off
from tests.policies.make import SYSTEM, codes, make_user

pytestmark = pytest.mark.django_db


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(PolicyError) as refused:
        call()
    assert refused.value.message.endswith(".")
    return refused.value.code


def ops(name: str, *roles: str, person: str = "") -> Actor:
    return Actor.human(make_user(name, "ops admin", *roles, person=person))


def person(actor: Actor) -> User:
    return User.objects.get(pk=actor.id)


def raise_limit(actor: Actor, user: User, minor: int = 50_000, **terms: object) -> AuthorityChange:
    given: dict[str, object] = {
        "action_type": "*", "currency": "EUR", "each_minor": minor, "reason": "more to do",
    }  # fmt: skip
    change = set_limit(actor=actor, user_id=user.pk, **(given | terms))  # type: ignore[arg-type]
    assert isinstance(change, AuthorityChange)
    return change


def let_a_week_pass(change: AuthorityChange) -> None:
    with triggers_off():
        AuthorityChange.objects.filter(pk=change.pk).update(
            lapses_at=F("lapses_at") - timedelta(days=8)
        )


# --- Agreeing


def test_a_raised_limit_holds_once_a_second_person_agrees() -> None:
    olga, paul, fred = ops("olga"), ops("paul"), make_user("fred", "finance")

    change = raise_limit(olga, fred)
    assert not ApprovalLimit.objects.exists()
    assert change.summary == (
        "Set the limit of fred for every action to 500.00 EUR each, no daily sum; "
        "no limit allows any of it now."
    )
    agree(change.pk, actor=paul, reason="he took over the team")

    limit = ApprovalLimit.objects.get()
    assert (limit.user, limit.each_minor) == (fred, 50_000)
    assert codes(change) == ["authority.proposed", "authority.agreed"]
    assert codes(limit) == ["limit.set"]
    event = AuditEvent.objects.get(code="limit.set")
    assert event.actor_name == "paul"
    assert '"proposed_by":"olga"' in event.data


def test_neither_the_proposer_nor_whom_it_benefits_agrees_under_any_name() -> None:
    olga, fred = ops("olga"), make_user("fred", "finance")
    change = raise_limit(olga, fred)
    villains = {
        "own_change": (olga, ops("olga-2", person="olga")),
        "own_benefit": (ops("fred-2", person="fred"),),
        "not_ops_admin": (
            Actor.human(fred),
            Actor.human(make_user("mona", "manager")),
            Actor.human(make_user("aud", "auditor")),
            Actor.human(make_user("root", is_superuser=True)),
            Actor(ActorKind.AGENT, "1", "clever agent"),
        ),
        "needs_person": (SYSTEM,),
    }

    for code, actors in villains.items():
        for villain in actors:
            assert refusal(lambda v=villain: agree(change.pk, actor=v, reason="yes")) == code  # type: ignore[misc]

    assert AuthorityChange.objects.get().status == "waiting"
    assert not ApprovalLimit.objects.exists()
    assert codes(change) == ["authority.proposed"]


def test_a_member_of_the_role_does_not_agree_to_the_roles_limit() -> None:
    olga, otto = ops("olga"), ops("otto", "finance")
    change = set_limit(
        actor=olga, role="finance", action_type="*", currency="EUR", each_minor=1, reason="x"
    )

    assert refusal(lambda: agree(change.pk, actor=otto, reason="yes")) == "own_limit"
    assert AuthorityChange.objects.get().status == "waiting"


def test_what_lapsed_is_agreed_to_by_nobody_and_swept_once() -> None:
    olga, paul, fred = ops("olga"), ops("paul"), make_user("fred", "finance")
    change = raise_limit(olga, fred)
    let_a_week_pass(change)

    assert refusal(lambda: agree(change.pk, actor=paul, reason="late")) == "change_lapsed"
    sweep()
    sweep()

    assert AuthorityChange.objects.get().status == "lapsed"
    assert codes(change) == ["authority.proposed", "authority.lapsed"]
    assert refusal(lambda: agree(change.pk, actor=paul, reason="late")) == "change_over"


@pytest.mark.parametrize("ending", [refuse, withdraw])
def test_what_was_refused_or_withdrawn_stays_undone(ending: Callable[..., object]) -> None:
    olga, paul, fred = ops("olga"), ops("paul"), make_user("fred", "finance")
    change = raise_limit(olga, fred)
    who, other = (paul, olga) if ending is refuse else (olga, paul)

    assert refusal(lambda: ending(change.pk, actor=other, reason="x")) in {
        "own_change", "not_own_change",
    }  # fmt: skip
    ending(change.pk, actor=who, reason="not now")

    assert refusal(lambda: agree(change.pk, actor=paul, reason="yes")) == "change_over"
    assert not ApprovalLimit.objects.exists()


def test_a_proposer_who_left_takes_the_proposal_along() -> None:
    olga, paul, fred = ops("olga"), ops("paul"), make_user("fred", "finance")
    change = raise_limit(olga, fred)
    deactivate(int(olga.id), actor=paul, reason="left")

    assert refusal(lambda: agree(change.pk, actor=paul, reason="yes")) == "proposer_gone"
    assert not ApprovalLimit.objects.exists()


def test_it_is_judged_again_when_it_is_agreed_to() -> None:
    olga, paul, fred = ops("olga"), ops("paul"), make_user("fred", "finance")
    set_limit(
        actor=SYSTEM, user_id=fred.pk, action_type="*", currency="EUR", each_minor=100, reason="x"
    )
    change = raise_limit(olga, fred)
    set_limit(
        actor=paul, user_id=fred.pk, action_type="*", currency="EUR", each_minor=1, reason="cut"
    )

    assert refusal(lambda: agree(change.pk, actor=paul, reason="yes")) == "limit_moved"
    assert ApprovalLimit.objects.get().each_minor == 1
    assert AuthorityChange.objects.get().status == "waiting"


def test_the_same_change_is_not_proposed_twice_and_unknown_kinds_raise() -> None:
    olga, fred = ops("olga"), make_user("fred", "finance")
    raise_limit(olga, fred)

    assert refusal(lambda: raise_limit(ops("paul"), fred, reason="other words")) == (
        "already_waiting"
    )
    with pytest.raises(KeyError):
        propose_change("king.crown", {}, actor=olga, summary="Crown.", reason="why not")
    with pytest.raises(ValueError, match="Two services"):
        carries_out("limit.set")(lambda payload, /, *, proposer, actor: None)


# --- What raises a limit, and what does not


@pytest.mark.parametrize(
    ("each", "day", "waits"),
    [
        (100, 200, False), (99, 200, False), (100, 100, False), (50, 60, False),
        (101, 200, True), (100, 201, True), (100, None, True), (1, None, True), (1, 201, True),
    ],
)  # fmt: skip
def test_lower_at_once_higher_by_two(each: int, day: int | None, waits: bool) -> None:
    olga, fred = ops("olga"), make_user("fred", "finance")
    terms = {"user_id": fred.pk, "action_type": "*", "currency": "EUR", "reason": "x"}
    set_limit(actor=SYSTEM, each_minor=100, per_day_minor=200, **terms)  # type: ignore[arg-type]

    changed = set_limit(actor=olga, each_minor=each, per_day_minor=day, **terms)  # type: ignore[arg-type]

    assert isinstance(changed, AuthorityChange) is waits
    limit = ApprovalLimit.objects.get()
    assert (limit.each_minor, limit.per_day_minor) == ((100, 200) if waits else (each, day))


def test_removing_a_small_limit_over_a_larger_one_takes_two() -> None:
    olga, paul, fred = ops("olga"), ops("paul"), make_user("fred", "finance")
    common = {"currency": "EUR", "reason": "x", "actor": SYSTEM}
    own = set_limit(user_id=fred.pk, action_type="refund.*", each_minor=100, **common)  # type: ignore[arg-type]
    set_limit(role="finance", action_type="*", each_minor=90_000, **common)  # type: ignore[arg-type]

    change = remove_limit(own.pk, actor=olga, reason="tidy")

    assert isinstance(change, AuthorityChange)
    assert "900.00 EUR each" in change.summary
    assert ApprovalLimit.objects.get(pk=own.pk).valid
    agree(change.pk, actor=paul, reason="yes")
    assert not ApprovalLimit.objects.get(pk=own.pk).valid


def test_removing_the_only_limit_is_done_at_once() -> None:
    olga, fred = ops("olga"), make_user("fred", "finance")
    own = set_limit(
        actor=SYSTEM, user_id=fred.pk, action_type="*", currency="EUR", each_minor=1, reason="x"
    )

    remove_limit(own.pk, actor=olga, reason="left the team")

    assert not ApprovalLimit.objects.get().valid
