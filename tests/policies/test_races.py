"""Two people publish, or set the same limit, in the same moment: real threads, real locks."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

import pytest
from django.db import connection

from policies.exceptions import PolicyError
from policies.models import ApprovalLimit, PolicyVersion
from policies.services.limits import set_limit
from policies.services.versions import draft_version, install_default, publish_version
from tests.policies.make import SMALL, SYSTEM, codes, make_deciders, make_roles, make_user, propose

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Run the calls in threads that start together; results or PolicyErrors, in their order."""
    barrier, results = Barrier(len(calls)), [None] * len(calls)

    def run(index: int) -> None:
        try:
            barrier.wait(timeout=10)
            results[index] = calls[index]()  # type: ignore[call-overload]
        except Exception as error:
            results[index] = error  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return results


def test_of_many_publishers_exactly_one_publishes_each_draft() -> None:
    make_deciders()
    author = make_user("alice", "ops admin")
    publishers = [make_user(f"bob{n}", "ops admin") for n in range(6)]
    draft = propose(draft_version(SMALL, author=author, reason="x"), author)

    results = at_once(
        *(lambda p=p: publish_version(draft.pk, publisher=p, reason="x") for p in publishers)  # type: ignore[misc]
    )

    refused = [r for r in results if isinstance(r, PolicyError)]
    assert {r.code for r in refused} == {"not_proposed"}
    assert len(refused) == len(publishers) - 1
    assert codes(draft) == ["policy.drafted", "policy.proposed", "policy.published"]


def test_of_several_published_at_once_one_is_in_force_and_the_rest_look_again() -> None:
    make_deciders()
    author, bob = make_user("alice", "ops admin"), make_user("bob", "ops admin")
    drafts = [propose(draft_version(SMALL, author=author, reason="x"), author) for _ in range(4)]

    results = at_once(
        *(lambda d=d: publish_version(d.pk, publisher=bob, reason="x") for d in drafts)  # type: ignore[misc]
    )

    # Each was replayed against what was in force then: whoever is second has to look again.
    assert {r.code for r in results if isinstance(r, PolicyError)} == {"outdated"}
    statuses = sorted(PolicyVersion.objects.values_list("status", flat=True))
    assert statuses == ["proposed", "proposed", "proposed", "published"]


def test_processes_that_start_together_install_one_default() -> None:
    results = at_once(*[lambda: install_default(actor=SYSTEM)] * 4)

    assert not [r for r in results if isinstance(r, Exception)]
    assert PolicyVersion.objects.count() == 1


def test_a_limit_set_by_several_at_once_is_one_row() -> None:
    make_roles()

    results = at_once(
        *(
            lambda n=n: set_limit(  # type: ignore[misc]
                actor=SYSTEM, action_type="*", currency="EUR", each_minor=n, role="finance",
                reason="x",
            )
            for n in range(5)
        )
    )  # fmt: skip

    assert not [r for r in results if isinstance(r, Exception)]
    assert codes(ApprovalLimit.objects.get()) == ["limit.set"] * 5
