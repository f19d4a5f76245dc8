"""Identities: two ops admins register one, exactly and for one agent; whoever keeps it ends it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from approvals.exceptions import ApprovalError, NotAuthorised
from approvals.models import Agent, WorkloadIdentity
from approvals.services.agents import change_agent
from approvals.services.workload_identities import claims_from, register_identity, remove_identity
from audit.actors import Actor
from audit.selectors import events_of
from audit.verify import verify
from policies.exceptions import PolicyError
from policies.models import AuthorityChange
from policies.services.dual_control import agree
from tests.admin.visit import said, visit
from tests.approvals.issuing import (
    AUDIENCE,
    SUBJECT,
    Issuer,
    agreed,
    proposed,
    signs_in,
    terms,
    told,
)
from tests.approvals.make import Cast, make_agent, make_key, make_person
from tests.mcp.make import Mcp

pytestmark = pytest.mark.django_db

ISSUER = "https://token.actions.example"
METADATA = "/.well-known/oauth-protected-resource/mcp"


@pytest.fixture(autouse=True)
def _hosts(settings: Settings) -> None:
    settings.OIDC_HOSTS = ["token.actions.example", "keys.example:8443"]


def refused(cast: Cast, **changes: Any) -> str:
    with pytest.raises(PolicyError) as error:
        proposed(cast, terms(ISSUER, keys_url="", **changes))
    return error.value.code


# --- Two people ----------------------------------------------------------------------------------


def test_nothing_counts_before_a_second_ops_admin_agrees(cast: Cast, issuer: Issuer) -> None:
    change = proposed(cast, terms(issuer.url))
    assert told(issuer.token()) == (401, "token_issuer")

    with pytest.raises(PolicyError, match="somebody else"):
        agree(change.pk, actor=Actor.human(cast.ada), reason="mine")
    assert told(issuer.token()) == (401, "token_issuer")

    agree(change.pk, actor=Actor.human(cast.alan), reason="seen")
    assert told(issuer.token()) == (200, "")
    event = events_of(cast.agent).last()
    assert event is not None
    assert (event.code, event.actor_name) == ("agent.identity_registered", "alan")
    assert '"proposed_by":"ada"' in event.data
    assert verify().problem is None


@pytest.mark.parametrize("who", ["owner", "mona", "sara"])
def test_only_ops_admins_propose_one(cast: Cast, who: str) -> None:
    with pytest.raises(PolicyError) as error:
        register_identity(
            cast.agent.pk,
            terms(ISSUER, keys_url=""),
            actor=Actor.human(getattr(cast, who)),
            reason="mine",
        )

    assert error.value.code == "not_ops_admin"
    assert not AuthorityChange.objects.exists()


def test_what_has_become_wrong_meanwhile_is_not_agreed_to(cast: Cast, settings: Settings) -> None:
    change = proposed(cast, terms(ISSUER, keys_url=""))
    settings.OIDC_HOSTS = []

    with pytest.raises(PolicyError, match="OIDC_HOSTS"):
        agree(change.pk, actor=Actor.human(cast.alan), reason="seen")

    assert not WorkloadIdentity.objects.exists()


# --- What can be registered ----------------------------------------------------------------------

BAD: dict[str, dict[str, Any]] = {
    "no subject": {"claims": {"repository": "retailer/refunds"}},
    "an empty subject": {"claims": {"sub": ""}},
    "a wildcard": {"claims": {"sub": "repo:retailer/*"}},
    "a claim checked apart": {"claims": {"sub": SUBJECT, "aud": "x"}},
    "many claims": {"claims": {"sub": SUBJECT, **{f"c{n}": "x" for n in range(20)}}},
    "a long claim": {"claims": {"sub": "x" * 301}},
    "no audience": {"audience": ""},
    "two audiences": {"audience": f"{AUDIENCE} https://b.example"},
    "a host nobody named": {"issuer": "https://evil.example"},
    "plain http": {"issuer": "http://token.actions.example"},
    "a user": {"issuer": "https://me@token.actions.example"},
    "a question": {"issuer": f"{ISSUER}?x=1"},
    "this machine": {"issuer": "http://127.0.0.1:80"},
    "keys elsewhere": {"keys_url": "https://evil.example/keys"},
    "keys at another port": {"keys_url": "https://keys.example/keys"},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_what_is_not_exact_or_leads_elsewhere_is_refused(
    cast: Cast, changes: dict[str, Any]
) -> None:
    with pytest.raises(PolicyError) as error:
        proposed(cast, terms(**({"issuer": ISSUER, "keys_url": ""} | changes)))

    assert error.value.code == "bad_identity"


@pytest.mark.parametrize(
    ("other", "is_possible"),
    [
        ({"sub": SUBJECT}, False),
        ({"sub": SUBJECT, "ref": "main"}, False),
        ({"sub": SUBJECT, "environment": "production"}, False),
        ({"sub": SUBJECT, "ref": "next"}, True),
        ({"sub": f"{SUBJECT}-2"}, True),
    ],
)
def test_no_token_can_be_two_agents(cast: Cast, other: dict[str, str], is_possible: bool) -> None:
    staging = make_agent(make_person("otto2", "agent owner"), "staging-bot")
    first = {"sub": SUBJECT, "ref": "main"}
    signs_in(staging, ISSUER, keys_url="", claims=first)

    if is_possible:
        agreed(cast, terms(ISSUER, keys_url="", claims=other))
    else:
        assert refused(cast, claims=other) == "bad_identity"


def test_a_token_that_fits_two_after_all_is_nobodys(cast: Cast, issuer: Issuer) -> None:
    """Two agreements at the same moment; each was possible when it was looked at."""
    staging = make_agent(make_person("otto2", "agent owner"), "staging-bot")
    signs_in(cast.agent, issuer.url)
    one = WorkloadIdentity.objects.get()
    WorkloadIdentity.objects.create(
        agent=staging, issuer=one.issuer, audience=one.audience, keys_url=one.keys_url,
        claims=one.claims, created_at=one.created_at,
    )  # fmt: skip

    assert told(issuer.token()) == (401, "token_claims")


def test_claims_are_written_a_line_each() -> None:
    assert claims_from("sub = a=b \n\n ref=main\r\n") == {"sub": "a=b", "ref": "main"}
    for wrong in ("sub", "= x", "sub =", "sub = a\nsub = b"):
        with pytest.raises(PolicyError):
            claims_from(wrong)


# --- Ending one ----------------------------------------------------------------------------------


def test_a_removed_identity_stops_counting_at_once(cast: Cast, issuer: Issuer) -> None:
    identity = signs_in(cast.agent, issuer.url)
    assert told(issuer.token()) == (200, "")

    remove_identity(identity.pk, actor=Actor.human(cast.owner))

    assert told(issuer.token()) == (401, "token_issuer")
    with pytest.raises(ApprovalError, match="already"):
        remove_identity(identity.pk, actor=Actor.human(cast.owner))


def test_nobody_else_removes_one(cast: Cast) -> None:
    identity = signs_in(cast.agent, ISSUER, keys_url="")

    with pytest.raises(NotAuthorised):
        remove_identity(identity.pk, actor=Actor.human(cast.otto))

    identity.refresh_from_db()
    assert identity.removed_at is None


def change(cast: Cast, actor: Actor, **wanted: Any) -> Agent:
    agent = Agent.objects.get(pk=cast.agent.pk)
    as_it_is: dict[str, Any] = {
        "owner": agent.owner, "team": agent.team, "action_types": agent.action_types,
        "model": agent.model, "ceiling": agent.ceiling,
    }  # fmt: skip
    return change_agent(agent.pk, actor=actor, **(as_it_is | wanted))


def test_a_new_owner_answers_for_no_identity_somebody_else_registered(cast: Cast) -> None:
    identity = signs_in(cast.agent, ISSUER, keys_url="")
    heir = make_person("heidi", "agent owner")

    change(cast, Actor.human(cast.ada), owner=heir)

    identity.refresh_from_db()
    assert identity.removed_at is not None
    assert verify().problem is None


def test_an_owner_gives_keys_up_and_another_ops_admin_takes_them_back(cast: Cast) -> None:
    key = make_key(cast.agent)
    change(cast, Actor.human(cast.owner), tokens_only=True)
    assert told(key) == (401, "tokens_only")

    with pytest.raises(NotAuthorised):
        change(cast, Actor.human(cast.owner), tokens_only=False)
    assert told(key) == (401, "tokens_only")

    change(cast, Actor.human(cast.ada), tokens_only=False)
    assert told(key) == (200, "")


# --- The page ------------------------------------------------------------------------------------

FORM = {
    "issuer": ISSUER, "audience": AUDIENCE, "keys_url": "", "claims": f"sub = {SUBJECT}",
    "reason": "no key in CI",
}  # fmt: skip

REGISTERED = f"<code>{SUBJECT}</code>"


def test_an_identity_is_proposed_agreed_to_and_removed_on_pages(cast: Cast) -> None:
    page = reverse("admin:approvals_agent_change", args=[cast.agent.pk])
    register = reverse("admin:approvals_agent_register_identity", args=[cast.agent.pk])
    ada, alan, olga = (visit(person) for person in (cast.ada, cast.alan, cast.owner))

    waiting = ada.post(register, FORM, follow=True)
    assert SUBJECT in said(waiting)
    assert REGISTERED not in said(ada.get(page))
    agreeing = reverse(
        "admin:policies_authoritychange_agree", args=[AuthorityChange.objects.get().pk]
    )
    alan.post(agreeing, {"reason": "seen"})
    assert REGISTERED in said(olga.get(page))
    assert "by token" in said(ada.get(reverse("admin:approvals_agent_changelist")))
    assert SUBJECT in said(olga.get(reverse("admin:approvals_workloadidentity_changelist")))
    (identity,) = WorkloadIdentity.objects.all()
    remove = reverse("admin:approvals_agent_remove_identity", args=[cast.agent.pk])
    olga.post(remove, {"identity": str(identity.pk)})

    assert REGISTERED not in said(olga.get(page))


def test_an_owner_is_shown_no_form_and_gets_nowhere_without_it(cast: Cast) -> None:
    olga = visit(cast.owner)
    page = olga.get(reverse("admin:approvals_agent_change", args=[cast.agent.pk]))
    register = reverse("admin:approvals_agent_register_identity", args=[cast.agent.pk])

    olga.post(register, FORM)

    assert "Propose the identity" not in said(page)
    assert not AuthorityChange.objects.exists()


def test_an_identity_is_removed_only_on_its_own_agents_page(cast: Cast) -> None:
    other = make_agent(cast.owner, "other-bot")
    identity = signs_in(other, ISSUER, keys_url="")
    remove = reverse("admin:approvals_agent_remove_identity", args=[cast.agent.pk])

    visit(cast.owner).post(remove, {"identity": str(identity.pk)})

    identity.refresh_from_db()
    assert identity.removed_at is None


# --- MCP -----------------------------------------------------------------------------------------


def test_clients_of_mcp_learn_whose_tokens_count_once_any_do(
    cast: Cast, settings: Settings
) -> None:
    client = Client()
    assert client.get(METADATA).status_code == 404
    assert client.get(METADATA).json()["code"] == "not_found"
    assert "resource_metadata" not in Mcp("csk_wrong").post({})["WWW-Authenticate"]

    signs_in(cast.agent, ISSUER, keys_url="")

    told = client.get(METADATA).json()
    assert told["resource"] == f"{settings.BASE_URL}/mcp"
    assert told["authorization_servers"] == [ISSUER]
    challenge = Mcp("csk_wrong").post({})["WWW-Authenticate"]
    assert challenge.endswith(f'resource_metadata="{settings.BASE_URL}{METADATA}"')
    assert "resource_metadata" not in client.get("/api/v1/actions/")["WWW-Authenticate"]


def test_an_agent_calls_tools_with_its_token(cast: Cast, issuer: Issuer) -> None:
    signs_in(cast.agent, issuer.url)

    tools = Mcp(issuer.token()).ask("tools/list")["tools"]

    assert "refund_issue" in {tool["name"] for tool in tools}
