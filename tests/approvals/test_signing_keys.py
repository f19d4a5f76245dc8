"""Signing keys: two ops admins register one, each agent has its own, whoever keeps it ends it."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.urls import reverse

from approvals.exceptions import ApprovalError, NotAuthorised
from approvals.models import ActionRequest, Agent, SigningKey
from approvals.services.agents import change_agent
from approvals.services.signing_keys import MOST_KEYS, register_signing_key, remove_signing_key
from audit.actors import Actor
from audit.verify import verify
from policies.exceptions import PolicyError
from policies.models import AuthorityChange
from policies.services.dual_control import agree
from tests.admin.visit import said, visit
from tests.approvals.make import Cast, make_agent, make_key, make_person
from tests.approvals.signing import Signer, make_signer, pem_of, told

pytestmark = pytest.mark.django_db


def proposed(cast: Cast, pem: str, actor: Any = None) -> AuthorityChange:
    change = register_signing_key(
        cast.agent.pk, pem, actor=Actor.human(actor or cast.ada), reason="signs from now on"
    )
    assert isinstance(change, AuthorityChange)
    return change


def test_no_signature_counts_before_a_second_ops_admin_agrees(cast: Cast) -> None:
    private = Ed25519PrivateKey.generate()
    change = proposed(cast, pem_of(private))
    assert not SigningKey.objects.exists()

    with pytest.raises(PolicyError, match="somebody else"):
        agree(change.pk, actor=Actor.human(cast.ada), reason="mine")
    agree(change.pk, actor=Actor.human(cast.alan), reason="seen")

    signer = Signer(make_key(cast.agent), SigningKey.objects.get().key_id, private)
    assert told(signer.propose()) == (201, "")
    assert SigningKey.objects.get().last_used_at is not None
    assert verify().problem is None


@pytest.mark.parametrize("who", ["owner", "mona"])
def test_only_ops_admins_propose_one(cast: Cast, who: str) -> None:
    with pytest.raises(PolicyError) as error:
        proposed(cast, pem_of(Ed25519PrivateKey.generate()), getattr(cast, who))

    assert error.value.code == "not_ops_admin"


def private_pem() -> str:
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


@pytest.mark.parametrize(
    "make",
    [
        private_pem,
        lambda: pem_of(ec.generate_private_key(ec.SECP256R1())),
        lambda: "no key",
        lambda: "",
        lambda: pem_of(Ed25519PrivateKey.generate()) + "x" * 1_000,
    ],
)
def test_only_a_public_ed25519_key_is_registered(cast: Cast, make: Any) -> None:
    with pytest.raises(PolicyError) as error:
        proposed(cast, make())

    assert error.value.code == "bad_key"
    assert not AuthorityChange.objects.exists()


def test_no_two_agents_have_one_key(cast: Cast) -> None:
    other = make_signer(make_agent(make_person("otto2", "agent owner"), "other-bot"))

    with pytest.raises(PolicyError, match="each agent has its own"):
        proposed(cast, pem_of(other.private))


def test_an_agent_has_a_few_keys_for_changing_them_and_no_more(cast: Cast) -> None:
    for _ in range(MOST_KEYS):
        make_signer(cast.agent)

    with pytest.raises(PolicyError, match="at most"):
        proposed(cast, pem_of(Ed25519PrivateKey.generate()))


def test_who_keeps_the_agent_ends_a_key_and_nobody_else(cast: Cast) -> None:
    make_signer(cast.agent)
    key = SigningKey.objects.get()

    with pytest.raises(NotAuthorised):
        remove_signing_key(key.pk, actor=Actor.human(cast.otto))
    remove_signing_key(key.pk, actor=Actor.human(cast.owner))

    with pytest.raises(ApprovalError, match="already"):
        remove_signing_key(key.pk, actor=Actor.human(cast.owner))


def change(cast: Cast, actor: Actor, **wanted: Any) -> Agent:
    agent = Agent.objects.get(pk=cast.agent.pk)
    as_it_is: dict[str, Any] = {
        "owner": agent.owner, "team": agent.team, "action_types": agent.action_types,
        "model": agent.model, "ceiling": agent.ceiling,
    }  # fmt: skip
    return change_agent(agent.pk, actor=actor, **(as_it_is | wanted))


def test_an_owner_demands_signatures_and_another_ops_admin_gives_them_up(cast: Cast) -> None:
    change(cast, Actor.human(cast.owner), signatures_required=True)

    with pytest.raises(NotAuthorised):
        change(cast, Actor.human(cast.owner), signatures_required=False)
    assert Agent.objects.get(pk=cast.agent.pk).signatures_required

    change(cast, Actor.human(cast.ada), signatures_required=False)
    assert not Agent.objects.get(pk=cast.agent.pk).signatures_required


def test_a_new_owner_answers_for_no_key_somebody_else_registered(cast: Cast) -> None:
    make_signer(cast.agent)

    change(cast, Actor.human(cast.ada), owner=make_person("heidi", "agent owner"))

    assert SigningKey.objects.get().removed_at is not None


def test_a_key_is_proposed_agreed_to_shown_and_removed_on_pages(cast: Cast) -> None:
    page = reverse("admin:approvals_agent_change", args=[cast.agent.pk])
    register = reverse("admin:approvals_agent_register_signing_key", args=[cast.agent.pk])
    ada, alan, olga = (visit(person) for person in (cast.ada, cast.alan, cast.owner))
    private = Ed25519PrivateKey.generate()

    form = {"public_key": pem_of(private), "reason": "signs from now on"}
    olga.post(register, form)
    assert not AuthorityChange.objects.exists()
    ada.post(register, form, follow=True)
    waiting = AuthorityChange.objects.get()
    alan.post(
        reverse("admin:policies_authoritychange_agree", args=[waiting.pk]), {"reason": "seen"}
    )
    (key,) = SigningKey.objects.all()
    assert key.key_id in said(olga.get(page))
    Signer(make_key(cast.agent), key.key_id, private).propose()
    record = reverse("admin:approvals_actionrequest_change", args=[ActionRequest.objects.get().pk])
    assert f"with key {key.key_id}; it holds" in said(olga.get(record))

    remove = reverse("admin:approvals_agent_remove_signing_key", args=[cast.agent.pk])
    olga.post(remove, {"key": str(key.pk)}, follow=True)  # which says so, with its id

    assert key.key_id not in said(olga.get(page))
