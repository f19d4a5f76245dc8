"""Whoever had a hand in it does not decide it, however long the arm."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from approvals.domain.routing import alarm_empty_routes
from approvals.exceptions import ApprovalError, NotAuthorised
from approvals.models import ActionRequest, RequestContent
from approvals.selectors.authority import case_for_all
from approvals.selectors.case import involved_in
from approvals.services.execute import execute
from audit.lib import db_clock
from connectors.sandbox.server import Sandbox
from policies.models import PolicyEdit, PolicyVersion, User
from tests.approvals.make import (
    DEFAULT_POLICY,
    Cast,
    approve,
    approve_with_edits,
    fresh,
    look_at,
    make_crm,
    make_person,
    make_request,
    manager_refund,
    reject,
)
from tests.approvals.story import snapshot
from tests.database import triggers_off
from tests.policies.make import put_in_force

Involve = Callable[[ActionRequest, User], object]


def subject(request: ActionRequest, person: User) -> None:
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(on_behalf_of=person.username.upper())


def requester(request: ActionRequest, person: User) -> None:
    with triggers_off():
        ActionRequest.objects.filter(pk=request.pk).update(requested_by=person)


def editor(request: ActionRequest, person: User) -> None:
    content = RequestContent.objects.get(request=request, version=1)
    content.pk, content.version, content.edited_by = None, 99, person
    content._state.adding = True
    with triggers_off():
        content.save()


def owner(request: ActionRequest, person: User) -> None:
    request.agent.owner = person
    with triggers_off():
        request.agent.save()


def policy_author(request: ActionRequest, person: User) -> None:
    evaluated = request.policy_decisions.latest("id").policy_version
    assert evaluated is not None
    wrote_in(evaluated, person)


def author_of_what_it_restores(request: ActionRequest, person: User) -> None:
    """A rollback puts somebody's words in force again: they are the author still."""
    oldest = make_version("2020-01-01.1")
    older = make_version("2020-01-02.1", restores=oldest)
    evaluated = request.policy_decisions.latest("id")
    type(evaluated).objects.create(
        **{
            field.name: getattr(evaluated, field.name)
            for field in evaluated._meta.concrete_fields
            if field.name not in ("id", "policy_version")
        },
        policy_version=older,
    )
    wrote_in(oldest, person)


def make_version(label: str, restores: PolicyVersion | None = None) -> PolicyVersion:
    return PolicyVersion.objects.create(
        label=label, document="-", digest="-", reason="-", created_at=db_clock.now(),
        restores=restores,
    )  # fmt: skip


def wrote_in(version: PolicyVersion, person: User) -> None:
    PolicyEdit.objects.create(
        version=version, editor=person, digest="-", document="-", reason="-", at=db_clock.now()
    )


def earlier(link: str, involve: Involve) -> Involve:
    """The person had a hand in the request two steps before this one."""

    def of_an_earlier_one(request: ActionRequest, person: User) -> None:
        first = make_request(request.agent, manager_refund("700.00"))
        second = make_request(request.agent, manager_refund("600.00"))
        involve(first, person)
        with triggers_off():
            ActionRequest.objects.filter(pk=second.pk).update(supersedes=first)
            ActionRequest.objects.filter(pk=request.pk).update(**{link: second})

    return of_an_earlier_one


HANDS: dict[str, Involve] = {
    "subject": subject,
    "requester": requester,
    "editor": editor,
    "agent owner": owner,
    "policy author": policy_author,
    "author of what the policy restores": author_of_what_it_restores,
    "requester of what it undoes": earlier("compensates", requester),
    "subject of what it supersedes": earlier("supersedes", subject),
    "editor of what it supersedes": earlier("supersedes", editor),
}


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("account", ["mona", "mona.two"])
def test_they_neither_approve_nor_reject_under_any_account(
    cast: Cast, hand: str, account: str
) -> None:
    make_person("mona.two", "manager", person="mona")
    User.objects.filter(username=account).update(is_superuser=True)
    request = make_request(cast.agent, manager_refund())
    HANDS[hand](request, cast.mona)
    villain, before = User.objects.get(username=account), snapshot(request)

    for verdict in (approve, reject):
        with pytest.raises(NotAuthorised) as refusal:
            verdict(request, villain)
        assert refusal.value.code == "four_eyes"

    assert snapshot(request) == before
    approve(request, cast.max)
    assert fresh(request).state == "approved"


@pytest.mark.parametrize("hand", [hand for hand in HANDS if hand != "editor"])
def test_a_hand_put_in_afterwards_sends_it_back(cast: Cast, sandbox: Sandbox, hand: str) -> None:
    request = make_request(cast.agent, manager_refund())
    approve(request, cast.mona)
    HANDS[hand](request, cast.mona)

    execute(request.pk)

    assert fresh(request).state == "pending_approval"
    assert sandbox.effects("payments") == []


def test_strangers_are_involved_in_nothing(cast: Cast) -> None:
    request = make_request(cast.agent, manager_refund())

    assert involved_in(request) == {"olga": "the agent's owner"}


def test_a_line_that_bites_its_own_tail_is_followed_once(cast: Cast) -> None:
    one, two = (make_request(cast.agent, manager_refund(a)) for a in ("700.00", "600.00"))
    with triggers_off():
        ActionRequest.objects.filter(pk=one.pk).update(supersedes=two, on_behalf_of="mona")
        ActionRequest.objects.filter(pk=two.pk).update(supersedes=one)

    assert "mona" in involved_in(fresh(two))


def test_the_editor_of_the_first_version_does_not_decide_the_third(cast: Cast) -> None:
    request = make_crm(cast)
    approve_with_edits(
        request.pk, decider=cast.otto, reviewed=look_at(request, cast.otto),
        params={"record": "acct_2001", "fields": {"stage": "lost"}}, reason_code="corrected",
    )  # fmt: skip
    third = make_person("otis", "operations")
    approve_with_edits(
        request.pk, decider=cast.oona, reviewed=look_at(request, cast.oona),
        params={"record": "acct_2001", "fields": {"stage": "won"}}, reason_code="corrected",
    )  # fmt: skip

    for editor_ in (cast.otto, cast.oona):
        with pytest.raises(ApprovalError) as refusal:
            approve(request, editor_)
        assert refusal.value.code == "four_eyes"
    approve(request, third)
    assert fresh(request).state == "approved"


def test_routing_counts_nobody_who_had_a_hand_in_it(cast: Cast) -> None:
    request = make_crm(cast)
    for person in (cast.otto, cast.oona):
        policy_author(request, person)

    at = db_clock.now()
    case = case_for_all(fresh(request), at=at)
    alarm_empty_routes(fresh(request), list(request.requirements.all()), case=case, at=at)

    assert [e.step for e in request.escalations.all()] == ["nobody"]


EXCEPTION = """rules:
  - id: mona-says
    owner: mona
    reason: Refunds of this size are for one manager.
    when:
      - action.type == "refund.issue"
      - action.amount > 70000
    effect: require_approval
"""


@pytest.mark.parametrize("last", ["untouched", "reworded"])
def test_a_rule_is_its_authors_until_somebody_rewrites_it(cast: Cast, last: str) -> None:
    mona = make_person("mona.writes", "risk owner", person="mona")
    text = DEFAULT_POLICY[: DEFAULT_POLICY.index("\ntests:\n")].replace("rules:\n", EXCEPTION, 1)
    put_in_force(text, author=mona, publisher=cast.ada)
    for number in range(2):  # others publish about something else
        text += f"\n# {number}"
        put_in_force(text, author=cast.ada, publisher=cast.alan)
    if last == "reworded":
        text = text.replace("> 70000", "> 71000")
        put_in_force(text, author=cast.ada, publisher=cast.alan)
    matched, other = (make_request(cast.agent, manager_refund(a)) for a in ("800.00", "650.00"))

    if last == "untouched":
        with pytest.raises(NotAuthorised) as refusal:
            approve(matched, cast.mona)
        assert refusal.value.code == "four_eyes"
        approve(matched, cast.max)
    else:
        approve(matched, cast.mona)
    approve(other, cast.mona)

    assert {fresh(matched).state, fresh(other).state} == {"approved"}
