"""A refund from proposal to audited record, through the services."""

from __future__ import annotations

import pytest

from approvals.models import ActionRequest
from approvals.services.decide import approve
from approvals.services.execute import execute
from tests.approvals.make import *  # noqa: F403


@pytest.mark.django_db
def test_smoke(sandbox):
    make_house()
    owner = make_person("olga", "agent owner")
    mona = make_person("mona", "manager")
    make_limit(mona, "1000.00")
    agent = make_agent(owner)
    small = make_request(agent)
    print(small.state, small.verdict, small.risk_tier)
    execute(small.pk)
    small = ActionRequest.objects.get(pk=small.pk)
    assert small.state == "audited"
    r = make_request(agent, refund("ch_1001", "800.00"))
    print(r.state, r.risk_tier, r.requirements.values_list("group"))
    approve(r.pk, decider=mona, seen=look_at(r, mona), reason_code="as_proposed")
    execute(r.pk)
    r = ActionRequest.objects.get(pk=r.pk)
    assert r.state == "audited", r.state
    print(sandbox.addresses, list(r.history.values_list("state", flat=True)))
