"""What happens after the last yes, when, or why it cannot: nothing is promised that cannot be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from approvals.choices import State
from approvals.models import ActionRequest, PolicyDecision
from approvals.selectors.pauses import Stop
from approvals.selectors.requests import usable_grant_of
from approvals.selectors.viewer_permissions import name_of
from audit.lib.dates import format_moment
from connectors.catalogue import ActionType
from connectors.registry import is_by_agent
from policies.matrix import OperatingModel
from policies.services.evaluation import held_until


@dataclass(frozen=True, slots=True)
class Outlook:
    """What comes next, as one sentence or two; `is_possible` is False where nothing can come."""

    sentence: str
    is_possible: bool = True
    begins_now: bool = True
    """Whether it could begin at this moment, were everything said that has to be."""


@dataclass(frozen=True, slots=True)
class _Span:
    """When execution may begin at the earliest and at the latest, as it is known now."""

    window: str
    opens_at: datetime | None
    """None: nobody says when, and so it never begins."""
    ends_at: datetime
    now: datetime

    @property
    def why_never(self) -> str:
        """Why it could not begin within that time; "" where it could."""
        if self.opens_at is None:
            return f"The policy in force has no change window “{self.window}”: it would not run."
        if self.opens_at < self.ends_at:
            return ""
        opens, ends = format_moment(self.opens_at), format_moment(self.ends_at)
        return f"{self._what_opens} on {opens}, after an approval ends on {ends}."

    @property
    def waits_until(self) -> str:
        """When it may begin, where that is not now."""
        if self.opens_at is None or self.opens_at <= self.now:
            return ""
        return f"{self._what_opens} on {format_moment(self.opens_at)}"

    @property
    def _what_opens(self) -> str:
        return f"The change window “{self.window}” opens" if self.window else "A freeze ends"


def after_last_yes(
    request: ActionRequest, kind: ActionType | None, policy: PolicyDecision, *, at: datetime
) -> Outlook:
    """What the last yes would cause, given now."""
    span = _span(request, policy.window, at + policy.execute_within, at)
    until = format_moment(span.ends_at)
    if span.why_never:
        never = f"{span.why_never} It would expire, and nothing would be done."
        return Outlook(f"Yours is the last yes, and it would lead to nothing. {never}", False)
    if is_started_by_person(kind, policy):
        begin = f"{span.waits_until}; from then" if span.waits_until else "From then"
        return Outlook(
            "Yours is the last yes. Nothing begins by itself: "
            f"a person starts it and watches. {begin} until {until}, once."
        )
    who = "Countersign then does"
    if kind is not None and kind.by_agent:
        who = "the agent may then do"
    if span.waits_until:
        return Outlook(
            f"Yours is the last yes. {span.waits_until}; {who} exactly this, once, not later than "
            f"{until}."
        )
    who = who[0].upper() + who[1:]
    return Outlook(f"Yours is the last yes. {who} exactly this, once, until {until}.")


def of_approved(request: ActionRequest, stop: Stop | None, *, at: datetime) -> Outlook | None:
    """What becomes of an approved request, or why not yet; None for any other."""
    grant = usable_grant_of(request) if request.state == State.APPROVED else None
    if grant is None:
        return None
    if stop is not None:
        return Outlook(f"{stop.for_people} Nothing begins while that lasts.", False, False)
    window = "" if grant.is_break_glass else grant.window
    span = _span(request, window, grant.expires_at, at, is_held=not grant.is_break_glass)
    until = format_moment(grant.expires_at)
    if span.why_never:
        return Outlook(f"{span.why_never} It expires, and nothing is done.", False, False)
    if grant.needs_start and grant.started_by is None:
        when = f"{span.waits_until}. " if span.waits_until else ""
        return Outlook(
            f"{when}A person has to start it, until {until}; then it expires.",
            begins_now=not span.waits_until,
        )
    begun = f"{name_of(grant.started_by)} started it. " if grant.started_by else ""
    if span.waits_until:
        waits = f"{begun}{span.waits_until}; it is done then, not later than {until}."
        return Outlook(waits, begins_now=False)
    if is_by_agent(request.action_type):
        return Outlook(f"{begun}The agent may carry it out itself now, not later than {until}.")
    return Outlook(f"{begun}Countersign carries it out now, not later than {until}.")


def is_started_by_person(kind: ActionType | None, policy: PolicyDecision) -> bool:
    """Whether a person has to start it once it is approved."""
    model = json.loads(policy.trace).get("operating_model", "")
    return model == OperatingModel.ASSISTED or (kind is not None and kind.supervised)


def _span(
    request: ActionRequest, window: str, ends_at: datetime, at: datetime, *, is_held: bool = True
) -> _Span:
    opens_at = held_until(window, request.action_type, at) if is_held else at
    return _Span(window, opens_at, ends_at, at)
