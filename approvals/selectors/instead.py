"""What could be approved in the place of what the target refuses: less of the same."""

from __future__ import annotations

from approvals.models import ActionRequest
from approvals.selectors.case import amount_of
from approvals.selectors.evidence_view import stored_json
from approvals.selectors.requests import reading_of
from audit.lib.money import Money, MoneyError
from connectors.catalogue import ActionType


def amount_instead(request: ActionRequest, kind: ActionType | None) -> Money | None:
    """The amount the target has left, where the request asks for more of the same currency."""
    amount, reading = amount_of(request), reading_of(request)
    if kind is None or not kind.left_in or amount is None or reading is None:
        return None
    try:
        left = Money.read(str(stored_json(reading.before).get(kind.left_in, "")))
    except MoneyError:
        return None
    is_less = left.currency == amount.currency and 0 < left.minor < amount.minor
    return left if is_less else None
