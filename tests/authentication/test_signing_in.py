"""A person signs in for a connection, a second one agrees; refresh tokens carry on from there."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.urls import reverse
from pytest_django.fixtures import Settings

from approvals.services.connections import Terms
from approvals.services.sign_ins import begin_sign_in, finish_sign_in
from audit.actors import Actor
from audit.lib import db_clock
from audit.lib.db import is_postgres
from connectors import registry
from connectors.base import Action, Connector, ConnectorError
from connectors.connections import forget_connections
from connectors.models import Connection, ConnectionToken, SignIn
from connectors.registry import action_type, connector_for
from policies.exceptions import PolicyError
from policies.models import AuthorityChange
from policies.services.dual_control import agree
from tests.admin.visit import said, visit
from tests.approvals.make import Cast, make_cast
from tests.authentication.conftest import Start
from tests.authentication.double import TokenHelpdesk, credential
from tests.connections import connect

NOTE = Action("ticket.note", {"ticket": "T-1", "text": "Called back."})
NAME = "helpdesk-eu"


def set_up(start: Start, settings: Settings, tmp_path: Path) -> tuple[TokenHelpdesk, Cast]:
    """A connection nobody has signed in for yet."""
    helpdesk = start("code")
    settings.CONNECTORS = {**settings.CONNECTORS, "helpdesk": {"base_url": "", "token": ""}}
    settings.CREDENTIALS_DIR = str(tmp_path)
    (tmp_path / "helpdesk-client").write_text(credential("code"))
    cast = make_cast()
    terms = Terms(
        name=NAME,
        system="helpdesk",
        values={"base_url": helpdesk.url},
        credential_source="file",
        credential_name="helpdesk-client",
        owner=cast.ada.person,
        action_types=("ticket.note",),
    )
    connect(terms)
    return helpdesk, cast


def write(key: str = "k" * 64) -> str:
    connector = connector_for(action_type(NOTE.type))
    return connector.execute(NOTE, idempotency_key=key).reference


def at_the_vendor(helpdesk: TokenHelpdesk, address: str) -> str:
    """The person signs in there; the vendor's answer is this state, with the code "c-1"."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "tickets"
    helpdesk.code = {
        "code": "c-1",
        "challenge": asked["code_challenge"],
        "redirect_uri": asked["redirect_uri"],
    }
    return asked["state"]


def signed_in(helpdesk: TokenHelpdesk, cast: Cast) -> None:
    address = begin_sign_in(NAME, actor=Actor.human(cast.ada), reason="first")
    state = at_the_vendor(helpdesk, address)
    change = finish_sign_in(state, "c-1", actor=Actor.human(cast.ada))
    agree(change.pk, actor=Actor.human(cast.alan), reason="known account")
    forget_connections()


@pytest.mark.django_db
def test_from_the_page_to_the_first_write(start: Start, settings: Settings, tmp_path: Path) -> None:
    helpdesk, cast = set_up(start, settings, tmp_path)
    ada, alan = visit(cast.ada), visit(cast.alan)
    page = reverse("admin:connectors_connection_change", args=[Connection.objects.get().pk])
    assert "Nobody has signed in for it yet" in said(ada.get(page))
    with pytest.raises(ConnectorError, match="waits for an ops admin to sign in"):
        write()

    begun = ada.post(page.replace("change", "sign-in"), {"reason": "first"})
    address = begun.context["address"]
    state = at_the_vendor(helpdesk, address)
    assert "login.helpdesk.example" in said(begun)
    back = f"{urlsplit(helpdesk.code['redirect_uri']).path}?state={state}&code=c-1"
    answer = ada.get(back)

    change = AuthorityChange.objects.get(kind="connection.sign_in")
    assert str(change.pk) in answer.headers["Location"]
    with pytest.raises(ConnectorError, match="waits for an ops admin"):
        write()
    with pytest.raises(PolicyError):
        agree(change.pk, actor=Actor.human(cast.ada), reason="my own")
    alan.post(
        reverse("admin:policies_authoritychange_agree", args=[change.pk]), {"reason": "known"}
    )
    assert write()
    assert "signed in to on" in said(ada.get(page))
    assert not SignIn.objects.exclude(refresh_token="").exists()
    kept = ConnectionToken.objects.get()
    assert helpdesk.refresh_token not in f"{kept.refresh_token} {kept.access_token}"
    # the code and its state are used up
    assert "no sign-in of yours" in said(ada.get(back, follow=True))


@pytest.mark.django_db
def test_an_answer_is_taken_from_whoever_began_only_and_in_time(
    start: Start, settings: Settings, tmp_path: Path
) -> None:
    helpdesk, cast = set_up(start, settings, tmp_path)
    address = begin_sign_in(NAME, actor=Actor.human(cast.ada), reason="first")
    state = at_the_vendor(helpdesk, address)

    for actor, given in ((cast.alan, state), (cast.ada, "x" + state), (cast.ada, "")):
        with pytest.raises(PolicyError, match="no sign-in of yours"):
            finish_sign_in(given, "c-1", actor=Actor.human(actor))
    SignIn.objects.update(expires_at=db_clock.now() - timedelta(seconds=1))
    with pytest.raises(PolicyError, match="no sign-in of yours"):
        finish_sign_in(state, "c-1", actor=Actor.human(cast.ada))

    assert helpdesk.asked == []


@pytest.mark.django_db
def test_only_an_ops_admin_signs_in(start: Start, settings: Settings, tmp_path: Path) -> None:
    _, cast = set_up(start, settings, tmp_path)

    for call in (
        lambda: begin_sign_in(NAME, actor=Actor.human(cast.mona), reason="mine"),
        lambda: finish_sign_in("s", "c", actor=Actor.human(cast.mona)),
    ):
        with pytest.raises(PolicyError) as refused:
            call()
        assert refused.value.code == "not_ops_admin"
    assert visit(cast.mona).get(reverse("admin:connectors_connection_signed_in")).status_code in {
        302,
        403,
    }


@pytest.mark.django_db
def test_what_ended_at_the_system_asks_people_to_sign_in_again(
    start: Start, settings: Settings, tmp_path: Path
) -> None:
    helpdesk, cast = set_up(start, settings, tmp_path)
    signed_in(helpdesk, cast)
    write("a" * 64)
    helpdesk.revoke()
    helpdesk.refresh_token = "revoked by its owner"

    with pytest.raises(ConnectorError, match="an ops admin signs in again"):
        write("b" * 64)
    asked = len(helpdesk.asked)
    with pytest.raises(ConnectorError, match="an ops admin signs in again"):
        write("c" * 64)

    assert len(helpdesk.asked) == asked  # nobody asks again with what was refused
    page = reverse("admin:connectors_connection_change", args=[Connection.objects.get().pk])
    assert "signs in again" in said(visit(cast.ada).get(page))
    signed_in(helpdesk, cast)
    assert write("d" * 64)


@pytest.mark.django_db
def test_another_address_never_meets_the_account_signed_in_to(
    start: Start, settings: Settings, tmp_path: Path
) -> None:
    helpdesk, cast = set_up(start, settings, tmp_path)
    signed_in(helpdesk, cast)
    connect(
        Terms(
            name=NAME,
            system="helpdesk",
            values={"base_url": f"{helpdesk.url}/v2"},
            credential_source="file",
            credential_name="helpdesk-client",
            owner=cast.ada.person,
            action_types=("ticket.note",),
        )
    )

    with pytest.raises(ConnectorError, match="waits for an ops admin to sign in"):
        write()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rounds", [4])
def test_twenty_workers_refresh_a_rotating_token_once_each_time_and_lose_none(
    start: Start, settings: Settings, tmp_path: Path, rounds: int
) -> None:
    """Each worker as a process of its own: nothing is shared but the database."""
    assert is_postgres()
    helpdesk, cast = set_up(start, settings, tmp_path)
    signed_in(helpdesk, cast)
    helpdesk.slow = 0.05
    workers = 20

    kind = action_type(NOTE.type)

    def run(connector: Connector, key: str, barrier: threading.Barrier) -> str:
        try:
            barrier.wait(timeout=60)
            return connector.execute(NOTE, idempotency_key=key).reference
        finally:
            connection.close()

    for number in range(rounds):
        ConnectionToken.objects.update(expires_at=db_clock.now())
        asked = len(helpdesk.asked)
        connectors = []
        for _ in range(workers):
            registry._built.cache_clear()
            connectors.append(connector_for(kind))
        barrier = threading.Barrier(workers)
        with ThreadPoolExecutor(workers) as pool:
            running = [
                pool.submit(run, one, f"{number:032d}{index:032d}", barrier)
                for index, one in enumerate(connectors)
            ]
            done = [one.result() for one in running]

        assert len(set(done)) == workers
        assert len(helpdesk.asked) == asked + 1
        assert helpdesk.reused == 0
    assert ConnectionToken.objects.get().generation == 1 + rounds
