"""Publishing: two people, passing tests, a replay of this very text, one version in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.actors import Actor, ActorKind
from policies.exceptions import PolicyError
from policies.models import PolicyVersion, User
from policies.parsing.yaml_source import DocumentError
from policies.services import versions
from policies.services.drafts import edit_draft, request_publication, return_to_draft
from policies.services.evaluation import active_version, evaluate_active
from policies.services.versions import draft_version, install_default, publish_version
from policies.verdicts import Verdict
from tests.database import triggers_off
from tests.policies.make import (
    SMALL,
    SYSTEM,
    clean_refund,
    codes,
    make_deciders,
    make_facts,
    make_user,
    propose,
    put_in_force,
    refused,
    replay,
)

pytestmark = pytest.mark.django_db

FAILING = """\
tests:
- {name: wrong, facts: {action.amount: 50}, expect: {verdict: deny}}
"""
WORDS = ["policy.drafted", "policy.proposed", "policy.published"]


@pytest.fixture(autouse=True)
def _deciders(db: None) -> None:
    make_deciders()


@pytest.fixture
def rita() -> User:
    return make_user("rita", "risk owner")


@pytest.fixture
def rolf() -> User:
    return make_user("rolf", "risk owner")


def test_a_proposed_version_is_published_by_somebody_else_and_takes_over(
    rita: User, rolf: User
) -> None:
    first = put_in_force(SMALL, author=rita, publisher=rolf)
    second = draft_version(SMALL + "# again\n", author=rolf, reason="next")
    assert active_version() == first
    propose(second, rolf)

    publish_version(second.pk, publisher=rita, reason="better")

    first.refresh_from_db()
    second.refresh_from_db()
    assert active_version() == second
    assert (first.status, second.status) == ("retired", "published")
    assert first.retired_at == second.published_at
    assert (second.publisher, second.based_on) == (rita, first)
    assert codes(first) == [*WORDS, "policy.retired"]
    assert codes(second) == WORDS
    assert second.label.rpartition(".")[2] == "2"
    assert second.document.endswith("# again\n")
    assert str(second) == second.label


def test_an_ops_admin_may_publish_what_a_risk_owner_wrote(rita: User) -> None:
    version = propose(draft_version(SMALL, author=rita, reason="x"), rita)

    publish_version(version.pk, publisher=make_user("ada", "ops admin"), reason="agreed")

    assert active_version() == version


def test_nobody_publishes_what_they_wrote_under_any_account(rita: User, rolf: User) -> None:
    second_account = make_user("rita.two", "ops admin", person="rita")
    version = propose(draft_version(SMALL, author=rita, reason="mine"), rolf)

    for publisher in (rita, second_account):
        with refused("own_draft"):
            publish_version(version.pk, publisher=publisher, reason="mine")

    assert active_version() is None
    assert codes(version) == WORDS[:2]


def test_whoever_put_one_word_into_a_draft_never_publishes_it(rita: User, rolf: User) -> None:
    ada = make_user("ada", "ops admin")
    draft = draft_version(SMALL, author=rita, reason="start")
    edit_draft(draft.pk, SMALL + "# rolf's\n", editor=rolf, reason="a word")
    edit_draft(draft.pk, SMALL + "# rita's\n", editor=rita, reason="taken out again")
    propose(draft, rita)

    with refused("own_draft"):
        publish_version(draft.pk, publisher=rolf, reason="looks good")

    assert publish_version(draft.pk, publisher=ada, reason="fine").status == "published"


def test_whoever_asked_for_publication_does_not_publish_even_after_it_was_sent_back(
    rita: User, rolf: User
) -> None:
    draft = draft_version(SMALL, author=rita, reason="start")
    propose(draft, rolf)
    return_to_draft(draft.pk, actor=Actor.human(rita), reason="wait")
    propose(draft, rita)

    with refused("own_request"):
        publish_version(draft.pk, publisher=rolf, reason="now")

    assert active_version() is None


@pytest.mark.parametrize("role", ["manager", "auditor", "agent owner"])
def test_only_risk_owners_and_ops_admins_write_policy(rita: User, role: str) -> None:
    villain = make_user("victor", role, is_superuser=True)
    version = propose(draft_version(SMALL, author=rita, reason="x"), rita)

    with refused("not_risk_owner"):
        draft_version(SMALL, author=villain, reason="x")
    with refused("not_risk_owner"):
        publish_version(version.pk, publisher=villain, reason="x")
    with refused("not_risk_owner"):
        return_to_draft(version.pk, actor=Actor.human(villain), reason="x")
    assert codes(version) == WORDS[:2]


def test_a_deactivated_risk_owner_publishes_nothing(rita: User, rolf: User) -> None:
    version = propose(draft_version(SMALL, author=rita, reason="x"), rita)
    User.objects.filter(pk=rolf.pk).update(is_active=False)

    with refused("not_risk_owner"):
        publish_version(version.pk, publisher=rolf, reason="x")


@pytest.mark.parametrize("kind", [ActorKind.AGENT, ActorKind.SYSTEM])
def test_neither_agents_nor_the_system_ask_for_publication(rita: User, kind: ActorKind) -> None:
    draft = draft_version(SMALL, author=rita, reason="x")
    replay(draft)

    with refused("not_risk_owner"):
        request_publication(draft.pk, actor=Actor(kind, str(rita.pk), "rita"), reason="x")


def test_a_failing_test_stops_it_before_anybody_is_asked(rita: User) -> None:
    draft = draft_version(SMALL + FAILING, author=rita, reason="try")

    with pytest.raises(PolicyError, match="Test 'wrong': expected deny, got allow"):
        propose(draft, rita)

    assert codes(draft) == ["policy.drafted"]


def test_without_a_replay_of_this_very_text_nobody_is_asked(rita: User) -> None:
    draft = draft_version(SMALL, author=rita, reason="x")
    with refused("replay_missing"):
        request_publication(draft.pk, actor=Actor.human(rita), reason="x")
    replay(draft)
    edit_draft(draft.pk, SMALL + "# other\n", editor=rita, reason="x")

    with refused("replay_missing"):
        request_publication(draft.pk, actor=Actor.human(rita), reason="x")


def test_what_was_replayed_against_an_older_version_is_replayed_again(
    rita: User, rolf: User
) -> None:
    put_in_force(SMALL, author=rita, publisher=rolf)
    waiting = propose(draft_version(SMALL + "# a\n", author=rita, reason="x"), rita)
    put_in_force(SMALL + "# b\n", author=rita, publisher=rolf)

    with refused("outdated"):
        publish_version(waiting.pk, publisher=rolf, reason="x")
    replay(waiting)

    assert publish_version(waiting.pk, publisher=rolf, reason="x").status == "published"


def test_what_is_no_document_is_not_even_drafted(rita: User) -> None:
    with pytest.raises(DocumentError):
        draft_version("rules: []", author=rita, reason="x")

    assert not PolicyVersion.objects.exists()


def test_a_draft_is_not_published_and_a_version_is_published_once(rita: User, rolf: User) -> None:
    draft = draft_version(SMALL, author=rita, reason="x")
    with refused("not_proposed"):
        publish_version(draft.pk, publisher=rolf, reason="x")
    propose(draft, rita)
    publish_version(draft.pk, publisher=rolf, reason="x")

    with refused("not_proposed"):
        publish_version(draft.pk, publisher=rolf, reason="again")
    with refused("unknown_version"):
        publish_version(draft.pk + 1, publisher=rolf, reason="x")


def test_a_reason_is_required(rita: User, rolf: User) -> None:
    with refused("reason_missing"):
        draft_version(SMALL, author=rita, reason="  ")
    version = propose(draft_version(SMALL, author=rita, reason="x"), rita)
    with refused("reason_missing"):
        publish_version(version.pk, publisher=rolf, reason="")


def test_a_draft_changed_behind_the_services_back_is_not_proposed(rita: User) -> None:
    draft = draft_version(SMALL, author=rita, reason="x")
    with triggers_off():
        PolicyVersion.objects.filter(pk=draft.pk).update(document=SMALL.replace("100", "999"))

    with refused("digest_mismatch"):
        propose(draft, rita)


def test_the_default_is_installed_once_and_only_on_an_empty_installation() -> None:
    version = install_default(actor=SYSTEM)

    assert version is not None
    assert (version.status, version.author, version.publisher) == ("published", None, None)
    assert codes(version) == ["policy.published"]
    assert evaluate_active(clean_refund())[1].verdict == Verdict.ALLOW
    assert install_default(actor=SYSTEM) is None
    assert PolicyVersion.objects.count() == 1


def test_a_default_whose_own_tests_fail_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "default.yaml").write_text(SMALL + FAILING)
    monkeypatch.setattr(versions, "DEFAULT_DOCUMENT", tmp_path / "default.yaml")

    with refused("tests_fail"):
        install_default(actor=SYSTEM)

    assert not PolicyVersion.objects.exists()


def test_the_default_never_pushes_a_policy_of_ones_own_aside(rita: User) -> None:
    draft_version(SMALL, author=rita, reason="ours")

    assert install_default(actor=SYSTEM) is None
    assert active_version() is None


def test_an_agent_installs_nothing() -> None:
    with refused("not_ops_admin"):
        install_default(actor=Actor(ActorKind.AGENT, "1", "clever agent"))


def test_the_next_evaluation_uses_the_new_version(rita: User, rolf: User) -> None:
    facts = make_facts(action__amount=50)
    put_in_force(SMALL, author=rita, publisher=rolf)
    assert evaluate_active(facts)[1].verdict == Verdict.ALLOW

    stricter = SMALL.replace("action.amount <= 100", "action.amount <= 10").replace(
        "action.amount > 100", "action.amount > 10"
    )
    new = propose(draft_version(stricter, author=rita, reason="x"), rita)
    assert evaluate_active(facts)[1].verdict == Verdict.ALLOW
    publish_version(new.pk, publisher=rolf, reason="x")

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
