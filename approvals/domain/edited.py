"""What an edit leads to, and its digest: shown before it is made, and bound to what is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from approvals.domain.derivation import Candidate
from approvals.domain.policy_check import PolicyCheck
from approvals.models import ActionRequest
from audit.lib.canonical import digest_of
from connectors.base import Preview
from policies.verdicts import RequirementSpec


@dataclass(frozen=True, slots=True)
class Edited:
    """One edited action, its target as it was read for it, and what policy says of the two."""

    candidate: Candidate
    preview: Preview
    check: PolicyCheck
    asked: tuple[RequirementSpec, ...]
    """Who must say yes. An edit never removes people: where policy would allow the edited action
    without any, those of the version before stay."""


def edited(
    candidate: Candidate,
    preview: Preview,
    check: PolicyCheck,
    *,
    before: Sequence[RequirementSpec],
) -> Edited:
    """`before`: who had to say yes to the version that is edited."""
    return Edited(candidate, preview, check, check.evaluation.requirements or tuple(before))


def foreseen_digest(request: ActionRequest, version: int, edit: Edited) -> str:
    """Everything its editor is shown of an edit of that version, as one digest.

    Counters and clocks are no part of it, only what policy makes of them.
    """
    said = edit.check.evaluation
    return digest_of(
        {
            "request": str(request.pk),
            "version": version,
            "action": edit.candidate.digest,
            "before": dict(edit.preview.before),
            "after": dict(edit.preview.after),
            "unavailable": edit.preview.unavailable,
            "policy": said.version,
            "floor": said.floor,
            "verdict": said.verdict.value,
            "tier": said.tier,
            "matched": [[rule.rule, rule.effect.value, rule.reason] for rule in said.matched],
            "asked": [
                [
                    spec.group,
                    spec.quorum,
                    spec.stage,
                    spec.within_limit,
                    list(spec.alternatives),
                    list(spec.excludes),
                ]
                for spec in edit.asked
            ],
        }
    )
