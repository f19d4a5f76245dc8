"""Whoever used break-glass is reviewed: by somebody else, in a day, once, and never in silence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from approvals.exceptions import AlreadyDecided, NotAuthorised, ReasonRequired
from approvals.models import BreakGlass, Notice
from approvals.services import break_glass as glass
from approvals.services.sweep import sweep
from audit.lib import db_clock
from audit.selectors import describe
from policies.models import User
from tests.approvals.make import Cast, approve, make_access, make_person
from tests.approvals.story import codes, newest_event
from tests.approvals.test_break_glass import break_it, emergency_approver
from tests.database import as_superuser, triggers_off


def let_a_day_pass(broken: BreakGlass) -> None:
    with triggers_off():
        BreakGlass.objects.filter(pk=broken.pk).update(
            review_due_at=F("review_due_at") - timedelta(days=2)
        )


def broken_by(cast: Cast, user: User) -> BreakGlass:
    break_it(make_access(cast), user)
    return BreakGlass.objects.latest("pk")


def test_somebody_else_reviews_it_once(cast: Cast) -> None:
    broken = broken_by(cast, emergency_approver())

    glass.review(broken.pk, reviewer=cast.mona, was_justified=True, comment="It was down.")
    with pytest.raises(AlreadyDecided):
        glass.review(broken.pk, reviewer=cast.sara, was_justified=False, comment="No.")

    found = BreakGlass.objects.get()
    assert (found.reviewer, found.was_justified) == (cast.mona, True)
    assert codes(broken.request)[-1] == "glass.reviewed"


def test_the_breaker_the_involved_and_outsiders_do_not_review_it(cast: Cast) -> None:
    bea = emergency_approver("bea", "manager")
    request = make_access(cast)
    approve(request, cast.sara)
    break_it(request, bea)
    broken = BreakGlass.objects.get()
    villains = (
        bea, make_person("bea-2", "executive", person="bea"), cast.sara, cast.fred, cast.ada,
        make_person("owner-2", "manager", person="olga"), make_person("aud", "auditor"),
    )  # fmt: skip

    for villain in villains:
        with pytest.raises(NotAuthorised):
            glass.review(broken.pk, reviewer=villain, was_justified=True, comment="fine")
    with pytest.raises(ReasonRequired):
        glass.review(broken.pk, reviewer=cast.mona, was_justified=True, comment=" ")

    assert BreakGlass.objects.get().reviewed_at is None


def test_not_justified_is_loud(cast: Cast) -> None:
    broken = broken_by(cast, emergency_approver())
    with as_superuser():
        Notice.objects.all().delete()

    glass.review(broken.pk, reviewer=cast.sara, was_justified=False, comment="Nothing was down.")

    assert '"outcome":"not_justified"' in newest_event(broken.request).data
    assert "not justified" in describe(newest_event(broken.request))
    assert {"mona", "ada", "olga"} <= set(
        Notice.objects.filter(subject__contains="NOT justified").values_list(
            "recipient__username", flat=True
        )
    )


def test_an_overdue_review_is_noted_once_and_can_still_be_made(cast: Cast) -> None:
    broken = broken_by(cast, emergency_approver())
    let_a_day_pass(broken)

    sweep()
    sweep()

    assert codes(broken.request).count("glass.review_overdue") == 1
    assert Notice.objects.filter(subject__startswith="OVERDUE").exists()
    glass.review(broken.pk, reviewer=cast.mona, was_justified=True, comment="Late, and right.")
    assert BreakGlass.objects.get().reviewed_at <= db_clock.now()
