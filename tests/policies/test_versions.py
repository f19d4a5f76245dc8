"""Drafting and publishing: two people, passing tests, one version in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connection, transaction

from audit.actors import Actor, ActorKind
from policies.exceptions import PolicyError
from policies.models import PolicyVersion, User
from policies.services.evaluation import active_version, evaluate_active
from policies.services.versions import draft_version, install_default, publish_version
from policies.verdicts import Verdict
from policies.yaml_source import DocumentError
from tests.policies.make import SMALL, SYSTEM, clean_refund, codes, make_facts, make_user

pytestmark = pytest.mark.django_db

FAILING = """\
tests:
- {name: wrong, facts: {action.amount: 50}, expect: {verdict: deny}}
"""


@pytest.fixture
def alice() -> User:
    return make_user("alice", "ops admin")


@pytest.fixture
def bob() -> User:
    return make_user("bob", "ops admin")


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(PolicyError) as refusal:
        yield
    assert refusal.value.code == code
    assert refusal.value.message.endswith(".")


def test_a_draft_is_published_by_somebody_else_and_takes_over(alice: User, bob: User) -> None:
    first = publish_version(
        draft_version(SMALL, author=alice, reason="start").pk, publisher=bob, reason="ok"
    )
    second = draft_version(SMALL + "# again\n", author=bob, reason="next")
    assert active_version() == first

    publish_version(second.pk, publisher=alice, reason="better")

    first.refresh_from_db()
    second.refresh_from_db()
    assert active_version() == second
    assert (first.status, second.status) == ("retired", "published")
    assert first.retired_at == second.published_at
    assert second.publisher == alice
    assert codes(first) == ["policy.drafted", "policy.published", "policy.retired"]
    assert codes(second) == ["policy.drafted", "policy.published"]
    assert second.label.rpartition(".")[2] == "2"
    assert second.document.endswith("# again\n")
    assert str(second) == second.label


def test_nobody_publishes_their_own_draft_under_any_account(alice: User) -> None:
    second_account = make_user("alice.two", "ops admin", person="alice")
    draft = draft_version(SMALL, author=alice, reason="mine")

    for publisher in (alice, second_account):
        with refused("own_draft"):
            publish_version(draft.pk, publisher=publisher, reason="mine")

    assert active_version() is None
    assert codes(draft) == ["policy.drafted"]


@pytest.mark.parametrize("role", ["manager", "auditor", "agent owner"])
def test_only_ops_admins_draft_and_publish(alice: User, role: str) -> None:
    villain = make_user("victor", role, is_superuser=True)
    draft = draft_version(SMALL, author=alice, reason="x")

    with refused("not_ops_admin"):
        draft_version(SMALL, author=villain, reason="x")
    with refused("not_ops_admin"):
        publish_version(draft.pk, publisher=villain, reason="x")


def test_a_failing_test_stops_publication_and_is_named(alice: User, bob: User) -> None:
    draft = draft_version(SMALL + FAILING, author=alice, reason="try")

    with pytest.raises(PolicyError, match="Test 'wrong': expected deny, got allow"):
        publish_version(draft.pk, publisher=bob, reason="ok")

    assert active_version() is None


def test_what_is_no_document_is_not_even_drafted(alice: User) -> None:
    with pytest.raises(DocumentError):
        draft_version("rules: []", author=alice, reason="x")

    assert not PolicyVersion.objects.exists()


def test_a_version_is_published_once(alice: User, bob: User) -> None:
    draft = draft_version(SMALL, author=alice, reason="x")
    publish_version(draft.pk, publisher=bob, reason="x")

    with refused("not_a_draft"):
        publish_version(draft.pk, publisher=bob, reason="again")
    with refused("unknown_version"):
        publish_version(draft.pk + 1, publisher=bob, reason="x")


def test_a_reason_is_required(alice: User, bob: User) -> None:
    with refused("reason_missing"):
        draft_version(SMALL, author=alice, reason="  ")
    draft = draft_version(SMALL, author=alice, reason="x")
    with refused("reason_missing"):
        publish_version(draft.pk, publisher=bob, reason="")


def test_a_draft_changed_behind_the_services_back_is_not_published(alice: User, bob: User) -> None:
    draft = draft_version(SMALL, author=alice, reason="x")
    PolicyVersion.objects.filter(pk=draft.pk).update(document=SMALL.replace("100", "999"))

    with refused("digest_mismatch"):
        publish_version(draft.pk, publisher=bob, reason="x")


def test_the_default_is_installed_once_and_only_on_an_empty_installation(
    alice: User, bob: User
) -> None:
    version = install_default(actor=SYSTEM)

    assert version is not None
    assert (version.status, version.author, version.publisher) == ("published", None, None)
    assert codes(version) == ["policy.published"]
    assert evaluate_active(clean_refund())[1].verdict == Verdict.ALLOW
    assert install_default(actor=SYSTEM) is None
    assert PolicyVersion.objects.count() == 1


def test_the_default_never_pushes_a_policy_of_ones_own_aside(alice: User) -> None:
    draft_version(SMALL, author=alice, reason="ours")

    assert install_default(actor=SYSTEM) is None
    assert active_version() is None


def test_an_agent_installs_nothing() -> None:
    with refused("not_ops_admin"):
        install_default(actor=Actor(ActorKind.AGENT, "1", "clever agent"))


def test_the_next_evaluation_uses_the_new_version(alice: User, bob: User) -> None:
    facts = make_facts(action__amount=50)
    old = draft_version(SMALL, author=alice, reason="x")
    publish_version(old.pk, publisher=bob, reason="x")
    assert evaluate_active(facts)[1].verdict == Verdict.ALLOW

    stricter = SMALL.replace("action.amount <= 100", "action.amount <= 10").replace(
        "action.amount > 100", "action.amount > 10"
    )
    new = draft_version(stricter, author=alice, reason="x")
    assert evaluate_active(facts)[1].verdict == Verdict.ALLOW
    publish_version(new.pk, publisher=bob, reason="x")

    version, found = evaluate_active(facts)
    assert version == new
    assert (found.verdict, found.version) == (Verdict.REQUIRE_APPROVAL, new.label)


def test_evaluating_costs_one_query_once_the_document_is_known(
    django_assert_num_queries: object,
) -> None:
    install_default(actor=SYSTEM)
    evaluate_active(clean_refund())

    with django_assert_num_queries(1):  # type: ignore[operator]
        evaluate_active(clean_refund())


# --- What the database itself refuses -----------------------------------------------------------


def published(alice: User, bob: User) -> PolicyVersion:
    draft = draft_version(SMALL, author=alice, reason="x")
    return publish_version(draft.pk, publisher=bob, reason="x")


def sql(statement: str, *params: object) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)


@pytest.mark.parametrize(
    "change",
    [
        "document = 'rules: []'",
        "digest = 'x'",
        "label = 'x'",
        "author_id = publisher_id, publisher_id = author_id",
        "author_id = NULL",
        "status = 'draft', published_at = NULL, publisher_id = NULL",
    ],
)
def test_a_published_version_keeps_its_words_even_against_sql(
    alice: User, bob: User, change: str
) -> None:
    version = published(alice, bob)

    with pytest.raises(IntegrityError, match="stay as published"):
        sql(f"UPDATE policies_policyversion SET {change} WHERE id = %s", version.pk)


def test_a_retired_version_never_comes_back_even_by_sql(alice: User, bob: User) -> None:
    old, _ = published(alice, bob), published(alice, bob)

    with pytest.raises(IntegrityError, match="stay as published"):
        sql("UPDATE policies_policyversion SET status = 'published' WHERE id = %s", old.pk)


def test_publishing_and_rewriting_in_one_statement_is_refused(alice: User, bob: User) -> None:
    draft = draft_version(SMALL, author=alice, reason="x")

    with pytest.raises(IntegrityError, match="stay as published"):
        sql(
            "UPDATE policies_policyversion SET status = 'published', document = 'x', "
            "published_at = created_at, publisher_id = %s WHERE id = %s",
            bob.pk,
            draft.pk,
        )


@pytest.mark.parametrize("status", ["draft", "published"])
def test_no_version_is_ever_deleted(alice: User, bob: User, status: str) -> None:
    version = (
        published(alice, bob)
        if status == "published"
        else draft_version(SMALL, author=alice, reason="x")
    )

    with pytest.raises(IntegrityError, match="stay as published"):
        sql("DELETE FROM policies_policyversion WHERE id = %s", version.pk)
    with pytest.raises(IntegrityError, match="stay as published"), transaction.atomic():
        version.delete()


def test_two_published_versions_cannot_exist(alice: User, bob: User) -> None:
    published(alice, bob)
    draft = draft_version(SMALL, author=alice, reason="x")

    with pytest.raises(IntegrityError):
        sql(
            "UPDATE policies_policyversion SET status = 'published', published_at = created_at, "
            "publisher_id = %s WHERE id = %s",
            bob.pk,
            draft.pk,
        )


def test_the_database_knows_the_second_pair_of_eyes_too(alice: User) -> None:
    draft = draft_version(SMALL, author=alice, reason="x")

    for publisher in ("author_id", "NULL"):
        with pytest.raises(IntegrityError):
            sql(
                "UPDATE policies_policyversion SET status = 'published', "
                f"published_at = created_at, publisher_id = {publisher} WHERE id = %s",
                draft.pk,
            )
