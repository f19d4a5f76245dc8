"""The trail is for ever: it keeps digests of customers' data, and says where free text may be."""

from __future__ import annotations

import json

import pytest
from pytest_django.fixtures import Settings

from approvals.selectors import due
from approvals.services.agent_replies import withdraw
from approvals.services.agents import pause_agent
from approvals.services.execute import execute
from approvals.services.verify import reconcile
from audit.actors import Actor
from audit.events import AuditCode, Personal
from audit.lib import db_clock
from audit.lib.canonical import digest_of
from audit.models import AuditEvent
from connectors.sandbox.server import Sandbox
from connectors.sandbox.web import Fault
from tests.approvals.executing import plan
from tests.approvals.make import Cast, approve, fresh, make_crm, make_request
from tests.approvals.story import newest_event
from tests.systems import WITHOUT_LOOK_UP, declare


def test_what_was_there_before_is_kept_as_its_digest(cast: Cast) -> None:
    request = make_crm(cast)
    before = json.loads(request.readings.get().before)
    approve(request, cast.otto)

    execute(request.pk)

    begun = AuditEvent.objects.get(subject_id=str(request.pk), code="request.execution_begun")
    assert AuditCode.EXECUTION_BEGUN.personal == Personal.NONE
    assert json.loads(begun.data)["pre_image_digest"] == digest_of(before)
    assert before
    for value in before.values():
        assert json.dumps(value) not in begun.data


def test_codes_that_carry_typed_words_say_so(cast: Cast) -> None:
    words = "Mia Keller called about her order"
    request = make_crm(cast)

    withdraw(request.pk, agent=cast.agent, reason=words)
    pause_agent(cast.agent.pk, actor=Actor.human(cast.ada), reason=words)

    for event in (newest_event(request), newest_event(cast.agent)):
        assert words in event.data
        assert AuditCode(event.code).personal == Personal.FREE_TEXT


def test_no_sentence_with_a_typed_reason_claims_to_be_free_of_it() -> None:
    # our own words there, not typed ones
    fixed = {AuditCode.ESCALATED, AuditCode.DECISION_REFUSED, AuditCode.UNDO_ENDED}

    for code in set(AuditCode) - fixed:
        if "{reason}" in code.sentence or "{outcome}" in code.sentence:
            assert code.personal == Personal.FREE_TEXT, code


def test_what_cannot_be_looked_up_is_not_swept_for_ever(
    cast: Cast, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.EXECUTION_MAX_ATTEMPTS = 1  # no repeating: what counts here is what comes after
    request = make_request(cast.agent)
    plan(sandbox, Fault(mode="apply_then_500", method="POST", times=9))
    execute(request.pk)
    # a target as some are: everything else about it is the same
    declare(monkeypatch, "refund.issue", at_most_once=WITHOUT_LOOK_UP)
    unknown = fresh(request).state
    assert due.unverified(db_clock.now(), state=unknown) == [request.pk]

    reconcile(request.pk)

    assert due.unverified(db_clock.now(), state=unknown) == []
    execution = request.executions.get()
    assert execution.read_backs == 0
    assert fresh(request).state == unknown == "outcome_unknown"
