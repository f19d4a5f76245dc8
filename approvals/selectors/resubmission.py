"""What a request replaces, what changed in it since, and what was said about the one before."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from approvals.choices import FINAL_VERDICTS, State
from approvals.inspection import reveal
from approvals.models import ActionRequest
from approvals.selectors.edits import FieldEdited, fields_changed
from approvals.selectors.lines import ThreadLine, thread_line
from approvals.selectors.requests import action_of
from approvals.selectors.viewer_permissions import name_of
from approvals.selectors.visibility import visible_requests
from policies.models import User


@dataclass(frozen=True, slots=True)
class Replaced:
    """The request before, as whoever may read it sees it beside the new one."""

    pk: UUID
    effect: str
    state: str
    said: str
    """What a person decided about it and why; "" where nobody did."""
    comment: str
    fields: tuple[FieldEdited, ...]
    """What the agent changed; empty: nothing but its words."""
    other_type: str
    """Its action type where that is another: then there is nothing to compare."""
    thread: tuple[ThreadLine, ...]


def replaced_by(request: ActionRequest, *, viewer: User) -> Replaced | None:
    """The request it replaces; None for none, and for one the viewer may not read."""
    if request.supersedes_id is None:
        return None
    seen = visible_requests(viewer).filter(pk=request.supersedes_id)
    earlier = seen.prefetch_related("contents", "thread", "decisions__decider").first()
    if earlier is None:
        return None
    decided = [d for d in earlier.decisions.all() if d.verdict in FINAL_VERDICTS]
    last = max(decided, key=lambda d: d.pk, default=None)
    reason = f": {last.get_reason_code_display().lower()}" if last and last.reason_code else ""
    before, after = action_of(earlier), action_of(request)
    is_same_type = before.type == after.type
    return Replaced(
        pk=earlier.pk,
        effect=reveal(earlier.effect),
        state=earlier.get_state_display().lower(),
        said=f"{name_of(last.decider)}: {last.get_verdict_display().lower()}{reason}"
        if last
        else "",
        comment=reveal(last.comment) if last else "",
        fields=tuple(fields_changed(before.params, after.params)) if is_same_type else (),
        other_type="" if is_same_type else before.type,
        thread=tuple(thread_line(entry) for entry in earlier.thread.all()),
    )


def replacement_of(request: ActionRequest) -> UUID | None:
    """The newest request of its agent that replaces it; asked of what was withdrawn or refused."""
    if request.state not in _MAY_BE_REPLACED:
        return None
    newer = ActionRequest.objects.filter(supersedes=request.pk).order_by("-id")
    return newer.values_list("pk", flat=True).first()


_MAY_BE_REPLACED = (State.WITHDRAWN, State.REJECTED, State.EXPIRED, State.DENIED, State.FAILED)
