"""Drafts: edited by several, sent back, discarded, rolled back to, run in the shadow."""

from __future__ import annotations

import pytest
from django.utils import timezone

from audit.actors import Actor
from audit.lib.canonical import digest
from policies.models import PolicyVersion, User
from policies.parsing.yaml_source import DocumentError
from policies.services.drafts import discard, edit_draft, return_to_draft, roll_back_to
from policies.services.evaluation import active_version
from policies.services.shadow import start_shadow, stop_shadow
from policies.services.versions import draft_version, publish_version
from tests.policies.make import (
    SMALL,
    codes,
    make_deciders,
    make_user,
    propose,
    put_in_force,
    refused,
    replay,
)

pytestmark = pytest.mark.django_db

OTHER = SMALL + "# other\n"


@pytest.fixture(autouse=True)
def _deciders(db: None) -> None:
    make_deciders()


@pytest.fixture
def rita() -> User:
    return make_user("rita", "risk owner")


@pytest.fixture
def rolf() -> User:
    return make_user("rolf", "risk owner")


def test_every_text_of_a_draft_is_kept_with_its_author_and_reason(rita: User, rolf: User) -> None:
    draft = draft_version(SMALL, author=rita, reason="start")

    edit_draft(draft.pk, OTHER, editor=rolf, reason="a word", seen=draft.digest)

    draft.refresh_from_db()
    kept = [(edit.editor, edit.document, edit.reason) for edit in draft.edits.all()]
    assert kept == [(rita, SMALL, "start"), (rolf, OTHER, "a word")]
    assert (draft.document, draft.author, draft.status) == (OTHER, rita, "draft")
    assert draft.digest == draft.edits.last().digest  # type: ignore[union-attr]
    assert codes(draft) == ["policy.drafted", "policy.edited"]


def test_a_text_from_an_older_page_does_not_overwrite_a_newer_one(rita: User, rolf: User) -> None:
    draft = draft_version(SMALL, author=rita, reason="start")
    edit_draft(draft.pk, OTHER, editor=rolf, reason="a word", seen=draft.digest)

    with refused("changed_meanwhile"):
        edit_draft(draft.pk, SMALL + "# mine\n", editor=rita, reason="x", seen=draft.digest)

    draft.refresh_from_db()
    assert draft.document == OTHER


def test_what_no_draft_can_become(rita: User) -> None:
    draft = draft_version(SMALL, author=rita, reason="start")
    villain = make_user("victor", "manager", is_superuser=True)

    with pytest.raises(DocumentError):
        edit_draft(draft.pk, "rules: []", editor=rita, reason="x")
    with refused("nothing_changed"):
        edit_draft(draft.pk, SMALL, editor=rita, reason="x")
    with refused("reason_missing"):
        edit_draft(draft.pk, OTHER, editor=rita, reason=" ")
    with refused("not_risk_owner"):
        edit_draft(draft.pk, OTHER, editor=villain, reason="x")
    with refused("not_risk_owner"):
        discard(draft.pk, actor=Actor.human(villain), reason="x")

    assert draft.edits.count() == 1
    assert codes(draft) == ["policy.drafted"]


def test_a_proposed_version_is_edited_only_after_it_was_sent_back(rita: User, rolf: User) -> None:
    version = propose(draft_version(SMALL, author=rita, reason="x"), rita)
    with refused("not_a_draft"):
        edit_draft(version.pk, OTHER, editor=rita, reason="quickly")

    return_to_draft(version.pk, actor=Actor.human(rolf), reason="the limit is wrong")
    edit_draft(version.pk, OTHER, editor=rita, reason="corrected")

    version.refresh_from_db()
    assert (version.status, version.document) == ("draft", OTHER)
    assert codes(version) == [
        "policy.drafted", "policy.proposed", "policy.returned", "policy.edited"
    ]  # fmt: skip


def test_nothing_is_asked_for_or_sent_back_twice(rita: User, rolf: User) -> None:
    version = propose(draft_version(SMALL, author=rita, reason="x"), rita)
    with refused("not_a_draft"):
        propose(version, rolf)

    return_to_draft(version.pk, actor=Actor.human(rolf), reason="wait")

    with refused("not_proposed"):
        return_to_draft(version.pk, actor=Actor.human(rolf), reason="again")


def test_a_discarded_version_stays_and_goes_nowhere(rita: User, rolf: User) -> None:
    draft = draft_version(SMALL, author=rita, reason="x")
    start_shadow(draft.pk, actor=Actor.human(rita), reason="see")

    discard(draft.pk, actor=Actor.human(rolf), reason="a bad idea")

    draft.refresh_from_db()
    assert (draft.status, draft.shadowing_since) == ("discarded", None)
    assert codes(draft)[-2:] == ["policy.shadow_ended", "policy.discarded"]
    with refused("not_a_draft"):
        edit_draft(draft.pk, OTHER, editor=rita, reason="x")
    with refused("not_a_draft"):
        discard(draft.pk, actor=Actor.human(rolf), reason="again")
    with refused("not_proposed"):
        publish_version(draft.pk, publisher=rolf, reason="x")


def test_rolling_back_proposes_the_old_text_and_another_person_publishes(
    rita: User, rolf: User
) -> None:
    first = put_in_force(SMALL, author=rita, publisher=rolf)
    second = put_in_force(OTHER, author=rita, publisher=rolf)

    again = roll_back_to(first.pk, actor=Actor.human(rolf), reason="too many refunds")

    assert (again.status, again.document, again.restores) == ("proposed", SMALL, first)
    assert again.based_on == second
    assert active_version() == second
    with refused("own_draft"):
        publish_version(again.pk, publisher=rolf, reason="x")
    with refused("replay_missing"):
        publish_version(again.pk, publisher=rita, reason="x")
    replay(again)
    publish_version(again.pk, publisher=rita, reason="agreed")
    assert active_version() == again
    assert codes(again) == ["policy.drafted", "policy.proposed", "policy.published"]


def test_only_what_was_in_force_is_rolled_back_to(rita: User, rolf: User) -> None:
    current = put_in_force(SMALL, author=rita, publisher=rolf)
    draft = draft_version(OTHER, author=rita, reason="x")

    for version in (current, draft):
        with refused("not_retired"):
            roll_back_to(version.pk, actor=Actor.human(rita), reason="x")


def test_a_shadow_starts_and_ends_on_record_and_ends_with_the_text(rita: User) -> None:
    actor = Actor.human(rita)
    draft = draft_version(SMALL, author=rita, reason="x")

    start_shadow(draft.pk, actor=actor, reason="see")
    with refused("shadows_already"):
        start_shadow(draft.pk, actor=actor, reason="see")
    stop_shadow(draft.pk, actor=actor, reason="seen")
    with refused("no_shadow"):
        stop_shadow(draft.pk, actor=actor, reason="seen")
    start_shadow(draft.pk, actor=actor, reason="again")
    edit_draft(draft.pk, OTHER, editor=rita, reason="x")

    draft.refresh_from_db()
    assert draft.shadowing_since is None
    assert codes(draft) == [
        "policy.drafted", "policy.shadowed", "policy.shadow_ended", "policy.shadowed",
        "policy.shadow_ended", "policy.edited",
    ]  # fmt: skip


def test_publishing_ends_the_shadow_and_what_is_in_force_casts_none(rita: User, rolf: User) -> None:
    version = propose(draft_version(SMALL, author=rita, reason="x"), rita)
    start_shadow(version.pk, actor=Actor.human(rolf), reason="see")

    publish_version(version.pk, publisher=rolf, reason="x")

    assert PolicyVersion.objects.get(pk=version.pk).shadowing_since is None
    with refused("not_a_draft"):
        start_shadow(version.pk, actor=Actor.human(rita), reason="x")


def test_few_versions_run_in_the_shadow_at_once(rita: User) -> None:
    drafts = [draft_version(SMALL, author=rita, reason="x") for _ in range(4)]
    for draft in drafts[:3]:
        start_shadow(draft.pk, actor=Actor.human(rita), reason="see")

    with refused("too_many_shadows"):
        start_shadow(drafts[3].pk, actor=Actor.human(rita), reason="see")


# --- What the checks refuse -----------------------------------------------------------------------

UNMEETABLE = SMALL.replace("{group: finance, within_limit: true}", "{group: finance, quorum: 5}")


def test_what_nobody_can_meet_is_refused_on_save_and_when_people_have_gone(
    rita: User, rolf: User
) -> None:
    with refused("lint_errors"):
        draft_version(UNMEETABLE, author=rita, reason="x")
    draft = draft_version(SMALL, author=rita, reason="x")
    with refused("lint_errors"):
        edit_draft(draft.pk, UNMEETABLE, editor=rita, reason="x")
    propose(draft, rita)
    User.objects.filter(groups__name="operations").update(is_active=False)

    with refused("lint_errors"):
        publish_version(draft.pk, publisher=rolf, reason="x")

    assert active_version() is None
    assert draft.edits.count() == 1


def test_an_error_the_version_in_force_has_too_stops_nobody(rita: User, rolf: User) -> None:
    put_in_force(SMALL, author=rita, publisher=rolf)
    User.objects.filter(groups__name="operations").update(is_active=False)

    version = put_in_force(OTHER, author=rita, publisher=rolf)

    assert active_version() == version


def stored(text: str, status: str) -> PolicyVersion:
    """A version as an earlier release may have left it."""
    now = timezone.now()
    over = {"published_at": now, "retired_at": now} if status == "retired" else {}
    return PolicyVersion.objects.create(
        label="old", document=text, digest=digest(text), status=status, reason="x",
        created_at=now, **over,
    )  # fmt: skip


def test_a_text_this_release_cannot_read_goes_nowhere(rita: User) -> None:
    with refused("invalid_document"):
        propose(stored("rules: []", "draft"), rita)


def test_a_text_whose_tests_fail_today_is_not_rolled_back_to(rita: User) -> None:
    failing = SMALL + "tests:\n- {name: x, facts: {action.amount: 5}, expect: {verdict: deny}}\n"

    with refused("tests_fail"):
        roll_back_to(stored(failing, "retired").pk, actor=Actor.human(rita), reason="x")

    assert PolicyVersion.objects.count() == 1
