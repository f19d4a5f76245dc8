"""People who delegate authority to each other, for tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from audit.actors import Actor
from audit.lib import db_clock
from policies.authority import Authority, Refusal
from policies.models import AuthorityChange, Delegation, User
from policies.services import delegations, limits
from policies.services.dual_control import agree
from policies.verdicts import RequirementSpec
from tests.policies.make import SYSTEM, make_case, make_user

MANAGERS = RequirementSpec("manager", within_limit=True)
DAY = timedelta(days=1)


def make_limit(user: User, each: int, *, day: int | None = None, currency: str = "EUR") -> None:
    limits.set_limit(
        actor=SYSTEM, action_type="refund.*", currency=currency, each_minor=each,
        per_day_minor=day, user_id=user.pk, reason="test",
    )  # fmt: skip


def ask(lender: User, delegate: User, **changes: Any) -> AuthorityChange:
    at = db_clock.now()
    values: dict[str, Any] = {
        "starts_at": at,
        "ends_at": at + 7 * DAY,
        "reason": "on holiday",
        "actor": Actor.human(lender),
        **changes,
    }
    return delegations.propose_delegation(lender=lender, delegate_id=delegate.pk, **values)


def make_delegation(lender: User, delegate: User, **changes: Any) -> Delegation:
    ada = User.objects.filter(username="ada").first() or make_user("ada", "ops admin")
    agree(ask(lender, delegate, **changes).pk, actor=Actor.human(ada), reason="seen")
    return Delegation.objects.latest("pk")


def code(answer: Authority | Refusal) -> str:
    return answer.code if isinstance(answer, Refusal) else "ok"


def now_case(minor: int | None = 10_000, **changes: Any) -> Any:
    return make_case(minor, at=db_clock.now(), **changes)
