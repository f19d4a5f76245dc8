"""People, roles and documents for tests of this room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

import policies
from audit.actors import Actor
from audit.lib.money import Money
from audit.models import AuditEvent, Chained
from audit.services import subject_label
from policies.authority import Case
from policies.document import Document
from policies.exceptions import PolicyError
from policies.facts import Facts
from policies.models import Backtest, PolicyVersion, User
from policies.models.replays import BacktestStatus
from policies.parsing.parser import parse_document
from policies.roles import ROLES
from policies.services.drafts import request_publication
from policies.services.limits import set_limit
from policies.services.people import create_user
from policies.services.publishable import beside, in_force
from policies.services.versions import draft_version, publish_version
from policies.verdicts import RequirementSpec

SYSTEM = Actor.system("test")
DEFAULT_TEXT = (Path(policies.__file__).parent / "default.yaml").read_text()

SMALL = """\
rules:
- id: small
  owner: finance
  reason: Small amounts run by themselves.
  when: [action.amount <= 100]
  effect: allow
- id: large
  owner: finance
  reason: Large amounts need finance.
  when: [action.amount > 100]
  effect: require_approval
  requirements: [{group: finance, within_limit: true}]
tiers:
- tier: 3
  reason: Moves money.
  when: ["true"]
matrix:
"""
TIER = """\
- tier: {tier}
  requirements: [{who}]
  evidence: []
  decide_by: 4h
  execute_by: 1d
  reason_required: {reason}
  operating_model: {model}
  pattern: {pattern}
"""
_PEOPLE = ["", "", "{group: manager}", "{group: manager}", "{group: manager}"]
SMALL += "".join(
    TIER.format(
        tier=tier,
        who=who,
        reason=str(tier > 2).lower(),
        model="on the loop" if tier < 4 else "in the loop",
        pattern="single" if who else "no approval",
    )
    for tier, who in enumerate(_PEOPLE)
) + TIER.format(
    tier=5,
    who="{group: operations}, {group: manager}",
    reason="true",
    model="in the loop",
    pattern="two groups",
)


def make_document(text: str = SMALL, *replacements: tuple[str, str]) -> Document:
    """The document with each replacement made exactly once."""
    return parse_document(changed(text, *replacements))


def changed(text: str, *replacements: tuple[str, str]) -> str:
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def make_facts(**values: Any) -> Facts:
    """Facts by dotted name, with `__` for the dot: make_facts(action__amount=5)."""
    return Facts.from_flat({name.replace("__", "."): value for name, value in values.items()})


READ = ("customer_record", "diff", "source_record", "undo_path")
"""The kinds of evidence the system reads of records by itself."""


def clean_refund(**changes: Any) -> Facts:
    """A refund the default policy allows, but for the changes."""
    facts = make_facts(
        action__type="refund.issue",
        action__verb="pay",
        action__amount=20_000,
        action__currency="EUR",
        customer__known=True,
        evidence__kinds=["charge", "customer_record", "impact_estimate"],
        velocity__target_sum_24h=20_000,
    )
    flat: dict[str, object] = dict(facts.flat())
    flat.update({name.replace("__", "."): value for name, value in changes.items()})
    return Facts.from_flat(flat)


FINANCE = RequirementSpec("finance", within_limit=True)
ANYBODY = RequirementSpec("finance")


def make_case(minor: int | None = 10_000, **changes: Any) -> Case:
    amount = None if minor is None else Money(minor, "EUR")
    return Case(action_type="refund.issue", amount=amount, tier=3, **changes)


def make_roles() -> None:
    for role in ROLES:
        Group.objects.get_or_create(name=role.name)


def make_user(username: str, *roles: str, person: str = "", **changes: Any) -> User:
    make_roles()
    user = create_user(actor=SYSTEM, username=username, roles=roles, person=person)
    if changes:
        User.objects.filter(pk=user.pk).update(**changes)
        user = User.objects.get(pk=user.pk)
    return user


def make_deciders() -> None:
    """Somebody for everything SMALL asks for."""
    for role in ("finance", "manager", "operations"):
        make_user(f"some {role}", role)
    set_limit(
        actor=SYSTEM, role="finance", action_type="*", currency="EUR", each_minor=50_000, reason="x"
    )


def replay(version: PolicyVersion) -> Backtest:
    """A finished replay of the version's text against the one in force."""
    version.refresh_from_db()
    now = timezone.now()
    return Backtest.objects.create(
        version=version,
        digest=version.digest,
        against=in_force(version.kind),
        beside=beside(version.kind),
        status=BacktestStatus.DONE,
        created_at=now,
        finished_at=now,
    )


def propose(version: PolicyVersion, person: User) -> PolicyVersion:
    """The version replayed, and its publication asked for."""
    replay(version)
    return request_publication(version.pk, actor=Actor.human(person), reason="test")


def put_in_force(
    text: str, *, author: User, publisher: User, reason: str = "test"
) -> PolicyVersion:
    """Drafted, replayed and proposed by one person, published by another."""
    draft = propose(draft_version(text, author=author, reason=reason), author)
    return publish_version(draft.pk, publisher=publisher, reason=reason)


@contextmanager
def refused(code: str) -> Iterator[None]:
    """What is done inside is refused with that code, in a whole sentence."""
    with pytest.raises(PolicyError) as refusal:
        yield
    assert refusal.value.code == code
    assert refusal.value.message.endswith(".")


def codes(subject: Chained) -> list[str]:
    """The subject's event codes, oldest first."""
    events = AuditEvent.objects.filter(
        subject_type=subject_label(subject), subject_id=str(subject.pk)
    )
    return list(events.order_by("seq").values_list("code", flat=True))


def groups(requirements: Iterable[Any]) -> list[str]:
    return sorted(spec.group for spec in requirements)


def without_type(facts: Facts, **broken: Any) -> Facts:
    """Facts with a value no declaration accepts, past every check."""
    return replace(facts, action=replace(facts.action, **broken))
