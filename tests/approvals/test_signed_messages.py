"""Signed messages: they prove who proposed what, once, and nothing that was changed counts."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from http_message_signatures import ContentDigest, algorithms
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from approvals.api.parsers import MAX_BYTES
from approvals.models import ActionRequest, Agent, SignatureNonce, SigningKey
from approvals.selectors.signatures import proof_of, public_key_of, thumbprint
from approvals.services.signing_keys import remove_signing_key
from approvals.services.sweep import sweep
from audit.actors import Actor
from audit.models import AuditEvent
from audit.selectors import events_of
from audit.verify import verify
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import Cast, make_agent, make_key, make_person, publish
from tests.approvals.signing import COVERED, Signer, ago, make_signer, pem_of, told
from tests.approvals.story import facts_of
from tests.database import triggers_off
from tests.mcp.make import Mcp

pytestmark = pytest.mark.django_db


@pytest.fixture
def signer(cast: Cast) -> Signer:
    return make_signer(cast.agent)


@pytest.fixture
def _required(cast: Cast) -> None:
    with triggers_off():
        Agent.objects.filter(pk=cast.agent.pk).update(signatures_required=True)


# --- What it proves -------------------------------------------------------------------------------


def test_the_trail_proves_to_anybody_who_proposed_what(cast: Cast, signer: Signer) -> None:
    sent = signer.sign(signer.message(body=a_proposal(intent="Broken lamp, photo received.")))
    assert told(signer.send(sent)) == (201, "")

    request = ActionRequest.objects.get()
    event = AuditEvent.objects.get(code="request.requested", subject_id=str(request.pk))
    signed = json.loads(event.data)["signature"]
    body = request.contents.get(version=1).signed_body

    assert signed["key_id"] == signer.key_id == thumbprint(signed["public_key"])
    public_key_of(signed["public_key"]).verify(  # raises when it does not hold
        base64.b64decode(signed["value"]), signed["base"].encode()
    )
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    assert f'"content-digest": sha-256=:{digest}:' in signed["base"].splitlines()
    assert json.loads(body) == json.loads(sent.body)
    assert f'"idempotency-key": {sent.headers["Idempotency-Key"]}' in signed["base"].splitlines()
    assert facts_of(request)["agent.signed"] is True
    assert str(proof_of(request, events_of(request))).endswith("it holds")
    assert verify().problem is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("base", "other"), ("value", "AAAA"), ("public_key", "A" * 43), ("key_id", "k" * 43)],
)
def test_a_record_that_was_tampered_with_does_not_hold(
    cast: Cast, signer: Signer, name: str, value: str
) -> None:
    signer.propose()
    request = ActionRequest.objects.get()
    event = AuditEvent.objects.get(code="request.requested")
    data = json.loads(event.data)
    data["signature"][name] = value
    event.data = json.dumps(data)

    assert str(proof_of(request, [event])).endswith("it does NOT hold")


def test_another_body_than_the_signed_one_does_not_hold(cast: Cast, signer: Signer) -> None:
    signer.propose()
    request = ActionRequest.objects.get()
    with triggers_off():
        request.contents.update(signed_body="{}")

    proof = proof_of(ActionRequest.objects.get(), events_of(request))

    assert proof is not None
    assert not proof.holds


def test_what_is_not_signed_is_not_said_to_be(cast: Cast, signer: Signer) -> None:
    AgentClient(signer.bearer).propose()

    request = ActionRequest.objects.get()
    assert facts_of(request)["agent.signed"] is False
    assert request.contents.get().signed_with == ""


def test_policy_may_demand_it(cast: Cast, signer: Signer) -> None:
    publish(cast, ("rules:\n", f"rules:\n{ONLY_SIGNED}"))

    unsigned = AgentClient(signer.bearer).propose()
    signed = signer.propose(a_proposal({**a_proposal()["params"], "charge": "ch_1003"}))

    assert unsigned.json()["state"] == "denied"
    assert signed.json()["state"] != "denied"


ONLY_SIGNED = """
  - id: only-signed
    owner: head of finance
    reason: Money moves on signed proposals alone.
    on: [refund.issue]
    when:
      - "!agent.signed"
    effect: deny
"""


def test_steps_of_a_plan_and_tools_over_mcp_carry_the_signature_of_their_message(
    cast: Cast, signer: Signer
) -> None:
    steps = [
        {"action_type": "crm.update", "params": {"record": r, "fields": {"stage": "won"}}}
        for r in ("acct_2001", "acct_2002")
    ]
    plan = signer.message("plans/", {"intent": "Both were won.", "steps": steps})
    assert told(signer.send(signer.sign(plan))) == (201, "")
    assert {request.contents.get().signed_with for request in ActionRequest.objects.all()} == {
        signer.key_id
    }

    mcp = Mcp(signer.bearer)
    arguments = {**a_proposal()["params"], "intent": "Broken lamp."}
    envelope, headers = mcp.envelope("tools/call", {"name": "refund_issue", "arguments": arguments})
    call = signer.message(body=envelope)
    call.url = call.url.removesuffix("api/v1/actions/") + "mcp/"
    call.headers |= headers
    answer = signer.send(signer.sign(call))

    assert answer.status_code == 200, answer.content
    newest = ActionRequest.objects.latest("created_at")
    assert newest.contents.get(version=1).signed_with == signer.key_id


# --- Required -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_required")
def test_where_signatures_are_required_nothing_else_changes_anything(
    cast: Cast, signer: Signer
) -> None:
    unsigned = AgentClient(signer.bearer)

    assert told(unsigned.propose()) == (401, "signature_required")
    assert told(unsigned.post("actions/check/", a_proposal())) == (401, "signature_required")
    assert Mcp(signer.bearer).post({"jsonrpc": "2.0"}).status_code == 401
    assert told(unsigned.get("actions/")) == (200, "")
    assert told(signer.propose()) == (201, "")


# --- What does not count --------------------------------------------------------------------------


@pytest.mark.parametrize("left_out", COVERED)
def test_a_signature_covers_all_that_matters(signer: Signer, left_out: str) -> None:
    covered = [name for name in COVERED if name != left_out]

    assert signer.propose(covered=covered).status_code == 401
    assert not ActionRequest.objects.exists()


def test_a_changed_body_does_not_count(signer: Signer) -> None:
    sent = signer.sign(signer.message())
    sent.body = sent.body.replace(b"damaged", b"perfect")
    assert told(signer.send(sent)) == (401, "signature_invalid")

    sent.headers["Content-Digest"] = ContentDigest.create(sent.body)
    assert told(signer.send(sent)) == (401, "signature_invalid")


def test_another_address_method_or_key_does_not_count(signer: Signer) -> None:
    sent = signer.sign(signer.message())
    sent.url = sent.url + "check/"
    assert told(signer.send(sent)) == (401, "signature_invalid")

    sent = signer.sign(signer.message())
    sent.headers["Idempotency-Key"] = "another"
    assert told(signer.send(sent)) == (401, "signature_invalid")

    sent = signer.sign(signer.message(method="PUT"))
    sent.method = "POST"
    assert told(signer.send(sent)) == (401, "signature_invalid")


def test_a_message_for_another_installation_does_not_count(signer: Signer) -> None:
    sent = signer.message()
    here, sent.url = sent.url, sent.url.replace("127.0.0.1", "elsewhere.example")
    signer.sign(sent)
    sent.url = here

    assert told(signer.send(sent)) == (401, "signature_invalid")


def test_a_nonce_counts_once(signer: Signer) -> None:
    sent = signer.sign(signer.message())

    assert told(signer.send(sent)) == (201, "")
    assert told(signer.send(sent)) == (401, "signature_replayed")
    again = signer.sign(signer.message(key=sent.headers["Idempotency-Key"]))
    assert told(signer.send(again)) == (200, "")  # the same request, signed anew


@pytest.mark.parametrize("nonce", [None, "short", "x" * 101, "sixteen with space"])
def test_a_nonce_is_proper(signer: Signer, nonce: str | None) -> None:
    assert told(signer.propose(nonce=nonce)) == (401, "signature_incomplete")


@pytest.mark.parametrize(
    ("age", "code"),
    [(290, ""), (-20, ""), (310, "signature_expired"), (-60, "signature_expired")],
)
def test_a_signature_counts_for_five_minutes(signer: Signer, age: int, code: str) -> None:
    assert told(signer.propose(created=ago(age))) == (401 if code else 201, code)


def test_a_signature_ends_when_it_says(signer: Signer) -> None:
    answer = signer.propose(created=ago(60), expires=ago(1))

    assert told(answer) == (401, "signature_expired")


def test_nobody_signs_with_another_agents_key(cast: Cast, signer: Signer) -> None:
    other = make_signer(make_agent(make_person("otto2", "agent owner"), "other-bot"))

    answer = signer.propose(key_id=other.key_id, private=other.private)

    assert told(answer) == (401, "signature_key")


def test_a_key_of_ones_own_under_the_registered_id_does_not_count(signer: Signer) -> None:
    answer = signer.propose(private=Ed25519PrivateKey.generate())

    assert told(answer) == (401, "signature_invalid")


def test_the_public_key_is_no_secret_to_sign_with(signer: Signer) -> None:
    secret = pem_of(signer.private).encode()

    answer = signer.propose(private=secret, algorithm=algorithms.HMAC_SHA256)

    assert told(answer) == (401, "signature_invalid")


def test_a_removed_key_signs_nothing_new(cast: Cast, signer: Signer) -> None:
    assert told(signer.propose()) == (201, "")

    remove_signing_key(SigningKey.objects.get().pk, actor=Actor.human(cast.owner))

    assert told(signer.propose()) == (401, "signature_key")


def test_two_signatures_are_not_one(signer: Signer) -> None:
    sent = signer.sign(signer.message())
    sent.headers["Signature-Input"] += ", b" + sent.headers["Signature-Input"]
    sent.headers["Signature"] += ", b" + sent.headers["Signature"]

    assert told(signer.send(sent)) == (401, "signature_invalid")


def test_a_signature_half_there_is_refused_not_ignored(signer: Signer) -> None:
    for name in ("Signature", "Signature-Input"):
        sent = signer.sign(signer.message())
        del sent.headers[name]

        assert told(signer.send(sent)) == (401, "signature_invalid")


def test_a_body_over_the_cap_is_refused_before_it_is_read(signer: Signer) -> None:
    answer = signer.propose(b" " * (MAX_BYTES + 1))

    assert told(answer) == (413, "body_too_large")


@trying(suppress_health_check=list(HealthCheck))
@given(
    given_input=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80),
    is_half=st.booleans(),
)
def test_whatever_the_headers_say_it_is_a_401(
    signer: Signer, given_input: str, value: str, is_half: bool
) -> None:
    sent = signer.sign(signer.message())
    if is_half:
        sent.headers["Signature-Input"] += given_input
    else:
        sent.headers |= {"Signature-Input": given_input, "Signature": value}

    answer: Any = signer.send(sent)

    assert answer.status_code in ({401, 201} if is_half else {401}), answer.content


# --- Nonces are forgotten, and race-safe ----------------------------------------------------------


def test_nonces_are_forgotten_once_nothing_could_count_with_them(signer: Signer) -> None:
    signer.propose()
    sweep()
    assert SignatureNonce.objects.count() == 1

    SignatureNonce.objects.update(seen_at=ago(timedelta(minutes=12).total_seconds()))
    sweep()

    assert not SignatureNonce.objects.exists()


def test_a_bad_signature_uses_no_nonce_up(signer: Signer) -> None:
    sent = signer.sign(signer.message())
    body, sent.body = sent.body, b"{}"
    assert told(signer.send(sent)) == (401, "signature_invalid")

    sent.body = body
    assert told(signer.send(sent)) == (201, "")


def test_without_a_signature_nothing_is_asked_about_one(cast: Cast) -> None:
    client = AgentClient(make_key(cast.agent))
    with connection.execute_wrapper(_no_signing_keys):
        assert client.get("actions/").status_code == 200


def _no_signing_keys(execute: Any, sql: str, *rest: Any) -> Any:
    assert "signingkey" not in sql
    return execute(sql, *rest)
