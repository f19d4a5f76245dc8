"""Params swapped in the database after an approval are refused by name and alarmed, at every proof.

By somebody who may write every row, past every trigger, and makes the rows agree with each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from approvals.domain.attempts import provider_key
from approvals.exceptions import IntegrityBroken
from approvals.models import ActionRequest, Decision, Grant, Notice, RequestContent
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from audit.events import AuditCode
from audit.lib.canonical import canonical, digest
from audit.models import AuditEvent
from tests.approvals.conftest import begins_with, cast
from tests.approvals.executing import claimed, taken_over
from tests.approvals.make import Cast, approve, fresh, make_agent, make_request
from tests.approvals.story import codes
from tests.database import triggers_off
from tests.faults.soak.policy import POLICY
from tests.policies.make import put_in_force
from tests.vendors.catalogue import SUBJECTS, Subject
from tests.vendors.conftest import Starter, configure
from tests.vendors.double import Vendor

__all__ = ["begins_with", "cast"]

ENDED = ["request.integrity_broken", "grant.revoked", "request.denied"]


def _one_of_each_proof() -> dict[str, Subject]:
    found: dict[str, Subject] = {}
    for one in SUBJECTS:
        promise = one.operation.type.at_most_once
        found.setdefault(f"{promise.proof}, {promise.can_look_up}", one)
    return found


ONE_OF_EACH = tuple(_one_of_each_proof().values())
each_proof = pytest.mark.parametrize("subject", ONE_OF_EACH, ids=str)


@pytest.fixture
def target(subject: Subject, vendor_at: Starter, cast: Cast, settings: Settings) -> Vendor:
    """The operation's system as new, and a policy that has people approve it."""
    running = vendor_at(subject.vendor)
    configure(subject.vendor, running.url, running.system.credential, settings)
    subject.case.prepared(running.system)
    put_in_force(POLICY, author=cast.ada, publisher=cast.alan)
    return running.system


def approved(subject: Subject, cast: Cast) -> ActionRequest:
    key = subject.operation.type.key
    assert subject.operation.example is not None
    agent = make_agent(cast.owner, "vendors", action_types=[key])
    request = make_request(agent, dict(subject.operation.example), action_type=key)
    approve(request, cast.otto)
    assert fresh(request).state == "approved"
    return request


# --- what whoever writes into the database may go as far as ------------------------------------


def bytes_only(request: ActionRequest, action: str) -> None:
    RequestContent.objects.filter(request=request).update(action=action)


def with_its_digest(request: ActionRequest, action: str) -> None:
    RequestContent.objects.filter(request=request).update(action=action, digest=digest(action))


def with_the_request(request: ActionRequest, action: str) -> None:
    with_its_digest(request, action)
    ActionRequest.objects.filter(pk=request.pk).update(digest=digest(action))


def with_the_grant(request: ActionRequest, action: str) -> None:
    with_the_request(request, action)
    Grant.objects.filter(request=request).update(digest=digest(action))
    Decision.objects.filter(request=request).update(digest=digest(action))


def with_the_trail(request: ActionRequest, action: str) -> None:
    """But for the MACs, which need a key."""
    with_the_grant(request, action)
    event = AuditEvent.objects.get(subject_id=str(request.pk), code=AuditCode.GRANT_ISSUED.value)
    data = canonical({**json.loads(event.data), "digest": digest(action)})
    AuditEvent.objects.filter(pk=event.pk).update(data=data)


def without_the_trail(request: ActionRequest, action: str) -> None:
    with_the_grant(request, action)
    AuditEvent.objects.filter(subject_id=str(request.pk), code=AuditCode.GRANT_ISSUED.value).update(
        code=AuditCode.DECISION_RECORDED.value
    )


Write = Callable[[ActionRequest, str], None]
WRITES: tuple[Write, ...] = (
    bytes_only,
    with_its_digest,
    with_the_request,
    with_the_grant,
    with_the_trail,
    without_the_trail,
)


def swap(request: ActionRequest, write: Write) -> None:
    """Another value in one of the params, in as many rows as `write` reaches."""
    content = request.contents.get()
    stored = json.loads(content.action)
    name = next(reversed(stored["params"]))
    stored["params"][name] = f"{stored['params'][name]}0"
    with triggers_off():
        write(request, canonical(stored))


@pytest.mark.django_db
@each_proof
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_what_was_swapped_after_its_approval_is_refused_by_name_and_alarmed(
    subject: Subject, write: Write, target: Vendor, cast: Cast
) -> None:
    request = approved(subject, cast)
    swap(request, write)

    with pytest.raises(IntegrityBroken) as refused:
        execute(request.pk)
    execute(request.pk)
    sweep()

    assert refused.value.code == "digest_mismatch"
    assert (fresh(request).state, codes(request)[-3:]) == ("denied", ENDED)
    assert (target.writes, target.applied) == (0, [])
    told = Notice.objects.filter(request=request, subject__startswith="INCIDENT")
    assert sorted(told.values_list("recipient__username", flat=True)) == ["ada", "alan", "sara"]


@pytest.mark.django_db
@each_proof
@pytest.mark.parametrize("write", WRITES[1:], ids=lambda write: write.__name__)
def test_what_was_swapped_during_its_call_is_not_called_again(
    subject: Subject, write: Write, target: Vendor, cast: Cast
) -> None:
    request = approved(subject, cast)
    claimed(request)  # and the worker died
    swap(request, write)

    taken_over(request)

    assert fresh(request).state == "outcome_unknown"
    promise = subject.operation.type.at_most_once
    if promise.may_repeat or promise.can_look_up:  # else nobody would call or look again
        assert "request.integrity_broken" in codes(request)
    assert (target.writes, target.applied) == (0, [])


@pytest.mark.django_db
@each_proof
def test_what_nobody_swapped_is_carried_out_with_the_digest_that_was_approved(
    subject: Subject, target: Vendor, cast: Cast
) -> None:
    request = approved(subject, cast)
    grant, decision = request.grants.get(), request.decisions.get()

    execute(request.pk)

    execution = request.executions.get()
    assert grant.digest == decision.digest == fresh(request).digest
    assert execution.provider_key == provider_key(fresh(request), 1, grant.digest)
    assert (target.writes, len(target.applied)) == (1, 1)
