"""What stands between a version and being in force: the services ask it, and so does its page.

A document is checked against who and what there is today, by `policies.static_analysis.lint`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol, cast

from django.conf import settings
from django.db.models import Q
from django.utils.module_loading import import_string

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject, digest
from audit.selectors import events_of
from audit.services import stream
from policies.authority import Refusal, may_write_policy
from policies.document import Document
from policies.exceptions import PolicyError
from policies.models import ApprovalLimit, Backtest, PolicyVersion, User
from policies.models.replays import BacktestStatus
from policies.models.versions import VersionKind, VersionStatus
from policies.parsing.parser import parse_document
from policies.parsing.yaml_source import DocumentError
from policies.services.dual_control import require_reason
from policies.services.evaluation import document_of, versions_in_force
from policies.static_analysis import lint
from policies.static_analysis.case import Schemas
from policies.static_analysis.findings import Finding, Severity
from policies.static_analysis.lint import failed_tests
from policies.static_analysis.reach import HeldLimit, Member, People
from policies.teams import answers_to, team_codes

UNPUBLISHED = (VersionStatus.DRAFT, VersionStatus.PROPOSED)


def in_turn() -> None:
    """One change of policy at a time: labels are counted and one version is in force."""
    stream("policy versions")


def locked_version(version_id: int) -> PolicyVersion:
    """The version as it is now, locked; raises PolicyError: unknown_version."""
    try:
        return PolicyVersion.objects.select_for_update(of=("self",)).get(pk=version_id)
    except PolicyVersion.DoesNotExist as error:
        raise PolicyError("unknown_version", "There is no such policy version.") from error


def open_version(version_id: int, actor: Actor, reason: str) -> tuple[PolicyVersion, User]:
    """The version, locked in turn, and the person who may change it and says why.

    Raises PolicyError: unknown_version, not_risk_owner, not_security, reason_missing.
    """
    in_turn()
    version = locked_version(version_id)
    person = check_may_write(actor, floor=version.kind == VersionKind.FLOOR)
    require_reason(reason)
    return version, person


def in_force(kind: str = VersionKind.ORDINARY) -> PolicyVersion | None:
    """The one published version of that kind."""
    return PolicyVersion.objects.filter(status=VersionStatus.PUBLISHED, kind=kind).first()


def beside(kind: str) -> PolicyVersion | None:
    """What is in force of the other kind: such a version is evaluated together with it."""
    is_floor = kind == VersionKind.FLOOR
    return in_force(VersionKind.ORDINARY if is_floor else VersionKind.FLOOR)


def check_may_write(actor: Actor, *, floor: bool = False) -> User:
    """The person acting. Parts of the system write none.

    Raises PolicyError: not_risk_owner, or for the floor not_security.
    """
    refusal = may_write_policy(actor, floor=floor)
    if refusal is None and actor.kind == ActorKind.HUMAN:
        return User.objects.get(pk=actor.id)
    if refusal is not None and floor:
        raise PolicyError(refusal.code, refusal.message)
    raise PolicyError("not_risk_owner", "Only a risk owner or an ops admin writes policy.")


def check_errors(document: Document) -> None:
    """Raises PolicyError: lint_errors, for what no policy may say."""
    check(_errors(document))


def check(refusal: Refusal | None) -> None:
    """Raises what was answered, if anything was."""
    if refusal is not None:
        raise PolicyError(refusal.code, refusal.message)


def why_not_request(version: PolicyVersion) -> Refusal | None:
    """Why nobody can ask for its publication yet; None when a writer can."""
    if version.status != VersionStatus.DRAFT:
        return _wrong_status("not_a_draft", version)
    return unready(version)


def why_not_publish(version: PolicyVersion, publisher: User) -> Refusal | None:
    """Why this writer of policy cannot publish it; None when they can."""
    if version.status != VersionStatus.PROPOSED:
        return _wrong_status("not_proposed", version)
    return involvement_in(version, publisher) or unready(version)


def unready(version: PolicyVersion) -> Refusal | None:
    """What the version itself still lacks, whoever publishes it."""
    return _unfit(version) or _unreplayed(version)


def involvement_in(version: PolicyVersion, person: User) -> Refusal | None:
    """Whether the natural person, under any account, had a hand in the version."""
    accounts = User.objects.filter(person=User.objects.filter(pk=person.pk).values("person")[:1])
    if accounts.filter(Q(pk=version.author_id) | Q(policy_edits__version=version)).exists():
        return Refusal("own_draft", "You wrote in this version; somebody else publishes it.")
    asked = events_of(version).filter(code=AuditCode.POLICY_PROPOSED, actor_kind=ActorKind.HUMAN)
    if accounts.filter(
        pk__in=[int(pk) for pk in asked.values_list("actor_id", flat=True)]
    ).exists():
        return Refusal("own_request", "You asked for its publication; somebody else publishes it.")
    return None


def finished_replay(version: PolicyVersion, against: PolicyVersion | None) -> Backtest | None:
    """The newest finished replay of exactly this text against that version, beside what is now."""
    return Backtest.objects.filter(
        version=version,
        digest=version.digest,
        against=against,
        beside=beside(version.kind),
        status=BacktestStatus.DONE,
    ).first()


def _wrong_status(code: str, version: PolicyVersion) -> Refusal:
    words = {
        VersionStatus.DRAFT: "is a draft; its publication has to be requested first",
        VersionStatus.PROPOSED: "waits for publication; send it back to change it",
        VersionStatus.PUBLISHED: "is in force already",
        VersionStatus.RETIRED: "is retired; roll back to it to have its text again",
        VersionStatus.DISCARDED: "was discarded",
    }
    return Refusal(code, f"Version {version.label} {words[VersionStatus(version.status)]}.")


def _unfit(version: PolicyVersion) -> Refusal | None:
    """What is wrong with the text itself."""
    if digest(version.document) != version.digest:
        return Refusal("digest_mismatch", f"The document of {version.label} is not as drafted.")
    try:
        document = parse_document(version.document)
    except DocumentError as error:
        return Refusal(error.code, f"This release no longer reads it: {error.message}")
    failures = failed_tests(document)
    return Refusal("tests_fail", " ".join(failures)) if failures else _errors(document)


def _errors(document: Document) -> Refusal | None:
    """What the static checks refuse.

    An error the version in force has word for word stops nobody: the next version may be about
    something else, and urgent.
    """
    current = document_in_force(floor=document.is_floor)
    known = set(check_document(current, None)) if current else set()
    errors = [
        f"{_upper(one.what)}: {one.sentence}"
        for one in check_document(document, current)
        if one.severity == Severity.ERROR and one not in known
    ]
    return Refusal("lint_errors", " ".join(errors)) if errors else None


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _unreplayed(version: PolicyVersion) -> Refusal | None:
    current, other = in_force(version.kind), beside(version.kind)
    if finished_replay(version, current) is not None:
        return None
    same = Backtest.objects.filter(version=version, digest=version.digest, against=current)
    if other is not None and same.filter(status=BacktestStatus.DONE).exists():
        return Refusal(
            "outdated", f"{other.label} came into force meanwhile. Replay it together with that."
        )
    if current is not None and version.based_on_id != current.pk:
        return Refusal(
            "outdated",
            f"Version {current.label} came into force meanwhile. Replay it against that one.",
        )
    return Refusal(
        "replay_missing", "This text was not replayed over past requests yet. Run the replay first."
    )


class _ActionType(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def schema(self) -> JsonObject: ...
    @property
    def shown(self) -> JsonObject: ...
    @property
    def offers(self) -> JsonObject: ...


def check_document(
    document: Document, before: Document | None, *, text: str = ""
) -> tuple[Finding, ...]:
    """What the static checks find in the document today, held against the one before it.

    With the document's `text`, findings about rules say on which line.
    """
    return lint.findings(
        document,
        before=before,
        people=people_now(),
        action_types=known_action_types(),
        schemas=known_schemas(),
        teams=team_codes(),
        today=db_clock.today(),
        text=text,
        floor=None if document.is_floor else document_in_force(floor=True),
    )


def document_in_force(*, floor: bool = False) -> Document | None:
    """The published document, or floor; None when there is none, or none that can be read."""
    versions = versions_in_force()
    version = versions.floor if floor else versions.policy
    document = document_of(version) if version else None
    return document if isinstance(document, Document) else None


def known_action_types() -> frozenset[str]:
    """Keys of every action type this deployment has."""
    return frozenset(item.key for item in _action_types())


def known_schemas() -> Schemas:
    """What the cases of each action type look like, as far as it says so."""
    return {
        item.key: {"params": item.schema}
        | ({"before": item.shown, "after": item.shown} if item.shown else {})
        | ({"target": item.offers} if item.offers else {})
        for item in _action_types()
    }


def _action_types() -> Iterable[_ActionType]:
    every = cast("Callable[[], Iterable[_ActionType]]", import_string(settings.POLICY_ACTION_TYPES))
    return every()


def people_now() -> People:
    """Everybody with a role and everybody's limits, in two statements."""
    decides_in: defaultdict[str, set[str]] = defaultdict(set)
    roles: defaultdict[str, set[str]] = defaultdict(set)
    rows = User.objects.filter(groups__isnull=False).order_by()
    for person, is_active, group in rows.values_list("person", "is_active", "groups__name"):
        roles[person].add(group)
        if is_active:
            decides_in[person].add(group)
    limits = ApprovalLimit.objects.filter(valid=True).order_by()
    held = limits.values_list(
        "user__person", "group__name", "action_type", "currency", "each_minor"
    )
    return People(
        members=tuple(
            Member(person, frozenset(decides_in[person]), frozenset(found))
            for person, found in roles.items()
        ),
        limits=tuple(
            HeldLimit(person or "", group or "", action_type, currency, each_minor)
            for person, group, action_type, currency, each_minor in held
        ),
        answers_to=answers_to(),
    )
