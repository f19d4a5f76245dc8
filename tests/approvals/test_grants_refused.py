"""What stands between an agent and the grant of its own action: all that stops a worker, too."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from approvals.exceptions import (
    GrantExpired,
    GrantRefused,
    IntegrityBroken,
)
from approvals.models import (
    ActionRequest,
    Agent,
    Execution,
    Grant,
    IntegrityIncident,
    RequestContent,
)
from approvals.services import agents, deadlines, restores
from approvals.services.close import start
from approvals.services.execute import execute
from approvals.services.recall import recall
from approvals.services.recover import recover
from audit.actors import Actor
from audit.lib import db_clock
from audit.lib.canonical import canonical, digest
from policies.services import people
from tests.approvals.agents_own import (
    APPROVED,
    COMMAND,
    approved_command,
    lease_over,
    make_coder,
    make_command,
    redeemed,
    refused,
    rules_for_commands,
)
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    fresh,
    make_older,
    make_proof,
    make_request,
    supply,
)
from tests.approvals.make import said as evidence_of
from tests.approvals.story import codes
from tests.database import triggers_off

# --- what refuses it ------------------------------------------------------------------------------


def test_before_it_is_approved_there_is_no_grant(cast: Cast, coder: Agent) -> None:
    request = make_command(coder)

    assert refused(request) == "not_approved"
    approve(request, cast.sara)
    assert refused(request) == "not_approved"
    assert not Execution.objects.exists()


def test_a_grant_nobody_redeemed_in_time_is_none(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    make_older(request, timedelta(days=2))

    with pytest.raises(GrantExpired) as refusal:
        redeemed(request)
    assert (refusal.value.code, refusal.value.status) == ("grant_expired", 410)
    deadlines.expire(request.pk)
    assert fresh(request).state == "expired"
    with pytest.raises(GrantExpired):
        redeemed(request)


def test_a_pause_since_the_approval_sends_it_back_to_people(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    agents.pause_agent(coder.pk, actor=INSTALLER, reason="odd")

    with pytest.raises(GrantRefused) as refusal:
        redeemed(request)

    assert refusal.value.code == "drift"
    assert "paused" in refusal.value.message
    assert fresh(request).state == "pending_approval"
    assert codes(request) == [*APPROVED, "grant.revoked", "request.invalidated"]


def test_somebody_who_lost_their_role_takes_the_grant_with_them(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    people.deactivate(cast.sara.pk, actor=INSTALLER, reason="left")

    assert refused(request) == "drift"
    assert fresh(request).state == "pending_approval"


def test_a_freeze_after_a_restore_stands_in_the_way(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    restores.freeze(actor=Actor.system("test"), reason="restored")

    assert refused(request) == "not_now"
    assert fresh(request).state == "approved"


def test_in_the_seconds_of_recall_nobody_redeems(cast: Cast, settings: Settings) -> None:
    settings.SYSTEMS = ("workstation",)
    rules_for_commands(
        cast,
        ("    action_type: command.*\n", "    action_type: command.*\n    recall_seconds: 60\n"),
    )
    request = approved_command(cast, make_coder(cast))

    assert refused(request) == "not_now"
    recall(request.pk, person=cast.otto)
    assert refused(request) == "not_approved"


def test_outside_its_change_window_nobody_redeems(cast: Cast, settings: Settings) -> None:
    settings.SYSTEMS = ("workstation",)
    hours = 'from: "00:00"\n    to: "24:00"\n'
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[
        (db_clock.now() + timedelta(days=3)).weekday()
    ]
    days = "days: [mon, tue, wed, thu, fri, sat, sun]\n"
    rules_for_commands(
        cast,
        (f"  changes:\n    {days}    {hours}", f"  changes:\n    days: [{day}]\n    {hours}"),
        ("execute_by: 8h", "execute_by: 7d"),
    )
    request = approved_command(cast, make_coder(cast))

    assert refused(request) == "not_now"
    assert fresh(request).state == "approved"


def test_what_a_person_has_to_start_waits_for_that(cast: Cast, settings: Settings) -> None:
    settings.SYSTEMS = ("workstation",)  # and no rule about it: the highest tier
    evidence = tuple(map(evidence_of, ("risk_analysis", "manual_override")))
    request = make_request(make_coder(cast), COMMAND, action_type="command.run", evidence=evidence)
    supply(request, cast.oona)
    approve(request, cast.otto, cast.mona)

    assert (fresh(request).risk_tier, fresh(request).state) == (5, "approved")
    assert refused(request) == "not_now"
    start(request.pk, operator=cast.otto, proof=make_proof(cast.otto))
    execute(request.pk)
    assert redeemed(request).params == COMMAND


# --- what is stored was changed ------------------------------------------------------------------


def _swap_params(request: ActionRequest, *, with_digests: bool) -> None:
    content = RequestContent.objects.get(request=request)
    stored = {**json.loads(content.action)}
    stored["params"] = {**stored["params"], "command": "rm -r /srv"}
    found = digest(canonical(stored))
    changed = {"action": canonical(stored), **({"digest": found} if with_digests else {})}
    with triggers_off():
        RequestContent.objects.filter(pk=content.pk).update(**changed)
        if with_digests:
            ActionRequest.objects.filter(pk=request.pk).update(digest=found)
            Grant.objects.filter(request=request).update(digest=found)


@pytest.mark.parametrize("with_digests", [False, True])
def test_swapped_params_are_refused_by_name(
    cast: Cast, coder: Agent, *, with_digests: bool
) -> None:
    request = approved_command(cast, coder)
    _swap_params(request, with_digests=with_digests)

    with pytest.raises(IntegrityBroken) as refusal:
        redeemed(request)

    assert refusal.value.code == "digest_mismatch"
    assert fresh(request).state == "denied"
    assert IntegrityIncident.objects.filter(request=request).count() == 1
    assert not Execution.objects.exists()


@pytest.mark.parametrize("with_digests", [False, True])
def test_params_swapped_after_the_grant_are_not_told_again(
    cast: Cast, coder: Agent, *, with_digests: bool
) -> None:
    request = approved_command(cast, coder)
    redeemed(request)
    _swap_params(request, with_digests=with_digests)

    with pytest.raises(IntegrityBroken):
        redeemed(request)

    assert IntegrityIncident.objects.filter(request=request).count() == 1
    lease_over(request)
    recover(request.pk)
    assert fresh(request).state == "outcome_unknown"
