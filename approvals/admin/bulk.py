"""Several alike requests decided on one page: each as it was seen, each by the same service call.

Only what needs no words: approving together is for cases of one kind and tier for which policy
asks neither a reason nor a proof of identity. Rejecting together is also for twins, which ask for
the same thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django import forms

from approvals.admin.forms import reason_field
from approvals.choices import DecisionVerdict, State
from approvals.exceptions import ApprovalError
from approvals.inspection import reveal
from approvals.models import ActionRequest
from approvals.selectors.requests import content_of, is_asked
from approvals.selectors.review_snapshot import read_token, sign_token, snapshot_of
from approvals.services.decide import approve, reject
from policies.models import User

MOST = 20
"""How many are decided on one page: as many as somebody can still read."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One of them, as it is shown and will be decided on."""

    request: ActionRequest
    effect: str
    action: str
    seal: str


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of one."""

    request_id: UUID
    effect: str
    is_done: bool
    sentence: str


class BulkForm(forms.Form):
    """One verdict for all of them. Rejecting takes a reason, as it always does."""

    verdict = forms.ChoiceField(choices=[("approve", "Approve"), ("reject", "Reject")])
    reason_code = reason_field(DecisionVerdict.REJECT)
    comment = forms.CharField(required=False, max_length=2000)


def why_not_together(requests: Sequence[ActionRequest]) -> str:
    """Why these are not decided on one page; "" when they may be."""
    if not 2 <= len(requests) <= MOST:
        return f"Choose from 2 to {MOST}."
    if any(one.state != State.PENDING_APPROVAL or one.plan_id is not None for one in requests):
        return "Only what waits for people, and is no step of a plan, is decided together."
    return why_not_alike(requests)


def why_not_alike(requests: Sequence[ActionRequest]) -> str:
    """Why they are not of one kind and tier; "" when they are."""
    kinds = {(one.action_type, one.risk_tier) for one in requests}
    return "Choose requests of one kind of action and one tier." if len(kinds) > 1 else ""


def why_not_approve(requests: Sequence[ActionRequest]) -> str:
    """Why these are approved one by one; "" when it may be done together."""
    if any(is_asked(one, "reason_required") or is_asked(one, "step_up") for one in requests):
        return "Each of these needs a reason of its own, so each is approved on its page."
    return ""


def why_not_reject(requests: Sequence[ActionRequest]) -> str:
    """Why these are rejected one by one: they are neither twins nor simple."""
    if len({one.business_key for one in requests}) == 1:
        return ""
    return why_not_approve(requests)


def shown(requests: Sequence[ActionRequest], viewer: User, *, at: datetime) -> list[Chosen]:
    """Each with exactly what is done, and a token that binds the decision to it."""
    return [
        Chosen(
            one,
            reveal(one.effect),
            reveal(content_of(one).action),
            sign_token(one, snapshot_of(one), user=viewer, at=at),
        )
        for one in requests
    ]


def decide(seals: Sequence[str], *, decider: User, form: BulkForm) -> list[BulkResult]:
    """Decide each by itself, in its own transaction; one that is refused leaves the others be."""
    return [_decided(seal, decider, form) for seal in seals]


def requests_in(seals: Sequence[str]) -> list[UUID]:
    """Which requests these tokens are about. Raises StalePage."""
    return [read_token(seal).request_id for seal in seals]


def _decided(seal: str, decider: User, form: BulkForm) -> BulkResult:
    said = form.cleaned_data
    reviewed = read_token(seal)
    request = ActionRequest.objects.get(pk=reviewed.request_id)
    try:
        if said["verdict"] == "approve":
            approve(request.pk, decider=decider, reviewed=reviewed)
        else:
            reject(
                request.pk,
                decider=decider,
                reviewed=reviewed,
                reason_code=said["reason_code"],
                comment=said["comment"],
            )
    except ApprovalError as refusal:
        return BulkResult(request.pk, request.effect, is_done=False, sentence=refusal.message)
    now = ActionRequest.objects.get(pk=request.pk)
    return BulkResult(request.pk, now.effect, is_done=True, sentence=now.get_state_display())
