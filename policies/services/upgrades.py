"""The policy in force after an upgrade: read in today's grammar, or loudly unreadable."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import digest
from audit.selectors import events_of
from audit.services import record
from policies.models import PolicyVersion
from policies.models.versions import VersionStatus
from policies.parsing.grammar import read_stored
from policies.services.evaluation import active_version, document_of, versions_in_force
from policies.services.publishable import in_force, in_turn
from policies.services.versions import next_label

UPGRADER = Actor.system("upgrade")


def why_unreadable() -> str:
    """Why the policy in force, or its floor, cannot be read; empty when both can."""
    versions = versions_in_force()
    found = (document_of(one) for one in (versions.policy, versions.floor) if one is not None)
    return next((document for document in found if isinstance(document, str)), "")


def find_older_grammar(at: datetime) -> list[int]:
    """The version in force, when it is read through an upgrade that is not on record yet."""
    version = active_version()
    if version is None:
        return []
    document = document_of(version)
    if isinstance(document, str) or document.digest == version.digest:
        return []
    return [] if _is_upgraded(version) else [version.pk]


@transaction.atomic
def draft_successor(version_id: int) -> PolicyVersion | None:
    """Keep the upgraded text as a draft for risk owners, and on record as what is evaluated.

    Nobody wrote it, so anybody who writes policy may ask for its publication and somebody else
    publishes it. None when it was drafted meanwhile, or another version is in force.
    """
    in_turn()
    version = in_force()
    if version is None or version.pk != version_id:
        return None
    if _is_upgraded(version):
        return None
    stored = read_stored(version.document)
    if not stored.changes:
        return None
    now = db_clock.now()
    reason = f"{version.label} in today's grammar: {' '.join(stored.changes)}"
    draft = PolicyVersion.objects.create(
        label=next_label(now),
        document=stored.text,
        digest=digest(stored.text),
        status=VersionStatus.DRAFT,
        reason=reason,
        based_on=version,
        created_at=now,
    )
    record(
        AuditCode.POLICY_DRAFTED,
        actor=UPGRADER,
        subject=draft,
        state=draft.status,
        data={
            "version": draft.label,
            "digest": draft.digest,
            "reason": reason,
            "based_on": version.label,
            "restores": "",
        },
    )
    record(
        AuditCode.POLICY_UPGRADED,
        actor=UPGRADER,
        subject=version,
        state=version.status,
        data={
            "version": version.label,
            "digest": version.digest,
            "read_as": draft.digest,
            "changes": list(stored.changes),
            "successor": draft.label,
        },
    )
    return draft


def _is_upgraded(version: PolicyVersion) -> bool:
    return events_of(version).filter(code=AuditCode.POLICY_UPGRADED).exists()
