"""A fresh proof of identity for what weighs most: tiers 4 and 5, and broken glass.

Saying no never needs one. Where a tier is not known yet, it counts as the highest.
"""

from __future__ import annotations

from datetime import datetime

from approvals.choices import STEP_UP_FROM
from approvals.exceptions import StepUpRequired
from approvals.models import ActionRequest
from policies.models import Reauthentication, User
from policies.services.reauthentication import current_proof


def demand_proof(
    request: ActionRequest, person: User, proof: int | None, *, at: datetime
) -> Reauthentication | None:
    """The person's proof where the tier asks for one, None where it does not.

    Raises StepUpRequired when there is none, when it is older than five minutes, or somebody
    else's.
    """
    if request.effective_tier < STEP_UP_FROM:
        return None
    return demand_fresh_proof(person, proof, at=at)


def demand_fresh_proof(person: User, proof: int | None, *, at: datetime) -> Reauthentication:
    """The same, whatever the tier."""
    found = current_proof(person, proof, at=at)
    if found is None:
        raise StepUpRequired("Confirm with your password that it is you who decides this.")
    return found
