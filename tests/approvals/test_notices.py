"""Mails to people: in batches over one connection, each repeated until it is out."""

from __future__ import annotations

from datetime import timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any, ClassVar

import pytest
from django.core.cache import cache
from django.core.mail.backends.base import BaseEmailBackend
from pytest_django.fixtures import Settings

from approvals import tasks
from approvals.domain import dispatch, sending
from approvals.models import Notice
from audit.lib import db_clock
from config.celery import app
from policies.models import User
from tests.approvals.make import Cast, make_crm
from tests.database import as_superuser

pytestmark = pytest.mark.django_db


class Server(BaseEmailBackend):
    """A mail server's side of the conversation: who called, what was taken, what goes wrong."""

    calls: ClassVar[int] = 0
    taken: ClassVar[list[str]] = []
    errors: ClassVar[dict[str, Exception]] = {}
    """By recipient; "" when nobody even answers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.is_open = False

    def open(self) -> bool:
        if self.is_open:
            return False
        if "" in self.errors:
            raise self.errors[""]
        type(self).calls += 1
        self.is_open = True
        return True

    def close(self) -> None:
        self.is_open = False

    def send_messages(self, email_messages: Any) -> int:
        for message in email_messages:
            (to,) = message.to
            if to in self.errors:
                raise self.errors[to]
            self.taken.append(to)
        return len(email_messages)


@pytest.fixture(autouse=True)
def server(settings: Settings) -> type[Server]:
    settings.EMAIL_BACKEND = f"{__name__}.Server"
    Server.calls, Server.taken, Server.errors = 0, [], {}
    return Server


def make_notices(cast: Cast, number: int, to: User | None = None) -> None:
    request, at = make_crm(cast), db_clock.now()
    with as_superuser():
        Notice.objects.all().delete()
    Notice.objects.bulk_create(
        Notice(
            request=request,
            recipient=to or cast.otto,
            subject=f"mail {n}",
            created_at=at,
            next_attempt_at=at - timedelta(seconds=number - n),  # in this order
        )
        for n in range(number)
    )


def test_a_batch_is_one_connection(cast: Cast, server: type[Server]) -> None:
    make_notices(cast, 30)

    assert sending.send_waiting() == 30

    assert (server.calls, len(server.taken)) == (1, 30)
    assert not Notice.objects.filter(sent_at=None).exists()
    assert sending.send_waiting() == 0


@pytest.mark.parametrize(
    "error", [SMTPRecipientsRefused({}), SMTPServerDisconnected("gone"), OSError("reset")]
)
def test_a_mail_that_is_refused_holds_up_no_other(
    cast: Cast, server: type[Server], error: Exception
) -> None:
    make_notices(cast, 3)
    Notice.objects.filter(subject="mail 1").update(recipient=cast.oona)
    server.errors = {cast.oona.email: error}

    assert sending.send_waiting() == 2

    refused = Notice.objects.get(sent_at=None)
    assert (refused.recipient, refused.attempts) == (cast.oona, 1)
    assert refused.problem == str(error)
    assert refused.next_attempt_at > db_clock.now()
    assert server.calls == 2  # nobody goes on in a conversation that went wrong


def test_without_a_server_nobody_waits_for_it_twice(cast: Cast, server: type[Server]) -> None:
    make_notices(cast, 3)
    server.errors = {"": ConnectionRefusedError("no server")}

    assert sending.send_waiting() == 0

    assert list(Notice.objects.values_list("attempts", "problem")) == [(1, "no server")] * 3
    assert sending.send_waiting() == 0  # not at once


def test_a_slow_server_does_not_keep_a_worker_beyond_its_time(
    cast: Cast, server: type[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BATCH_SECONDS", -1)
    make_notices(cast, 3)

    assert sending.send_waiting() == 0

    assert set(Notice.objects.values_list("attempts", "sent_at")) == {(0, None)}


def messages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sent: list[str] = []
    monkeypatch.setattr(app, "send_task", lambda name, **kwargs: sent.append(name))
    cache.clear()
    return sent


def test_one_message_stands_for_many_notices_until_a_worker_takes_it(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent = messages(monkeypatch)

    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(50):
            dispatch.notices()
    before = list(sent)
    tasks.send_notices()
    with django_capture_on_commit_callbacks(execute=True):
        dispatch.notices()

    assert before == ["approvals.send_notices"]
    assert sent == ["approvals.send_notices"] * 2


def test_a_full_batch_is_followed_by_another(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent = messages(monkeypatch)
    make_notices(cast, sending.BATCH + 20)
    cache.clear()

    with django_capture_on_commit_callbacks(execute=True):
        tasks.send_notices()
    with django_capture_on_commit_callbacks(execute=True):
        tasks.send_notices()

    assert sent == ["approvals.send_notices"]
    assert not Notice.objects.filter(sent_at=None).exists()
