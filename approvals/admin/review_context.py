"""What the review page says: the request, what its viewer may do, and the forms for that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.http import HttpRequest

from approvals.admin.forms import ActionForm
from approvals.admin.review_actions import (
    ABSTAIN,
    APPROVE,
    ASK,
    BREAK_GLASS,
    DECISIONS,
    EDIT,
    ESCALATE,
    NOTE,
    READ_AGAIN,
    REJECT,
    RESOLVE,
    SIGN_OFF,
    START,
    STOP,
    SUGGEST_RULE,
    SUPPLY,
    UNDO,
    ReviewAction,
    asks_password,
    show_password,
)
from approvals.choices import INCIDENTS, DecisionVerdict, State
from approvals.models import ActionRequest, PolicyDecision
from approvals.selectors.abstentions import abstentions_in, told_to_agents
from approvals.selectors.break_glass import may_break
from approvals.selectors.causes import began_with
from approvals.selectors.claims import claims_of
from approvals.selectors.decision_card import card_of
from approvals.selectors.edits import edits_of
from approvals.selectors.instead import amount_instead
from approvals.selectors.outlook import Outlook, after_last_yes, of_approved
from approvals.selectors.pauses import Stop, stop_of
from approvals.selectors.request_view import RequestView
from approvals.selectors.requests import is_asked, policy_decision_of
from approvals.selectors.resubmission import replaced_by, replacement_of
from approvals.selectors.review_snapshot import sign_token, snapshot_of
from approvals.selectors.rule_from_case import rule_from_case, said_yes
from approvals.selectors.undo_view import undo_asked
from approvals.selectors.viewer_permissions import ViewerPermissions, permissions_of
from approvals.services.edit import EditForeseen
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.lib.money import Money
from connectors.catalogue import Reversibility
from policies.authority import read_together
from policies.evidence import Supplier
from policies.models import User

_REVERSIBILITY = {
    Reversibility.READ_ONLY: ("Changes nothing", "calm"),
    Reversibility.REVERSIBLE: ("Can be undone", "calm"),
    Reversibility.EXTERNALLY_REVERSIBLE: ("Can be undone only with others' help", "warn"),
    Reversibility.IRREVERSIBLE: ("Cannot be undone", "loud"),
}
_NEW_VERSION: dict[str, str] = {
    PolicyDecision.Purpose.EDIT: "edited",
    PolicyDecision.Purpose.EXECUTION: "sent back",
    PolicyDecision.Purpose.EVIDENCE: "with new evidence",
}
_DECIDED = {
    DecisionVerdict.APPROVE: "approved",
    DecisionVerdict.REJECT: "rejected",
    DecisionVerdict.EDIT: "edited",
    DecisionVerdict.REQUEST_CHANGES: "asked about",
    DecisionVerdict.ESCALATE: "escalated",
    DecisionVerdict.BREAK_GLASS: "approved alone, by break-glass,",
    DecisionVerdict.ABSTAIN: "abstained from",
}
_TIERS = (
    "no external effect",
    "low business effect",
    "reversible update",
    "money or customer impact",
    "security or production",
    "safety or regulated",
)
_TONES = dict.fromkeys((*INCIDENTS, State.FAILED, State.REJECTED, State.DENIED), "loud")
_TONES |= dict.fromkeys(
    (State.VERIFIED, State.AUDITED, State.EXECUTED, State.APPROVED, State.EXECUTING), "good"
)
_TONES |= dict.fromkeys((State.PENDING_APPROVAL, State.CHANGES_REQUESTED), "open")


INSTEAD = "instead"
"""In the page's address: the form for edits is open, filled in with what the target would take."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An action that was tried and came to nothing: its form as typed, and why, if it is said.

    Or one whose author is shown first what would come of it.
    """

    action: ReviewAction
    form: ActionForm | None
    problem: str = ""
    foreseen: EditForeseen | None = None
    is_new: bool = False
    """Whether something else had been shown before."""


def review_context(
    request: HttpRequest,
    action_request: ActionRequest,
    answered: Answered | None,
    *,
    urls: dict[str, str],
    was_asked: bool,
) -> dict[str, Any]:
    """Everything the template shows; `was_asked` says that the viewer is in the team of the page.

    Raises IntegrityBroken when the action is not what it was.
    """
    at = db_clock.now_of_page()
    person = cast(User, request.user)
    view = RequestView(action_request)
    policy = policy_decision_of(action_request)
    read_together(person.pk, _groups_asked(view), at)
    permissions = permissions_of(action_request, person, policy=policy, kind=view.kind, at=at)
    foreseen = answered.foreseen.digest if answered and answered.foreseen else ""
    snapshot = snapshot_of(action_request)
    token = sign_token(action_request, snapshot, user=person, at=at, foreseen=foreseen)
    may_alone = may_break(action_request, person, at=at)
    pending = action_request.state == State.PENDING_APPROVAL
    is_ahead = pending or action_request.state == State.APPROVED
    stop = stop_of(action_request) if is_ahead else None
    outlook = _outlook(view, permissions, stop, at)
    instead = amount_instead(action_request, view.kind) if permissions.gaps else None
    offered = {
        action.name: _offer(request, action_request, action, token, answered, urls, instead, at=at)
        for action in _offered(view, permissions, stop, outlook, may_break=may_alone)
    }
    if INSTEAD in request.GET and answered is None and instead and "edit" in offered:
        offered["edit"]["is_open"] = True
    could_be_rule = None
    if permissions.may_approve or said_yes(action_request, person):
        could_be_rule = rule_from_case(action_request, view.asked)
    if could_be_rule is not None:
        offered[SUGGEST_RULE.name] = _offer(
            request, action_request, SUGGEST_RULE, token, answered, urls, instead, at=at
        )
    if was_asked:
        offered[NOTE.name] = _offer(
            request, action_request, NOTE, token, answered, urls, instead, at=at
        )
    tier = action_request.risk_tier
    said = told_to_agents(view.decisions)
    last = said[-1] if said else None
    return {
        "case": view,
        "card": card_of(view),
        "ticks": "approve" in offered and is_asked(action_request, "confirm_facts", policy=policy),
        "ticked": request.POST.getlist("confirmed"),
        "undo_asked": undo_asked(action_request),
        "params": view.params,
        "permissions": permissions,
        "stop": stop,
        "instead": instead if "edit" in offered else None,
        "could_be_rule": could_be_rule,
        "abstentions": abstentions_in(view.decisions),
        "claims": claims_of(action_request, person, at=at),
        "urls": urls,
        "tier": tier,
        "tier_words": _TIERS[tier] if tier is not None else "not classified yet",
        "reversibility": _REVERSIBILITY[Reversibility(action_request.reversibility)],
        "state": state_shown(State(action_request.state)),
        "version_words": _version_words(view),
        "clock": _running_clock(action_request, at),
        "replaced": replaced_by(action_request, viewer=person),
        "replacement": replacement_of(action_request),
        "edits": edits_of(action_request, view.decisions),
        "consequence": outlook,
        "offered": offered,
        "deciding": [offered[one.name] for one in DECISIONS if one.name in offered],
        "emergencies": action_request.broken_glass.all() if view.was_broken else (),
        "problem": answered.problem if answered else "",
        "typed": _typed(offered, answered),
        "last_decision": last,
        "last_verdict": _DECIDED[DecisionVerdict(last.verdict)] if last else "",
    }


def _groups_asked(view: RequestView) -> set[str]:
    """Whose members the page is going to ask about."""
    asked = view.current_requirements
    named = {group for one in asked for group in one.spec.groups}
    return named | {one.escalated_to for one in asked if one.escalated_to}


def _offered(
    view: RequestView,
    permissions: ViewerPermissions,
    stop: Stop | None,
    outlook: Outlook | None,
    *,
    may_break: bool,
) -> Iterator[ReviewAction]:
    """The actions open to the viewer, in the page's order. Nobody approves what is paused."""
    is_step = view.request.plan_id is not None
    is_closed = is_step or stop is not None
    may_approve = permissions.may_approve and not permissions.gaps and not is_closed
    if is_closed:
        may_break = False
    if may_break and not (may_approve and permissions.is_last):
        yield BREAK_GLASS
    if may_approve:
        yield APPROVE
    if permissions.may_approve and view.kind is not None and not is_closed:
        yield EDIT
    if permissions.may_answer and view.request.requested_by_id is None and not is_step:
        yield ASK  # a person who opened it is asked directly
    if permissions.may_answer and not is_step:
        yield REJECT
    if permissions.may_answer and permissions.escalates_to:
        yield ESCALATE
    if permissions.may_answer and not is_step:
        yield ABSTAIN
    if any(gap.by != Supplier.SYSTEM for gap in permissions.gaps):
        yield SUPPLY
    if any(gap.can_be_read_again for gap in permissions.gaps):
        yield READ_AGAIN
    if permissions.may_start and outlook is not None and outlook.begins_now:
        yield START
    if permissions.may_stop:
        yield STOP
    if permissions.may_sign_off:
        yield SIGN_OFF
    if permissions.may_resolve:
        yield RESOLVE
    if permissions.may_undo:
        yield UNDO


def _offer(
    request: HttpRequest,
    action_request: ActionRequest,
    action: ReviewAction,
    token: str,
    answered: Answered | None,
    urls: dict[str, str],
    instead: Money | None,
    *,
    at: datetime,
) -> dict[str, Any]:
    """One form of the page. What was typed is kept; the token is always this page's own."""
    typed = answered.form if answered and answered.action is action else None
    form = typed
    if form is None:
        filled: JsonObject | None = {"amount": instead.decimal} if instead else None
        form = action.make_form(action_request, None, token, filled)
    elif "seal" in form.fields:
        form.data = {name: form.data.get(name) for name in form.data} | {"seal": token}
    foreseen = answered.foreseen if answered and answered.action is action else None
    is_sent = action.foresee is None or foreseen is not None
    show_password(form, asks=is_sent and asks_password(request, action_request, action, at=at))
    return {
        "name": action.name,
        "form": form,
        "url": urls[action.name],
        "is_open": typed is not None,
        "looks_first": not is_sent,
        "foreseen": foreseen,
        "foreseen_tier": _TIERS[foreseen.policy.decision.tier] if foreseen else "",
        "is_new": foreseen is not None and answered is not None and answered.is_new,
    }


def _typed(offered: dict[str, Any], answered: Answered | None) -> list[tuple[str, str]]:
    """What was written into a form the page no longer offers, so that nobody's words are lost."""
    if answered is None or answered.form is None or answered.action.name in offered:
        return []
    written = ("comment", "question", "reason", "note", "outcome", "text")
    form = answered.form
    return [
        (str(field.label), str(form.data.get(name, "")))
        for name, field in form.fields.items()
        if name in written and form.data.get(name)
    ]


def state_shown(state: State) -> dict[str, str]:
    """The state in words, with a tone."""
    return {"word": str(state.label).capitalize(), "tone": _TONES.get(state, "calm")}


def _version_words(view: RequestView) -> str:
    """What made it the version it is; an answer of the agent makes one without changing it."""
    policy = began_with(view.request, view.policies)
    return _NEW_VERSION.get(policy.decision.purpose if policy else "", "looked at again")


def _running_clock(action_request: ActionRequest, at: datetime) -> dict[str, Any] | None:
    named = {
        State.PENDING_APPROVAL: ("to decide", action_request.decide_by),
        State.CHANGES_REQUESTED: ("for the agent to answer", action_request.answer_by),
        State.APPROVED: ("to be carried out", action_request.execute_by),
    }
    purpose, until = named.get(State(action_request.state), ("", None))
    shown = countdown(until, at=at)
    return {"purpose": purpose, "countdown": shown} if shown else None


def _outlook(
    view: RequestView, permissions: ViewerPermissions, stop: Stop | None, at: datetime
) -> Outlook | None:
    """What the yes of the person in front of the page causes; of what is approved, what comes."""
    if view.request.state == State.APPROVED:
        return of_approved(view.request, stop, at=at)
    if not permissions.may_approve or view.policy is None:
        return None
    if not permissions.is_last:
        return Outlook(
            "Your yes counts, and nothing happens yet: "
            f"{' and '.join(permissions.still_needed)} must still agree."
        )
    return after_last_yes(view.request, view.kind, view.policy.decision, at=at)


SOON = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Countdown:
    """One running clock as the page shows it."""

    until: datetime
    text: str
    tone: str  # "over", "soon" or "calm"


def countdown(until: datetime | None, *, at: datetime) -> Countdown | None:
    """The clock in words: "3 h 20 min left", "5 min over"."""
    if until is None:
        return None
    left = until - at
    if left <= timedelta(0):
        return Countdown(until, f"{_span(-left)} over", "over")
    return Countdown(until, f"{_span(left)} left", "soon" if left <= SOON else "calm")


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    days, hours = minutes // 1440, minutes % 1440 // 60
    if days >= 2:
        return f"{days} days"
    if days:
        return f"1 day {hours} h" if hours else "1 day"
    if hours:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{minutes} min" if minutes else "under a minute"
