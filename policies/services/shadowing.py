"""Letting a version run in the shadow: asked beside the policy in force, it decides nothing."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from audit.actors import Actor
from audit.events import AuditCode
from audit.services import record
from policies.exceptions import PolicyError
from policies.models import PolicyVersion
from policies.services.publishable import (
    UNPUBLISHED,
    check_may_write,
    check_reason,
    in_turn,
    locked_version,
)
from policies.services.shadow import forget_shadows

MOST_SHADOWS = 3
"""How many versions run at once: each is asked again for every request."""


@transaction.atomic
def start_shadow(version_id: int, *, actor: Actor, reason: str) -> PolicyVersion:
    """From now on every new request is put to this version too, and the difference is kept.

    Raises PolicyError: unknown_version, not_risk_owner, reason_missing, not_a_draft,
    shadows_already, too_many_shadows.
    """
    in_turn()
    version = locked_version(version_id)
    check_may_write(actor)
    check_reason(reason)
    if version.status not in UNPUBLISHED:
        raise PolicyError("not_a_draft", "Only a version that is not in force runs in the shadow.")
    if version.shadowing_since is not None:
        raise PolicyError("shadows_already", f"Version {version.label} runs in the shadow already.")
    if PolicyVersion.objects.filter(shadowing_since__isnull=False).count() >= MOST_SHADOWS:
        raise PolicyError(
            "too_many_shadows", f"{MOST_SHADOWS} versions run in the shadow; end one of them first."
        )
    version.shadowing_since = timezone.now()
    version.save(update_fields=["shadowing_since"])
    transaction.on_commit(forget_shadows)
    record(
        AuditCode.POLICY_SHADOWED,
        actor=actor,
        subject=version,
        state=version.status,
        data={"version": version.label, "digest": version.digest, "reason": reason},
    )
    return version


@transaction.atomic
def stop_shadow(version_id: int, *, actor: Actor, reason: str) -> PolicyVersion:
    """End its shadow; what it said stays on record.

    Raises PolicyError: unknown_version, not_risk_owner, reason_missing, no_shadow.
    """
    in_turn()
    version = locked_version(version_id)
    check_may_write(actor)
    check_reason(reason)
    if version.shadowing_since is None:
        raise PolicyError("no_shadow", f"Version {version.label} does not run in the shadow.")
    end_shadow(version, actor, reason=reason)
    return version


def end_shadow(version: PolicyVersion, actor: Actor, *, reason: str = "") -> None:
    """End the shadow of a locked version, if it has one. Saves."""
    if version.shadowing_since is None:
        return
    version.shadowing_since = None
    version.save(update_fields=["shadowing_since"])
    transaction.on_commit(forget_shadows)
    record(
        AuditCode.POLICY_SHADOW_ENDED,
        actor=actor,
        subject=version,
        state=version.status,
        data={"version": version.label, "digest": version.digest, "reason": reason},
    )
