"""Policy versions: written by some people, published by another, never changed after."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from django.db import transaction
from django.utils.timezone import get_default_timezone, localdate

from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import digest
from audit.services import record
from policies.authority import may_write_policy
from policies.document import Document
from policies.exceptions import PolicyError
from policies.models import PolicyEdit, PolicyVersion, User
from policies.models.versions import VersionKind, VersionStatus
from policies.parsing.parser import parse_document
from policies.services.dual_control import check_may_configure, require_reason
from policies.services.publishable import (
    check,
    check_errors,
    check_may_write,
    in_force,
    in_turn,
    open_version,
    why_not_publish,
)
from policies.services.shadow import end_shadow
from policies.static_analysis.lint import failed_tests

DEFAULT_DOCUMENT = Path(__file__).resolve().parent.parent / "default.yaml"
DEFAULT_FLOOR = DEFAULT_DOCUMENT.with_name("floor.yaml")


@transaction.atomic
def draft_version(document: str, *, author: User, reason: str) -> PolicyVersion:
    """Keep a document as a draft for somebody else to publish; one of `kind: floor` as a floor's.

    Raises DocumentError when it cannot be a policy, PolicyError: not_risk_owner, not_security,
    reason_missing, lint_errors. A draft's own tests may fail; asking for publication is what they
    stop.
    """
    in_turn()
    actor = Actor.human(author)
    if may_write_policy(actor, floor=True) is not None:
        check_may_write(actor)  # before anything is read
    require_reason(reason)
    parsed = parse_document(document)
    check_may_write(actor, floor=parsed.is_floor)
    check_errors(parsed)
    return new_version(document, parsed, author=author, reason=reason)


@transaction.atomic
def publish_version(version_id: int, *, publisher: User, reason: str) -> PolicyVersion:
    """Make a version the one policy in force and retire the one before it, in one step.

    Requests already evaluated keep the version they were evaluated by. Raises PolicyError:
    unknown_version, not_risk_owner, reason_missing, not_proposed, own_draft, own_request,
    digest_mismatch, invalid_document, tests_fail, lint_errors, replay_missing, outdated.
    """
    actor = Actor.human(publisher)
    version, _ = open_version(version_id, actor, reason)
    check(why_not_publish(version, publisher))
    now = db_clock.now()
    end_shadow(version, actor)
    _retire_current(actor, now, successor=version)
    version.status = VersionStatus.PUBLISHED
    version.publisher = publisher
    version.published_at = now
    version.save(update_fields=["status", "publisher", "published_at"])
    _record_published(version, actor, reason)
    return version


@transaction.atomic
def install_default(*, actor: Actor, source: Path | None = None) -> PolicyVersion | None:
    """Publish the default policy on an installation that has no version at all; else do nothing."""
    return _install(source or DEFAULT_DOCUMENT, VersionKind.ORDINARY, actor)


@transaction.atomic
def install_default_floor(*, actor: Actor) -> PolicyVersion | None:
    """Publish the default floor on an installation that never had one; else do nothing."""
    return _install(DEFAULT_FLOOR, VersionKind.FLOOR, actor)


def _install(source: Path, kind: VersionKind, actor: Actor) -> PolicyVersion | None:
    in_turn()
    check_may_configure(actor)
    if PolicyVersion.objects.filter(kind=kind).exists():
        return None
    document = source.read_text(encoding="utf-8")
    failures = failed_tests(parse_document(document))
    if failures:
        raise PolicyError("tests_fail", " ".join(failures))
    now = db_clock.now()
    reason = "installed with Countersign"
    version = PolicyVersion.objects.create(
        kind=kind,
        label=next_label(now, kind),
        document=document,
        digest=digest(document),
        status=VersionStatus.PUBLISHED,
        reason=reason,
        created_at=now,
        published_at=now,
    )
    _record_published(version, actor, reason)
    return version


def new_version(
    document: str,
    parsed: Document,
    *,
    author: User,
    reason: str,
    restores: PolicyVersion | None = None,
    suggested_from: str = "",
) -> PolicyVersion:
    """A draft with its first text on record. The caller has checked everything, in turn."""
    now = db_clock.now()
    kind = VersionKind.FLOOR if parsed.is_floor else VersionKind.ORDINARY
    version = PolicyVersion.objects.create(
        kind=kind,
        label=next_label(now, kind),
        document=document,
        digest=parsed.digest,
        author=author,
        reason=reason,
        based_on=in_force(kind),
        restores=restores,
        suggested_from=suggested_from,
        created_at=now,
    )
    keep_text(version, editor=author, reason=reason, at=now)
    record(
        AuditCode.POLICY_DRAFTED,
        actor=Actor.human(author),
        subject=version,
        state=version.status,
        data={
            "version": version.label,
            "digest": version.digest,
            "reason": reason,
            "based_on": version.based_on.label if version.based_on else "",
            "restores": restores.label if restores else "",
            **({"suggested_from": suggested_from} if suggested_from else {}),
        },
    )
    return version


def keep_text(version: PolicyVersion, *, editor: User, reason: str, at: datetime) -> None:
    """Keep the text the version has now, and whose it is."""
    PolicyEdit.objects.create(
        version=version,
        editor=editor,
        digest=version.digest,
        document=version.document,
        reason=reason,
        at=at,
    )


def next_label(now: datetime, kind: VersionKind = VersionKind.ORDINARY) -> str:
    """The next free label of the day; a floor's says that it is one."""
    prefix = "floor-" if kind == VersionKind.FLOOR else ""
    prefix += localdate(now, get_default_timezone()).isoformat() + "."
    used = PolicyVersion.objects.filter(label__startswith=prefix).values_list("label", flat=True)
    return f"{prefix}{max((int(label.rpartition('.')[2]) for label in used), default=0) + 1}"


def _retire_current(actor: Actor, now: datetime, *, successor: PolicyVersion) -> None:
    for old in PolicyVersion.objects.select_for_update(of=("self",)).filter(
        status=VersionStatus.PUBLISHED, kind=successor.kind
    ):
        old.status = VersionStatus.RETIRED
        old.retired_at = now
        old.save(update_fields=["status", "retired_at"])
        record(
            AuditCode.POLICY_RETIRED,
            actor=actor,
            subject=old,
            state=old.status,
            data={"version": old.label, "successor": successor.label},
        )


def _record_published(version: PolicyVersion, actor: Actor, reason: str) -> None:
    record(
        AuditCode.POLICY_PUBLISHED,
        actor=actor,
        subject=version,
        state=version.status,
        data={"version": version.label, "digest": version.digest, "reason": reason},
    )
