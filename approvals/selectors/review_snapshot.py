"""The review snapshot: what a reviewer is shown, as one canonical value a decision is bound to."""

from __future__ import annotations

import json
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

    @property
    def evidence(self) -> frozenset[str]:
        """Digests of the evidence on the page."""
        return frozenset(json.loads(self.body)["evidence"])


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
    visible_seconds: int | None = None
    """How long the page was visible, says the browser; None where nobody measured."""
    evidence_opened: frozenset[str] = frozenset()
    """Digests of the evidence that was on the screen, says the browser."""
    foreseen: str = ""
    """Digest of what an edit would lead to, where the page showed that; see `domain.edited`."""

    def visible_until(self, at: datetime) -> int | None:
        """The visible seconds, never more than there were since the page was handed out."""
        if self.visible_seconds is None:
            return None
        return max(0, min(self.visible_seconds, int((at - self.opened_at).total_seconds())))


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
    request: ActionRequest,
    snapshot: ReviewSnapshot,
    *,
    user: User,
    at: datetime,
    foreseen: str = "",
) -> str:
    """The signed, single-use token that goes into the decision forms of one rendered page.

    `foreseen` is the digest of what an edit would lead to, on a page that shows it.
    """
    return signing.dumps(
        {
            "request": str(request.pk),
            "version": request.version,
            "shown": snapshot.digest,
            "user": user.pk,
            "nonce": secrets.token_hex(16),
            "opened": at.timestamp(),
            **({"foreseen": foreseen} if foreseen else {}),
        },
        salt=_SALT,
    )


def read_token(
    token: str,
    confirmed: Collection[str] = (),
    *,
    visible_seconds: int | None = None,
    evidence_opened: Collection[str] = (),
) -> ReviewedSnapshot:
    """Read a form's token back, with what was ticked and what the browser noted beside it.

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
            visible_seconds=visible_seconds,
            evidence_opened=frozenset(evidence_opened),
            foreseen=value.get("foreseen", ""),
        )
    except (signing.BadSignature, KeyError, ValueError, TypeError):
        raise StalePage("This page is too old to decide on. Reload it and look again.") from None
