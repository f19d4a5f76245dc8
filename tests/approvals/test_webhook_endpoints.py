"""Webhooks stopped, replayed and signed by who answers for them, and where none is sent."""

from __future__ import annotations

import socket
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from django.core import mail
from pytest_django.fixtures import Settings
from standardwebhooks.webhooks import Webhook

from approvals.domain import sending
from approvals.exceptions import ApprovalError, NotAuthorised
from approvals.models import ActionRequest, WebhookDelivery
from approvals.services.webhooks import (
    change_secret,
    disable_webhook,
    enable_webhook,
    redeliver,
    register_webhook,
    replay,
)
from audit.actors import Actor
from audit.lib import db_clock
from audit.selectors import events_of
from connectors import outbound
from tests.agents.server import Told, answering, problem
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    make_crm,
    reject,
)
from tests.approvals.webhooks import (
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


# --- 410, disabling, replaying -------------------------------------------------------------------


def test_gone_disables_the_endpoint_and_tells_its_owner(cast: Cast, receiver: Told) -> None:
    endpoint, _ = register(cast, receiver)
    receiver.replies[:] = [problem(410, "gone")]
    reject(make_crm(cast), cast.otto)
    send_due()
    sending.send_waiting()

    endpoint.refresh_from_db()
    assert endpoint.disabled_at is not None
    assert events_of(cast.agent).last().code == "webhook.disabled"  # type: ignore[union-attr]
    subject = "A webhook endpoint of your agent was disabled"
    assert [m.to for m in mail.outbox if m.subject.endswith(subject)] == [[cast.owner.email]]
    time_passes(timedelta(hours=1))
    assert send_due() == 0


def test_what_waited_goes_out_when_it_is_enabled_and_the_rest_is_replayed(
    cast: Cast, receiver: Told
) -> None:
    endpoint, _ = register(cast, receiver)
    reject(make_crm(cast), cast.otto)
    disable_webhook(endpoint.pk, actor=olga(cast), reason="Moving house.")
    missed = a_change(cast, "acct_2002")
    reject(missed, cast.otto)

    assert send_due() == 0
    enable_webhook(endpoint.pk, actor=olga(cast))
    assert send_due() == 1
    count = replay(endpoint.pk, since=db_clock.now() - timedelta(hours=1), actor=olga(cast))
    send_due()

    assert count == ActionRequest.objects.filter(agent=cast.agent).count()
    assert str(missed.pk) in {asked.body["data"]["id"] for asked in receiver.asked}


def test_one_delivery_is_sent_again_under_its_id(cast: Cast, receiver: Told) -> None:
    register(cast, receiver)
    reject(make_crm(cast), cast.otto)
    send_due()

    redeliver(WebhookDelivery.objects.get().pk, actor=olga(cast))
    send_due()

    assert len(receiver.asked) == 2
    assert len(set(ids(receiver))) == 1


def test_nobody_else_touches_an_agents_webhooks(cast: Cast, receiver: Told) -> None:
    endpoint, _ = register(cast, receiver)
    reject(make_crm(cast), cast.otto)
    mallory = Actor.human(cast.otto)
    delivery = WebhookDelivery.objects.get()
    now = db_clock.now()

    for attempt in (
        lambda: register_webhook(cast.agent.pk, url=f"{receiver.url}/x", actor=mallory),
        lambda: change_secret(endpoint.pk, actor=mallory, overlap=timedelta()),
        lambda: disable_webhook(endpoint.pk, actor=mallory, reason="x"),
        lambda: redeliver(delivery.pk, actor=mallory),
        lambda: replay(endpoint.pk, since=now, actor=mallory),
    ):
        with pytest.raises(NotAuthorised):
            attempt()


# --- Secrets -------------------------------------------------------------------------------------


def test_while_a_secret_is_changed_nothing_is_lost(cast: Cast, receiver: Told) -> None:
    endpoint, old = register(cast, receiver)
    for stage in ("negotiation", "proposal", "won"):
        reject(make_crm(cast, stage=stage), cast.otto)
        if stage == "negotiation":
            send_due()
            new = change_secret(endpoint.pk, actor=olga(cast), overlap=timedelta(hours=24)).secret
    send_due()

    first, *during = receiver.asked
    Webhook(old).verify(first.raw.decode(), first.headers)
    assert len(during) == 2
    for asked in during:
        for secret in (old, new):
            assert Webhook(secret).verify(asked.raw.decode(), asked.headers)


def test_after_the_overlap_the_old_secret_signs_nothing(cast: Cast, receiver: Told) -> None:
    endpoint, _ = register(cast, receiver)
    change_secret(endpoint.pk, actor=olga(cast), overlap=timedelta())
    reject(make_crm(cast), cast.otto)
    send_due()

    assert len(receiver.asked[0].headers["webhook-signature"].split()) == 1


def test_secrets_are_kept_encrypted_and_on_no_record(cast: Cast, receiver: Told) -> None:
    endpoint, secret = register(cast, receiver)
    endpoint.refresh_from_db()

    assert secret.removeprefix("whsec_") not in endpoint.secret
    assert all(secret.removeprefix("whsec_") not in e.data for e in events_of(cast.agent))


def test_without_a_key_to_encrypt_with_none_is_registered(
    cast: Cast, receiver: Told, settings: Settings
) -> None:
    settings.CREDENTIALS_KEY = ""

    with pytest.raises(ApprovalError, match="CREDENTIALS_KEY"):
        register(cast, receiver)


# --- Where nothing is sent -----------------------------------------------------------------------

HOSTILE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::7f00:1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
]  # fmt: skip


@pytest.mark.parametrize("address", HOSTILE)
def test_addresses_of_our_own_network_are_refused(address: str) -> None:
    assert not outbound.is_allowed(ip_address(address), ())


def test_public_addresses_and_networks_named_are_allowed() -> None:
    own = (ip_network("10.20.0.0/16"),)

    assert outbound.is_allowed(ip_address("93.184.216.34"), own)
    assert outbound.is_allowed(ip_address("::ffff:10.20.3.4"), own)
    assert not outbound.is_allowed(ip_address("10.21.0.1"), own)


@pytest.mark.parametrize(
    "url",
    [
        "http://agents.example/hook", "https://other.example/hook", "https://127.0.0.1/hook",
        "https://agents.example:8443/hook", "https://user:pw@agents.example/hook",
        "https://agents.example@evil.example/", "https://agents.example/#x", "ftp://agents.example/",
        "https://agents.example.evil.example/", "https://2130706433/", "file:///etc/passwd", "https://",
        "https://agents.example:99999/",
    ],
)  # fmt: skip
def test_only_hosts_on_the_list_are_registered(cast: Cast, settings: Settings, url: str) -> None:
    settings.WEBHOOK_HOSTS = ["agents.example"]

    with pytest.raises(ApprovalError) as refused:
        register_webhook(cast.agent.pk, url=url, actor=olga(cast))

    assert refused.value.code == "address_refused"


def test_a_host_that_turns_to_a_private_address_is_not_called(
    cast: Cast, receiver: Told, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the name was fine when it was registered."""
    settings.WEBHOOK_NETWORKS = ()
    port = int(receiver.url.rsplit(":", 1)[1])
    settings.WEBHOOK_HOSTS = [f"agents.example:{port}"]
    url = f"https://agents.example:{port}/hook"
    register_webhook(cast.agent.pk, url=url, actor=olga(cast))
    reject(make_crm(cast), cast.otto)
    asked: list[str] = []

    def resolve(host: str, port: int, **kwargs: Any) -> list[Any]:
        asked.append(host)
        found = ("93.184.216.34", "127.0.0.1")  # one of them is enough
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    send_due()

    assert asked == ["agents.example"]
    assert receiver.asked == []
    assert "leads to 127.0.0.1" in WebhookDelivery.objects.get().problem


def test_a_name_is_resolved_once_and_that_address_is_called(
    cast: Cast, receiver: Told, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second answer, which leads elsewhere, is never asked for."""
    port = int(receiver.url.rsplit(":", 1)[1])
    settings.WEBHOOK_HOSTS = [f"localhost:{port}"]
    url = f"http://localhost:{port}/hook"
    register_webhook(cast.agent.pk, url=url, actor=olga(cast))
    reject(make_crm(cast), cast.otto)
    answers = iter(["127.0.0.1", "127.0.0.9"])
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host in ("localhost", b"localhost"):
            return real(next(answers), port, *args, **kwargs)
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    send_due()

    assert receiver.asked[0].headers["Host"] == f"localhost:{port}"
    assert next(answers) == "127.0.0.9"


def test_a_redirect_is_not_followed(cast: Cast, receiver: Told) -> None:
    with answering(OK) as inside:
        register(cast, receiver)
        receiver.replies[:] = [(307, {"Location": f"{inside.url}/secret"}, {})]
        reject(make_crm(cast), cast.otto)
        send_due()

        assert inside.asked == []
    assert WebhookDelivery.objects.get().problem == "It answered 307."


def test_no_proxy_of_the_environment_is_used(
    cast: Cast, receiver: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(OK) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        register(cast, receiver)
        reject(make_crm(cast), cast.otto)
        send_due()

        assert proxy.asked == []
    assert len(receiver.asked) == 1


def test_an_approval_that_runs_is_told_when_it_is_done(cast: Cast, receiver: Told) -> None:
    register(cast, receiver)
    request = make_crm(cast)
    approve(request, cast.otto)
    send_due()

    assert told_of(receiver) == [("action.open", "approved")]
    assert fresh(request).state == "approved"
