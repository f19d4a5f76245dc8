"""Policy versions: drafted by one person, published by another, never changed after."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from audit.actors import Actor
from audit.canonical import digest
from audit.events import AuditCode
from audit.services import record, stream
from policies.exceptions import PolicyError
from policies.models import PolicyVersion, User
from policies.models.versions import VersionStatus
from policies.parser import parse_document
from policies.selftest import failed_tests
from policies.services.configuring import check_may_configure

DEFAULT_DOCUMENT = Path(__file__).resolve().parent.parent / "default.yaml"


@transaction.atomic
def draft_version(document: str, *, author: User, reason: str) -> PolicyVersion:
    """Keep a document as a draft for somebody else to publish.

    Raises DocumentError when it cannot be a policy, PolicyError: not_ops_admin, reason_missing.
    A draft's own tests may fail; publishing is what they stop.
    """
    _in_turn()
    check_may_configure(Actor.human(author))
    _require(reason)
    parsed = parse_document(document)
    now = timezone.now()
    version = PolicyVersion.objects.create(
        label=_next_label(now),
        document=document,
        digest=parsed.digest,
        author=author,
        reason=reason,
        created_at=now,
    )
    record(
        AuditCode.POLICY_DRAFTED,
        actor=Actor.human(author),
        subject=version,
        state=version.status,
        data={"version": version.label, "digest": version.digest, "reason": reason},
    )
    return version


@transaction.atomic
def publish_version(version_id: int, *, publisher: User, reason: str) -> PolicyVersion:
    """Make a draft the one policy in force and retire the one before it, in one step.

    Raises PolicyError: unknown_version, not_a_draft, not_ops_admin, own_draft, tests_fail,
    digest_mismatch, reason_missing; DocumentError when this release no longer reads the document.
    """
    _in_turn()
    try:
        version = PolicyVersion.objects.select_for_update(of=("self",)).get(pk=version_id)
    except PolicyVersion.DoesNotExist as error:
        raise PolicyError("unknown_version", "There is no such policy version.") from error
    actor = Actor.human(publisher)
    check_may_configure(actor)
    _require(reason)
    if version.status != VersionStatus.DRAFT:
        raise PolicyError("not_a_draft", f"Version {version.label} is {version.status} already.")
    if version.author is not None:
        _refuse_same_person(version.author, publisher)
    _check_document(version)
    now = timezone.now()
    _retire_current(actor, now, successor=version)
    version.status = VersionStatus.PUBLISHED
    version.publisher = publisher
    version.published_at = now
    version.save(update_fields=["status", "publisher", "published_at"])
    _record_published(version, actor, reason)
    return version


@transaction.atomic
def install_default(*, actor: Actor) -> PolicyVersion | None:
    """Publish the default policy on an installation that has no version at all; else do nothing."""
    _in_turn()
    check_may_configure(actor)
    if PolicyVersion.objects.exists():
        return None
    document = DEFAULT_DOCUMENT.read_text(encoding="utf-8")
    now = timezone.now()
    reason = "installed with Countersign"
    version = PolicyVersion(
        label=_next_label(now),
        document=document,
        digest=digest(document),
        status=VersionStatus.PUBLISHED,
        reason=reason,
        created_at=now,
        published_at=now,
    )
    _check_document(version)
    version.save()
    _record_published(version, actor, reason)
    return version


def _in_turn() -> None:
    """One change of policy at a time: labels are counted and one version is in force."""
    stream("policy versions")


def _next_label(now: datetime) -> str:
    day = timezone.localdate(now).isoformat()
    used = PolicyVersion.objects.filter(label__startswith=f"{day}.").values_list("label", flat=True)
    return f"{day}.{max((int(label.rpartition('.')[2]) for label in used), default=0) + 1}"


def _refuse_same_person(author: User, publisher: User) -> None:
    publishing = User.objects.values_list("person", flat=True).get(pk=publisher.pk)
    if author.pk == publisher.pk or author.person == publishing:
        raise PolicyError("own_draft", "You drafted this version; somebody else publishes it.")


def _check_document(version: PolicyVersion) -> None:
    if digest(version.document) != version.digest:
        raise PolicyError("digest_mismatch", f"The document of {version.label} is not as drafted.")
    failures = failed_tests(parse_document(version.document))
    if failures:
        raise PolicyError("tests_fail", " ".join(failures))


def _retire_current(actor: Actor, now: datetime, *, successor: PolicyVersion) -> None:
    for old in PolicyVersion.objects.select_for_update(of=("self",)).filter(
        status=VersionStatus.PUBLISHED
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


def _require(reason: str) -> None:
    if not reason.strip():
        raise PolicyError("reason_missing", "Say why, in a few words.")
