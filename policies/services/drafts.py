"""What happens to a version before it is in force: edited, proposed, sent back, discarded."""

from __future__ import annotations

from django.db import transaction

from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record
from policies.exceptions import PolicyError
from policies.models import PolicyVersion, User
from policies.models.versions import VersionKind, VersionStatus
from policies.parsing.grammar import read_stored
from policies.parsing.parser import parse_document
from policies.services.backtests import request_backtest
from policies.services.publishable import (
    UNPUBLISHED,
    check,
    check_errors,
    open_version,
    why_not_request,
)
from policies.services.shadow import end_shadow
from policies.services.versions import keep_text, new_version
from policies.static_analysis.lint import failed_tests


@transaction.atomic
def edit_draft(
    version_id: int, document: str, *, editor: User, reason: str, seen: str = ""
) -> PolicyVersion:
    """Give a draft another text; the editor can then no longer publish it.

    `seen` is the digest of the text the editor started from. A running shadow ends: its chart is
    about one text. Raises DocumentError when it cannot be a policy, PolicyError: unknown_version,
    not_risk_owner, reason_missing, not_a_draft, changed_meanwhile, nothing_changed, other_kind,
    lint_errors.
    """
    actor = Actor.human(editor)
    version, _ = open_version(version_id, actor, reason)
    if version.status != VersionStatus.DRAFT:
        raise PolicyError(
            "not_a_draft", f"Only a draft is edited; {version.label} is none (any more)."
        )
    if seen and seen != version.digest:
        raise PolicyError(
            "changed_meanwhile",
            "Somebody saved another text meanwhile. Open the draft again and put yours into it.",
        )
    parsed = parse_document(document)
    if parsed.is_floor != (version.kind == VersionKind.FLOOR):
        raise PolicyError(
            "other_kind", "A policy does not become a floor, nor a floor a policy. Draft a new one."
        )
    if parsed.digest == version.digest:
        raise PolicyError("nothing_changed", "The text is the same as before.")
    check_errors(parsed)
    before, now = version.digest, db_clock.now()
    end_shadow(version, actor, reason="its text changed")
    version.document, version.digest = document, parsed.digest
    version.save(update_fields=["document", "digest"])
    keep_text(version, editor=editor, reason=reason, at=now)
    _note(AuditCode.POLICY_EDITED, version, actor, reason, before=before)
    return version


@transaction.atomic
def request_publication(version_id: int, *, actor: Actor, reason: str) -> PolicyVersion:
    """Ask somebody else to publish a draft; from here on its words stay.

    Raises PolicyError: unknown_version, not_risk_owner, reason_missing, not_a_draft,
    digest_mismatch, invalid_document, tests_fail, lint_errors, replay_missing, outdated.
    """
    version, _ = open_version(version_id, actor, reason)
    check(why_not_request(version))
    _move(version, VersionStatus.PROPOSED)
    _note(AuditCode.POLICY_PROPOSED, version, actor, reason)
    return version


@transaction.atomic
def return_to_draft(version_id: int, *, actor: Actor, reason: str) -> PolicyVersion:
    """Send a proposed version back to be edited.

    Raises PolicyError: unknown_version, not_risk_owner, reason_missing, not_proposed.
    """
    version, _ = open_version(version_id, actor, reason)
    if version.status != VersionStatus.PROPOSED:
        raise PolicyError("not_proposed", f"Nobody asked for the publication of {version.label}.")
    _move(version, VersionStatus.DRAFT)
    _note(AuditCode.POLICY_RETURNED, version, actor, reason)
    return version


@transaction.atomic
def discard(version_id: int, *, actor: Actor, reason: str) -> PolicyVersion:
    """Give a version up for good; its words and its history stay readable.

    Raises PolicyError: unknown_version, not_risk_owner, reason_missing, not_a_draft.
    """
    version, _ = open_version(version_id, actor, reason)
    if version.status not in UNPUBLISHED:
        raise PolicyError("not_a_draft", f"Version {version.label} is {version.status} already.")
    end_shadow(version, actor, reason="discarded")
    _move(version, VersionStatus.DISCARDED)
    _note(AuditCode.POLICY_DISCARDED, version, actor, reason)
    return version


@transaction.atomic
def roll_back_to(version_id: int, *, actor: Actor, reason: str) -> PolicyVersion:
    """Propose the text of a retired version again, as a new version somebody else publishes.

    It can be published as soon as its replay, asked for here, has finished. A text in an older
    grammar comes back in today's. Raises DocumentError when this release no longer reads the text,
    PolicyError: unknown_version, not_risk_owner,
    reason_missing, not_retired, tests_fail, lint_errors.
    """
    old, author = open_version(version_id, actor, reason)
    if old.status != VersionStatus.RETIRED:
        raise PolicyError("not_retired", "Only what was in force before can be rolled back to.")
    stored = read_stored(old.document)
    parsed = stored.document
    failures = failed_tests(parsed)
    if failures:
        raise PolicyError("tests_fail", " ".join(failures))
    check_errors(parsed)
    version = new_version(stored.text, parsed, author=author, reason=reason, restores=old)
    _move(version, VersionStatus.PROPOSED)
    _note(AuditCode.POLICY_PROPOSED, version, actor, reason)
    request_backtest(version.pk, actor=actor)
    return version


def _move(version: PolicyVersion, status: VersionStatus) -> None:
    version.status = status
    version.save(update_fields=["status"])


def _note(
    code: AuditCode, version: PolicyVersion, actor: Actor, reason: str, *, before: str = ""
) -> None:
    data = {"version": version.label, "digest": version.digest, "reason": reason}
    record(
        code,
        actor=actor,
        subject=version,
        state=version.status,
        data=data | ({"before": before} if before else {}),
    )
