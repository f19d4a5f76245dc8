"""A new policy version meets requests under way: they keep the one they were evaluated by."""

from __future__ import annotations

import pytest

from approvals.services.execute import execute
from policies.models import PolicyVersion
from tests.approvals.make import Cast, approve, fresh, make_request, publish, refund

pytestmark = pytest.mark.django_db

ASK_MORE = ("refund_automatic: 25000", "refund_automatic: 10000")
ASK_LESS = ("refund_automatic: 25000", "refund_automatic: 40000")


def test_a_looser_version_frees_nobody_who_waits(cast: Cast, sandbox: object) -> None:
    before = PolicyVersion.objects.get(status="published")
    waiting = make_request(cast.agent, refund("ch_1022", "300.00"))
    publish(cast, ASK_LESS)

    later = make_request(cast.agent, refund("ch_1030", "300.00"))

    assert fresh(waiting).state == "pending_approval"
    assert waiting.policy_decisions.get().policy_version == before
    assert later.policy_decisions.get().policy_version != before
    assert fresh(later).state == "approved"

    approve(waiting, cast.fred)
    assert fresh(waiting).state == "approved"


def test_a_stricter_version_is_applied_again_before_anything_runs(
    cast: Cast, sandbox: object
) -> None:
    allowed = make_request(cast.agent, refund("ch_1022", "180.00"))
    assert fresh(allowed).state == "approved"
    publish(cast, ASK_MORE)

    execute(allowed.pk)

    versions = [d.policy_version for d in allowed.policy_decisions.order_by("id")]
    assert fresh(allowed).state == "pending_approval"
    assert len(set(versions)) == 2
    assert not hasattr(allowed, "execution")
