"""Agents are told by webhook: with the change, at least once, for days."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.db.models import F
from standardwebhooks.webhooks import Webhook

from approvals.domain import sending
from approvals.exceptions import InvalidProposal
from approvals.models import WebhookDelivery, WebhookEndpoint
from approvals.services import webhook_delivery
from approvals.services.execute import execute
from approvals.services.verify import read_back
from approvals.services.webhook_delivery import GIVE_UP_AFTER, SCHEDULE
from approvals.services.webhooks import (
    disable_webhook,
    redeliver,
)
from connectors import webhooks as outside
from tests.agents.server import HANG_UP, Reply, Told, problem
from tests.approvals.make import (
    Cast,
    approve,
    ask,
    fresh,
    make_crm,
    make_request,
    refund,
    reject,
)
from tests.approvals.webhooks import (
    DOWN,
    OK,
    a_change,
    ids,
    olga,
    register,
    send_due,
    time_passes,
    told_of,
)

pytestmark = pytest.mark.django_db


# --- What is told --------------------------------------------------------------------------------


def test_an_agent_is_told_of_what_people_decide(cast: Cast, receiver: Told) -> None:
    _, secret = register(cast, receiver)
    request = make_crm(cast)

    reject(request, cast.otto)
    send_due()

    (asked,) = receiver.asked
    assert Webhook(secret).verify(asked.raw.decode(), asked.headers)
    assert told_of(receiver) == [("action.refused", "rejected")]
    assert asked.body["data"]["id"] == str(request.pk)
    assert send_due() == 0


def test_it_says_what_the_api_says(cast: Cast, receiver: Told) -> None:
    from approvals.api.webhook_body import webhook_body

    register(cast, receiver)
    request = make_crm(cast)
    ask(request, cast.otto)
    send_due()

    (asked,) = receiver.asked
    told = json.loads(json.dumps(webhook_body(request.pk)))
    moving = {"poll_after"}
    assert {k: v for k, v in asked.body["data"].items() if k not in moving} == {
        k: v for k, v in told.items() if k not in moving
    }
    assert asked.body["type"] == "action.needs_agent"


def test_an_approval_that_runs_is_told_once_when_it_is_done(cast: Cast, receiver: Told) -> None:
    register(cast, receiver)
    request = make_crm(cast)
    approve(request, cast.otto)
    execute(request.pk)
    read_back(request.pk)
    send_due()

    assert fresh(request).state == "audited"  # verified and signed off in one change
    assert told_of(receiver)[-1] == ("action.done", "audited")
    states = WebhookDelivery.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["approved", "audited"]


def test_what_is_proposed_and_waits_is_not_told(cast: Cast, receiver: Told) -> None:
    register(cast, receiver)

    make_crm(cast)

    assert WebhookDelivery.objects.count() == 0


def test_without_an_endpoint_nothing_is_written(cast: Cast) -> None:
    reject(make_crm(cast), cast.otto)

    assert WebhookDelivery.objects.count() == 0


def test_a_change_that_is_rolled_back_is_not_told(cast: Cast, receiver: Told) -> None:
    register(cast, receiver)
    request = make_crm(cast)
    with transaction.atomic():
        reject(request, cast.otto)
        assert WebhookDelivery.objects.count() == 1
        transaction.set_rollback(True)

    assert WebhookDelivery.objects.count() == 0


def test_every_endpoint_is_told_unless_the_proposal_names_one(cast: Cast, receiver: Told) -> None:
    register(cast, receiver, "/one")
    register(cast, receiver, "/two")
    for record, callback in (("acct_2001", ""), ("acct_2002", f"{receiver.url}/two")):
        said = {"callback_url": callback}  # as it was sent
        reject(a_change(cast, record, callback_url=callback, said=said), cast.otto)

    send_due()

    assert sorted(asked.path for asked in receiver.asked) == ["/one", "/two", "/two"]


@pytest.mark.parametrize("callback", ["https://evil.example/hook", "/hook2", "disabled"])
def test_a_proposal_may_name_registered_endpoints_only(
    cast: Cast, receiver: Told, callback: str
) -> None:
    endpoint, _ = register(cast, receiver)
    if callback == "disabled":
        disable_webhook(endpoint.pk, actor=olga(cast), reason="Moved.")
        callback = "/hook"
    url = f"{receiver.url}{callback}" if callback.startswith("/") else callback

    with pytest.raises(InvalidProposal) as refused:
        make_request(cast.agent, refund(), callback_url=url)

    assert [p.field for p in refused.value.problems] == ["callback_url"]


# --- Trying again --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply", [HANG_UP, DOWN, problem(429, "busy"), (301, {"Location": "http://127.0.0.1/"}, {})]
)
def test_what_was_not_taken_is_sent_again_under_the_same_id(
    cast: Cast, receiver: Told, reply: Reply
) -> None:
    register(cast, receiver)
    receiver.replies[:] = [reply, OK]
    reject(make_crm(cast), cast.otto)

    assert (send_due(), send_due()) == (1, 0)
    time_passes(timedelta(seconds=15))
    send_due()

    assert len(receiver.asked) == 2
    assert len(set(ids(receiver))) == 1
    assert len({asked.headers["webhook-signature"] for asked in receiver.asked}) <= 2
    assert WebhookDelivery.objects.get().delivered_at is not None


def test_a_receiver_that_was_down_for_a_day_catches_up(cast: Cast, receiver: Told) -> None:
    register(cast, receiver)
    receiver.replies[:] = [DOWN]
    requests = [make_crm(cast, stage=stage) for stage in ("negotiation", "proposal")]
    for request in requests:
        reject(request, cast.otto)
    for _ in range(24 * 6):
        send_due()
        time_passes(timedelta(minutes=10))
    tried = len(receiver.asked)

    receiver.replies[:] = [OK]
    time_passes(timedelta(hours=24))
    for _ in range(4):
        send_due()

    assert tried < 60
    assert WebhookDelivery.objects.filter(delivered_at=None).count() == 0
    told = {asked.body["data"]["id"] for asked in receiver.asked[tried:]}
    assert told == {str(request.pk) for request in requests}


def test_once_it_is_up_what_waits_for_hours_goes_out_at_once(cast: Cast, receiver: Told) -> None:
    register(cast, receiver)
    receiver.replies[:] = [DOWN]
    for stage in ("negotiation", "proposal", "won"):
        reject(make_crm(cast, stage=stage), cast.otto)
        send_due()
    for _ in range(12):
        time_passes(timedelta(minutes=30))
        send_due()
    receiver.replies[:] = [OK]
    before = len(receiver.asked)

    WebhookEndpoint.objects.update(quiet_until=None)
    first = WebhookDelivery.objects.order_by("pk").first()
    assert first is not None
    redeliver(first.pk, actor=olga(cast))
    send_due()  # one gets through
    send_due()

    assert len(receiver.asked) - before == 3


def test_an_endpoint_that_is_down_is_tried_with_one_delivery(cast: Cast, receiver: Told) -> None:
    register(cast, receiver)
    receiver.replies[:] = [DOWN]
    for stage in ("negotiation", "proposal", "won"):
        reject(make_crm(cast, stage=stage), cast.otto)
    send_due()
    time_passes(timedelta(hours=1))

    assert send_due() == 1


def test_the_schedule_lasts_for_days_and_then_gives_up(cast: Cast, receiver: Told) -> None:
    register(cast, receiver)
    receiver.replies[:] = [DOWN]
    reject(make_crm(cast), cast.otto)
    for step in (timedelta(), *SCHEDULE):
        time_passes(step * 1.2)
        WebhookDelivery.objects.update(created_at=F("created_at") - step * 1.2)
        send_due()

    delivery = WebhookDelivery.objects.get()
    assert timedelta(days=3) < GIVE_UP_AFTER
    assert len(receiver.asked) == len(SCHEDULE) + 1
    assert delivery.given_up_at is not None
    assert delivery.problem == "It answered 503."
    time_passes(timedelta(days=9))
    assert send_due() == 0


def test_its_owner_is_told_once_that_an_endpoint_fails(cast: Cast, receiver: Told) -> None:
    register(cast, receiver)
    receiver.replies[:] = [DOWN]
    reject(make_crm(cast), cast.otto)
    for _ in range(6):
        send_due()
        time_passes(timedelta(hours=3))
    sending.send_waiting()

    subject = "A webhook endpoint of your agent does not answer"
    assert [m.to for m in mail.outbox if m.subject.endswith(subject)] == [[cast.agent.owner.email]]


def test_a_worker_killed_between_claim_and_answer_has_it_sent_again(
    cast: Cast, receiver: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Nothing after the call runs."""

    def killed(*args: Any) -> Any:
        outside_send(*args)
        raise Killed

    outside_send = outside.send
    register(cast, receiver)
    reject(make_crm(cast), cast.otto)
    monkeypatch.setattr(outside, "send", killed)
    with pytest.raises(Killed):
        send_due()
    monkeypatch.undo()

    assert send_due() == 0  # the lease of the dead one
    time_passes(webhook_delivery.LEASE)
    assert send_due() == 1
    assert len(receiver.asked) == 2
    assert len(set(ids(receiver))) == 1


def test_who_asks_to_be_left_alone_is(cast: Cast, receiver: Told) -> None:
    register(cast, receiver)
    receiver.replies[:] = [problem(429, "busy", **{"Retry-After": "500"})]
    reject(make_crm(cast), cast.otto)
    send_due()
    time_passes(timedelta(seconds=400))

    assert send_due() == 0
