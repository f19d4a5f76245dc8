"""Tokens instead of keys: whose they are, and every one that is nobody's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from django.core.cache import cache
from pytest_django.fixtures import Settings

from approvals.models import ActionRequest, Agent, WorkloadIdentity
from audit.models import AuditEvent
from tests.agents.server import ok, problem
from tests.api.make import AgentClient, a_proposal
from tests.approvals.issuing import AUDIENCE, SUBJECT, Issuer, issuing, signs_in, told
from tests.approvals.make import Cast, make_agent, make_key, make_person
from tests.database import triggers_off

pytestmark = pytest.mark.django_db

IN_FUTURE = 3_000


@pytest.fixture
def identity(cast: Cast, issuer: Issuer) -> WorkloadIdentity:
    return signs_in(cast.agent, issuer.url)


# --- Who is let in -------------------------------------------------------------------------------


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_token_of_a_registered_workload_proposes_as_its_agent(
    cast: Cast, issuer: Issuer, algorithm: str
) -> None:
    issuer.new_key("two", algorithm)
    issuer.publish("one", "two")

    answer = AgentClient(issuer.token("two")).propose()

    assert answer.status_code == 201, answer.content
    assert ActionRequest.objects.get().agent == cast.agent
    assert WorkloadIdentity.objects.get().last_used_at is not None


@pytest.mark.usefixtures("identity")
def test_keys_are_fetched_once_for_many_tokens(issuer: Issuer) -> None:
    assert [told(issuer.token()) for _ in range(5)] == [(200, "")] * 5
    assert [asked.path for asked in issuer.told.asked] == ["/keys"]


def test_the_issuers_own_metadata_says_where_its_keys_are(cast: Cast, issuer: Issuer) -> None:
    signs_in(cast.agent, issuer.url, keys_url="")
    metadata = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"}
    issuer.told.replies.insert(0, ok(metadata))

    assert told(issuer.token()) == (200, "")
    paths = [asked.path for asked in issuer.told.asked]
    assert paths == ["/.well-known/openid-configuration", "/jwks"]


def test_each_workload_is_its_own_agent(cast: Cast, issuer: Issuer) -> None:
    staging = make_agent(make_person("otto2", "agent owner"), "staging-bot")
    signs_in(cast.agent, issuer.url, claims={"sub": SUBJECT, "ref": "refs/heads/main"})
    signs_in(staging, issuer.url, claims={"sub": SUBJECT, "ref": "refs/heads/next"})

    AgentClient(issuer.token(ref="refs/heads/next")).propose()

    assert ActionRequest.objects.get().agent == staging
    assert told(issuer.token(ref="refs/heads/other")) == (401, "token_claims")
    assert told(issuer.token()) == (401, "token_claims")


@pytest.mark.usefixtures("identity")
def test_an_audience_may_be_a_list_of_one(issuer: Issuer) -> None:
    assert told(issuer.token(aud=[AUDIENCE])) == (200, "")


@pytest.mark.usefixtures("identity")
def test_keys_go_on_working_beside_tokens_until_the_agent_takes_tokens_only(cast: Cast) -> None:
    key = make_key(cast.agent)
    assert told(key) == (200, "")

    with triggers_off():
        Agent.objects.filter(pk=cast.agent.pk).update(tokens_only=True)

    assert told(key) == (401, "tokens_only")


# --- Who is not ----------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another audience": ({"aud": "https://elsewhere.example"}, "token_audience"),
    "a longer audience": ({"aud": f"{AUDIENCE}/"}, "token_audience"),
    "several audiences": ({"aud": [AUDIENCE, "https://elsewhere.example"]}, "token_audience"),
    "no audience": ({"aud": None}, "token_audience"),
    "an empty audience": ({"aud": []}, "token_audience"),
    "an audience that is no text": ({"aud": [[AUDIENCE]]}, "token_audience"),
    "another subject": ({"sub": "repo:retailer/refunds:environment:staging"}, "token_claims"),
    "a subject that begins alike": ({"sub": f"{SUBJECT}:x"}, "token_claims"),
    "a wildcard": ({"sub": "*"}, "token_claims"),
    "a wildcard behind": ({"sub": "repo:retailer/refunds:*"}, "token_claims"),
    "no subject": ({"sub": None}, "token_claims"),
    "a subject in a list": ({"sub": [SUBJECT]}, "token_claims"),
    "another case": ({"sub": SUBJECT.upper()}, "token_claims"),
    "a space": ({"sub": f"{SUBJECT} "}, "token_claims"),
    "no end": ({"exp": None}, "token_malformed"),
    "no beginning": ({"iat": None}, "token_malformed"),
    "an end that is no number": ({"exp": "9999999999"}, "token_malformed"),
    "an end that is true": ({"exp": True}, "token_malformed"),
    "an end without end": ({"exp": float("inf")}, "token_malformed"),
    "an end that is not a number": ({"exp": float("nan")}, "token_malformed"),
    "a beginning that is not a number": ({"iat": float("nan")}, "token_malformed"),
    "a time not before that is no number": ({"nbf": "soon"}, "token_malformed"),
}


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize(("claims", "code"), REFUSED.values(), ids=REFUSED)
def test_a_signed_token_that_is_not_exactly_the_registered_one_lets_nobody_in(
    issuer: Issuer, claims: dict[str, Any], code: str
) -> None:
    assert told(issuer.token(**claims)) == (401, code)


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize(
    ("begins", "lives", "not_before", "code"),
    [
        (-301, 300, 0, "token_expired"),
        (-300, 300, 0, "token_expired"),
        (-3600, 3660, 0, "token_too_long_lived"),
        (0, 3601, 0, "token_too_long_lived"),
        (0, 10**12, 0, "token_too_long_lived"),
        (60, 300, 60, "token_not_yet_valid"),
        (0, 300, 60, "token_not_yet_valid"),
        (IN_FUTURE, 300, 0, "token_not_yet_valid"),
        (0, 3600, 0, ""),
        (15, 300, 15, ""),
    ],
)
def test_a_token_counts_in_its_time_and_for_an_hour_at_most(
    issuer: Issuer, begins: int, lives: int, not_before: int, code: str
) -> None:
    now = issuer.claims()["iat"]
    token = issuer.token(iat=now + begins, exp=now + begins + lives, nbf=now + not_before)

    assert told(token) == (401 if code else 200, code)


def part(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "", None])
def test_an_unsigned_token_lets_nobody_in(issuer: Issuer, algorithm: str | None) -> None:
    token = f"{part({'alg': algorithm, 'kid': 'one', 'typ': 'JWT'})}.{part(issuer.claims())}."

    status, code = told(token)

    assert status == 401
    assert code in {"token_algorithm", "token_malformed"}


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_secret_to_sign_with(issuer: Issuer, algorithm: str) -> None:
    _, private = issuer.keys["one"]
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{part({'alg': algorithm, 'kid': 'one'})}.{part(issuer.claims())}"
    mac = hmac.new(public, signed.encode(), getattr(hashlib, f"sha{algorithm[2:]}")).digest()

    assert told(f"{signed}.{part(mac)}") == (401, "token_algorithm")


@pytest.mark.usefixtures("identity")
def test_a_key_of_ones_own_under_a_known_id_is_not_the_issuers(issuer: Issuer) -> None:
    genuine = issuer.keys["one"]
    issuer.new_key("one")
    forged = issuer.token()
    issuer.keys["one"] = genuine

    assert told(forged) == (401, "token_signature")
    assert told(issuer.token()) == (200, "")


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize("name", ["jku", "x5u", "jwk"])
def test_a_token_does_not_say_where_its_keys_are(issuer: Issuer, name: str) -> None:
    with issuing() as villain:
        where = villain.jwk("one") if name == "jwk" else f"{villain.url}/keys"
        _, private = villain.keys["one"]
        token = jwt.encode(
            issuer.claims(), private, algorithm="RS256", headers={"kid": "one", name: where}
        )

        assert told(token) == (401, "token_signature")
        assert villain.told.asked == []


@pytest.mark.usefixtures("identity")
def test_a_key_is_used_for_its_own_algorithm_alone(issuer: Issuer) -> None:
    issuer.new_key("two", "ES256")
    issuer.publish("one", "two")
    _, private = issuer.keys["two"]
    token = jwt.encode(issuer.claims(), private, algorithm="ES256", headers={"kid": "one"})

    assert told(token) == (401, "token_key")


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "RS512"}, {"kid": "other"}, {"d": "x"}])
def test_a_key_that_is_not_for_signing_so_signs_nothing(
    issuer: Issuer, change: dict[str, str]
) -> None:
    issuer.publish("one", **change)

    assert told(issuer.token()) == (401, "token_key")


@pytest.mark.usefixtures("identity")
def test_two_keys_of_one_id_are_no_key(issuer: Issuer) -> None:
    issuer.told.replies[:] = [ok({"keys": [issuer.jwk("one"), issuer.jwk("one")]})]

    assert told(issuer.token()) == (401, "token_key")


@pytest.mark.usefixtures("identity")
def test_another_issuer_signs_for_nobody_with_our_issuers_key_id(
    settings: Settings, cast: Cast, issuer: Issuer
) -> None:
    other = make_agent(make_person("otto2", "agent owner"), "other-bot")
    with issuing() as villain:
        settings.OIDC_HOSTS = [*settings.OIDC_HOSTS, villain.url.removeprefix("http://")]
        signs_in(other, villain.url)

        assert told(villain.token(iss=issuer.url)) == (401, "token_signature")
        AgentClient(villain.token()).propose()

    assert ActionRequest.objects.get().agent == other


@pytest.mark.usefixtures("identity")
def test_an_issuer_nobody_registered_is_not_even_asked(issuer: Issuer) -> None:
    with issuing() as stranger:
        assert told(stranger.token()) == (401, "token_issuer")
        assert stranger.told.asked == []
    assert issuer.told.asked == []


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize(
    "token", ["a.b.c", "..", "a" * 9000 + ".b.c", "é.b.c", "e30.e30.e30", "W10.W10.W10"]
)
def test_what_is_no_token_lets_nobody_in(token: str) -> None:
    status, code = told(token)

    assert status == 401
    assert code in {"token_malformed", "token_algorithm", "not_authenticated"}


@pytest.mark.usefixtures("identity")
def test_a_header_nobody_here_understands_is_refused(issuer: Issuer) -> None:
    _, private = issuer.keys["one"]
    headers = {"kid": "one", "crit": ["exp"]}
    token = jwt.encode(issuer.claims(), private, algorithm="RS256", headers=headers)

    assert told(token) == (401, "token_malformed")


@pytest.mark.usefixtures("identity")
def test_a_token_without_the_id_of_its_key_is_refused(issuer: Issuer) -> None:
    _, private = issuer.keys["one"]
    token = jwt.encode(issuer.claims(), private, algorithm="RS256")

    assert told(token) == (401, "token_key")


# --- What is kept, and what is told --------------------------------------------------------------


@pytest.mark.usefixtures("identity")
def test_a_token_is_in_no_log_and_on_no_record(
    issuer: Issuer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    good, bad = issuer.token(), issuer.token(aud="https://elsewhere.example")
    AgentClient(good).propose(a_proposal())
    told(bad)
    issuer.told.replies[:] = [problem(500, "x")]
    cache.clear()
    told(good)

    written = caplog.text + "".join(capfd.readouterr())
    for token in (good, bad):
        signature = token.rsplit(".", 1)[1]
        assert signature not in written
        assert not AuditEvent.objects.filter(data__contains=signature).exists()


@pytest.mark.usefixtures("identity")
def test_wrong_tokens_are_counted_like_wrong_keys(issuer: Issuer) -> None:
    villain = issuer.token(sub="villain")
    answers = [told(villain)[0] for _ in range(31)]

    assert (set(answers[:30]), answers[30]) == ({401}, 429)
    assert told(issuer.token()) == (200, "")
