"""The password inside a decision's form: asked where the tier wants it, not again for a while.

The proof's id lives in the session that gave it. Another session of the same person has none.
"""

from __future__ import annotations

from datetime import datetime
from typing import cast

from django.http import HttpRequest

from approvals.admin.doors import Door
from approvals.admin.forms import PASSWORD, AnswerForm
from approvals.choices import STEP_UP_FROM
from approvals.models import ActionRequest
from policies.exceptions import PolicyError
from policies.models import User
from policies.services.reauthentication import current_proof, prove

_KEPT = "proof-of-identity"


def asks_password(
    request: HttpRequest, action_request: ActionRequest, door: Door, *, at: datetime
) -> bool:
    """Whether this form has to ask, because this session has not proved it lately."""
    if door.always_proves:
        return True
    if not door.proves or action_request.effective_tier < STEP_UP_FROM:
        return False
    return current_proof(cast(User, request.user), proof_of(request), at=at) is None


def prove_by(request: HttpRequest, form: AnswerForm) -> bool:
    """Check a typed password and keep the proof in this session; else say why beside the field."""
    if PASSWORD in form.fields:
        try:
            proof = prove(cast(User, request.user), password=form.cleaned_data[PASSWORD])
        except PolicyError as refusal:
            form.add_error(PASSWORD, refusal.message)
            return False
        request.session[_KEPT] = proof.pk
    form.proof = proof_of(request)
    return True


def proof_of(request: HttpRequest) -> int | None:
    """What this session holds; whether it is still good is the services' to say."""
    kept = request.session.get(_KEPT)
    return kept if isinstance(kept, int) else None


def fit(form: AnswerForm, *, asks: bool) -> None:
    """Show the field only while it is wanted."""
    if asks:
        form.ask_password()
    else:
        form.fields.pop(PASSWORD, None)
