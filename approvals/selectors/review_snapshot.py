"""The review snapshot: what a reviewer is shown, as one canonical value a decision is bound to."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.core import signing

from approvals.exceptions import StalePage
from approvals.models import ActionRequest
from approvals.selectors.requests import (
    content_of,
    evidence_of,
    policy_decision_of,
    reading_of,
    thread_of,
)
from audit.lib.canonical import canonical, digest
from policies.models import User

_SALT = "approvals.review"
_PAGE_LIFETIME = 8 * 3600  # seconds; a page older than a working day is read again


@dataclass(frozen=True, slots=True)
class ReviewSnapshot:
    """Everything on the page a decision rests on, as canonical JSON, and its digest."""

    body: str
    digest: str


@dataclass(frozen=True, slots=True)
class ReviewedSnapshot:
    """The proof a form carries: which page, of which request, for whom, opened when."""

    request_id: UUID
    version: int
    shown_digest: str
    user_id: int
    nonce: str
    opened_at: datetime
    confirmed: frozenset[str] = frozenset()
    """Keys of the facts they ticked as looked at (`facts_to_confirm`)."""


def snapshot_of(request: ActionRequest) -> ReviewSnapshot:
    """What the review page shows of the request now.

    Progress of other approvers is left out: a colleague's yes changes nothing about what is
    decided, and must not turn everybody else's page stale.
    """
    decision = policy_decision_of(request)
    reading = reading_of(request)
    body = canonical(
        {
            "request": str(request.pk),
            "version": request.version,
            "action": content_of(request).action,
            "digest": request.digest,
            "effect": request.effect,
            "tier": request.risk_tier,
            "reversibility": request.reversibility,
            "policy_decision": decision.pk if decision else None,
            "before": reading.before if reading else "",
            "after": reading.after if reading else "",
            "unavailable": reading.unavailable if reading else "",
            "sentence": reading.sentence if reading else "",
            "payee": reading.payee if reading else "",
            "evidence": [item.sha256 for item in evidence_of(request)],
            "thread": [
                {"by": entry.actor_name, "said": entry.body} for entry in thread_of(request)
            ],
        }
    )
    return ReviewSnapshot(body, digest(body))


def sign_token(
    request: ActionRequest, snapshot: ReviewSnapshot, *, user: User, at: datetime
) -> str:
    """The signed, single-use token that goes into the decision forms of one rendered page."""
    return signing.dumps(
        {
            "request": str(request.pk),
            "version": request.version,
            "shown": snapshot.digest,
            "user": user.pk,
            "nonce": secrets.token_hex(16),
            "opened": at.timestamp(),
        },
        salt=_SALT,
    )


def read_token(token: str, confirmed: Collection[str] = ()) -> ReviewedSnapshot:
    """Read a form's token back, with what was ticked beside it.

    Raises StalePage when it is forged, foreign or too old.
    """
    try:
        value = signing.loads(token, salt=_SALT, max_age=_PAGE_LIFETIME)
        return ReviewedSnapshot(
            request_id=UUID(value["request"]),
            version=value["version"],
            shown_digest=value["shown"],
            user_id=value["user"],
            nonce=value["nonce"],
            opened_at=datetime.fromtimestamp(value["opened"], tz=UTC),
            confirmed=frozenset(confirmed),
        )
    except (signing.BadSignature, KeyError, ValueError, TypeError):
        raise StalePage("This page is too old to decide on. Reload it and look again.") from None
