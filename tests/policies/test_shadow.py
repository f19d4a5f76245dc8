"""Shadows: a draft watches what the policy in force decides, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.actors import Actor
from policies.evaluate import ENGINE, evaluate
from policies.facts import Facts
from policies.models import PolicyVersion, ShadowVerdict, User
from policies.services.shadow import (
    ShadowDay,
    divergence,
    forget_shadows,
    observe,
    start_shadow,
    stop_shadow,
)
from policies.services.versions import draft_version
from policies.verdicts import Evaluation, RuleTrace, Verdict
from tests.database import as_superuser, triggers_off
from tests.policies.make import make_deciders, make_document, make_facts, make_user
from tests.policies.shelf import LOOSER, STRICTER

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _unknown_shadows() -> Iterator[None]:
    forget_shadows()
    yield
    forget_shadows()


@pytest.fixture
def rita() -> User:
    make_deciders()
    return make_user("rita", "risk owner")


def shadowing(author: User, text: str = LOOSER) -> PolicyVersion:
    draft = draft_version(text, author=author, reason="try it")
    started = start_shadow(draft.pk, actor=Actor.human(author), reason="watch it")
    forget_shadows()
    return started


def facts_of(amount: int) -> Facts:
    return make_facts(action__type="refund.issue", action__amount=amount)


def evaluated(amount: int) -> Evaluation:
    """What SMALL, the policy in force, says."""
    return evaluate(make_document(), facts_of(amount), version="1")


def watch(amount: int, evaluation: Evaluation | None = None, **changes: Any) -> None:
    observe(
        **{
            "facts": facts_of(amount),
            "evaluation": evaluation or evaluated(amount),
            "subject_id": f"request-{amount}",
            "action_type": "refund.issue",
            "amount_base": amount,
            "at": timezone.now(),
            **changes,
        }
    )


def seen(version: PolicyVersion) -> list[tuple[str, str, str]]:
    rows = ShadowVerdict.objects.filter(version=version).order_by("id")
    return [(row.direction, row.active_verdict, row.shadow_verdict) for row in rows]


def test_every_request_is_put_to_every_shadow(rita: User) -> None:
    loose, strict = shadowing(rita), shadowing(rita, STRICTER)

    for amount in (10, 70, 200):
        watch(amount)

    assert seen(loose) == [
        ("same", "allow", "allow"),
        ("same", "allow", "allow"),
        ("looser", "require_approval", "allow"),
    ]
    assert seen(strict)[1] == ("stricter", "allow", "require_approval")
    row = ShadowVerdict.objects.filter(version=strict)[0]
    assert (row.subject_id, row.amount_base, row.digest) == ("request-200", 200, strict.digest)


def test_what_intake_laid_over_the_policy_is_laid_over_the_shadow(rita: User) -> None:
    version = shadowing(rita)
    unread = RuleTrace("target-unread", ENGINE, "x", Verdict.REQUIRE_APPROVAL, True, ())
    answer = evaluated(200)

    watch(200, Evaluation(**{**_fields(answer), "trace": (*answer.trace, unread)}))

    assert seen(version) == [("same", "require_approval", "require_approval")]


def _fields(answer: Evaluation) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in Evaluation.__slots__}


def test_nothing_is_asked_while_nothing_shadows(django_assert_num_queries: Any) -> None:
    watch(10)

    with django_assert_num_queries(0):
        watch(10)


def test_an_ended_shadow_sees_nothing_more(rita: User) -> None:
    version = shadowing(rita)
    watch(10)
    stop_shadow(version.pk, actor=Actor.human(rita), reason="enough")

    watch(11)

    assert len(seen(version)) == 1


def test_a_broken_shadow_never_disturbs_the_request(rita: User) -> None:
    version = shadowing(rita)

    with transaction.atomic():
        watch(10, at=None)  # the database refuses the row
        make_user("after", "finance")

    assert seen(version) == []
    assert User.objects.filter(username="after").exists()


def test_a_shadow_whose_document_was_changed_by_hand_sends_everything_to_people(
    rita: User,
) -> None:
    version = shadowing(rita, LOOSER + "# never compiled before\n")
    with triggers_off():
        PolicyVersion.objects.filter(pk=version.pk).update(document="rules: []")

    watch(10)

    assert seen(version) == [("stricter", "allow", "require_approval")]


def test_divergence_is_counted_by_day_in_one_query(
    rita: User, django_assert_num_queries: Any
) -> None:
    version = shadowing(rita)
    now = timezone.now()
    for amount, days in ((10, 2), (200, 2), (300, 2), (10, 0)):
        watch(amount, at=now - timedelta(days=days))
    watch(10, at=now - timedelta(days=40))

    with django_assert_num_queries(1):
        days = divergence(version, now - timedelta(days=30), until=now)

    today = timezone.localdate(now)
    assert days == (
        ShadowDay(today - timedelta(days=2), same=1, looser=2),
        ShadowDay(today - timedelta(days=1)),
        ShadowDay(today, same=1),
    )
    assert days[0].total == 3


def test_a_version_without_a_shadow_has_no_days(rita: User) -> None:
    version = draft_version(LOOSER, author=rita, reason="x")

    assert divergence(version, timezone.now(), until=timezone.now()) == ()


def test_what_a_shadow_said_stays(rita: User) -> None:
    version = shadowing(rita)
    watch(10)

    with (
        as_superuser(),
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
    ):
        ShadowVerdict.objects.update(direction="stricter")
    assert len(seen(version)) == 1
