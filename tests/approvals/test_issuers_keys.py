"""The keys of an issuer: fetched seldom, from where it was said, and never at others' expense."""

from __future__ import annotations

import time
from ipaddress import ip_network
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from approvals.models import WorkloadIdentity
from connectors import issuers
from tests.agents.server import ok, problem
from tests.api.make import AgentClient
from tests.approvals.issuing import Issuer, issuing, signs_in, told
from tests.approvals.make import Cast, make_agent, make_key, make_person
from tests.hanging import hanging_system

pytestmark = pytest.mark.django_db


@pytest.fixture
def identity(cast: Cast, issuer: Issuer) -> WorkloadIdentity:
    return signs_in(cast.agent, issuer.url)


@pytest.mark.usefixtures("identity")
def test_a_new_key_counts_and_a_withdrawn_one_stops(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers, "ASK_EVERY", 2)
    assert told(issuer.token()) == (200, "")
    issuer.new_key("two")
    issuer.publish("two")

    assert told(issuer.token("two")) == (401, "token_key")  # it was asked a moment ago
    assert len(issuer.told.asked) == 1
    time.sleep(2.1)
    assert told(issuer.token("two")) == (200, "")
    assert told(issuer.token("one")) == (401, "token_key")


@pytest.mark.usefixtures("identity")
def test_made_up_key_ids_do_not_have_the_issuer_asked_again_and_again(issuer: Issuer) -> None:
    issuer.keys |= {f"made-up-{n}": issuer.keys["one"] for n in range(20)}

    answers = {told(issuer.token(key_id)) for key_id in issuer.keys if key_id != "one"}

    assert answers == {(401, "token_key")}
    assert len(issuer.told.asked) == 1


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize(
    "reply",
    [problem(500, "x"), ok([]), ok({"keys": "none"}), ok({}), (302, {"Location": "/k"}, None)],
)
def test_without_keys_nobody_is_let_in_and_it_is_said_when_to_try_again(
    issuer: Issuer, reply: Any
) -> None:
    issuer.told.replies[:] = [reply]

    answer = AgentClient(issuer.token()).get("action-types/")

    assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unavailable")
    assert answer["Retry-After"] == "60"


@pytest.mark.usefixtures("identity")
def test_known_keys_go_on_counting_while_their_issuer_is_down(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers, "ASK_EVERY", 0)
    monkeypatch.setattr(issuers, "FRESH", 0)
    assert told(issuer.token()) == (200, "")
    issuer.told.replies[:] = [problem(503, "down")]

    assert told(issuer.token()) == (200, "")
    assert len(issuer.told.asked) == 2


def test_a_hanging_issuer_stalls_nobody(cast: Cast, settings: Settings) -> None:
    key = make_key(make_agent(make_person("otto2", "agent owner"), "other-bot"))
    settings.OIDC_NETWORKS = (ip_network("127.0.0.0/8"),)
    with issuing() as signer, hanging_system() as hanging:
        settings.OIDC_HOSTS = [hanging.address.removeprefix("http://")]
        signs_in(cast.agent, hanging.address)
        started = time.monotonic()

        answers = [told(signer.token(iss=hanging.address)) for _ in range(10)]
        first = time.monotonic() - started

        assert set(answers) == {(503, "issuer_unavailable")}
        assert first < issuers.SECONDS + 2  # one of ten waited
        assert told(key) == (200, "")


def test_metadata_of_somebody_else_is_not_believed(cast: Cast, issuer: Issuer) -> None:
    signs_in(cast.agent, issuer.url, keys_url="")
    metadata = {"issuer": "https://other.example", "jwks_uri": f"{issuer.url}/jwks"}
    issuer.told.replies.insert(0, ok(metadata))

    assert told(issuer.token()) == (503, "issuer_unavailable")


def test_metadata_leads_only_to_hosts_of_the_installation(cast: Cast, issuer: Issuer) -> None:
    signs_in(cast.agent, issuer.url, keys_url="")
    with issuing() as villain:
        metadata = {"issuer": issuer.url, "jwks_uri": f"{villain.url}/jwks"}
        issuer.told.replies.insert(0, ok(metadata))

        assert told(issuer.token()) == (503, "issuer_unavailable")
        assert villain.told.asked == []
