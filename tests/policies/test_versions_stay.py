"""Versions keep their words and their place even against SQL."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from policies.models import PolicyVersion, User
from policies.services.versions import draft_version
from tests.database import as_superuser, triggers_off
from tests.policies.make import SMALL, make_deciders, make_user, propose, put_in_force

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _deciders(db: None) -> None:
    make_deciders()


@pytest.fixture
def alice() -> User:
    return make_user("alice", "ops admin")


@pytest.fixture
def bob() -> User:
    return make_user("bob", "ops admin")


def published(alice: User, bob: User) -> PolicyVersion:
    return put_in_force(SMALL, author=alice, publisher=bob)


def sql(statement: str, *params: object) -> None:
    """As somebody whom triggers stop, and no missing right."""
    with as_superuser(), transaction.atomic(), connection.cursor() as cursor:
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

    with pytest.raises(IntegrityError, match="append-only"):
        sql(f"UPDATE policies_policyversion SET {change} WHERE id = %s", version.pk)


def test_a_retired_version_never_comes_back_even_by_sql(alice: User, bob: User) -> None:
    old, _ = published(alice, bob), published(alice, bob)

    with pytest.raises(IntegrityError, match="append-only"):
        sql("UPDATE policies_policyversion SET status = 'published' WHERE id = %s", old.pk)


def test_publishing_and_rewriting_in_one_statement_is_refused(alice: User, bob: User) -> None:
    draft = draft_version(SMALL, author=alice, reason="x")

    with pytest.raises(IntegrityError, match="append-only"):
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

    with pytest.raises(IntegrityError, match="append-only"):
        sql("DELETE FROM policies_policyversion WHERE id = %s", version.pk)
    with as_superuser(), pytest.raises(IntegrityError), transaction.atomic():
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


def test_a_proposed_version_keeps_its_words_and_a_discarded_one_stays_discarded(
    alice: User, bob: User
) -> None:
    version = propose(draft_version(SMALL, author=alice, reason="x"), alice)

    with pytest.raises(IntegrityError, match="append-only"):
        sql("UPDATE policies_policyversion SET document = 'x' WHERE id = %s", version.pk)
    with triggers_off():
        sql("UPDATE policies_policyversion SET status = 'discarded' WHERE id = %s", version.pk)
    with pytest.raises(IntegrityError, match="append-only"):
        sql("UPDATE policies_policyversion SET status = 'draft' WHERE id = %s", version.pk)


def test_what_somebody_wrote_into_a_draft_is_never_rewritten(alice: User) -> None:
    draft = draft_version(SMALL, author=alice, reason="x")

    for statement in (
        "UPDATE policies_policyedit SET editor_id = NULL",
        "DELETE FROM policies_policyedit",
    ):
        with pytest.raises(IntegrityError):
            sql(f"{statement} WHERE version_id = %s", draft.pk)
