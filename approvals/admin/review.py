"""The review page: shown by GET, answered through its doors, each one service call."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from approvals.admin.desk import desk_context
from approvals.admin.doors import (
    APPROVE,
    ASK,
    BREAK,
    DECIDING,
    EDIT,
    ESCALATE,
    REJECT,
    RESOLVE,
    SIGN_OFF,
    START,
    UNDO,
    Door,
    Outcome,
)
from approvals.admin.edit_form import EditForm
from approvals.admin.forms import AnswerForm
from approvals.admin.proving import asks_password, fit, prove_by
from approvals.admin.timing import countdown
from approvals.choices import INCIDENTS, DecisionVerdict, State
from approvals.exceptions import ApprovalError, IntegrityBroken, InvalidProposal
from approvals.models import ActionRequest, IntegrityIncident
from approvals.selectors import clock
from approvals.selectors.glass import may_break
from approvals.selectors.inbox import next_to_decide
from approvals.selectors.review import CaseFile, case_file
from approvals.selectors.shown import seal, shown_content
from approvals.services import integrity
from audit.actors import Actor
from connectors.catalogue import Reversibility
from policies.models import User

if TYPE_CHECKING:
    from approvals.admin.base import InboxAdmin

_REVERSIBILITY = {
    Reversibility.READ_ONLY: ("Changes nothing", "calm"),
    Reversibility.REVERSIBLE: ("Can be undone", "calm"),
    Reversibility.EXTERNALLY_REVERSIBLE: ("Can be undone only with others' help", "warn"),
    Reversibility.IRREVERSIBLE: ("Cannot be undone", "loud"),
}
_DECIDED = {
    DecisionVerdict.APPROVE: "approved",
    DecisionVerdict.REJECT: "rejected",
    DecisionVerdict.EDIT: "edited",
    DecisionVerdict.REQUEST_CHANGES: "asked about",
    DecisionVerdict.ESCALATE: "escalated",
    DecisionVerdict.BREAK_GLASS: "broke the glass for",
}
_TIERS = (
    "no external effect",
    "low business effect",
    "reversible update",
    "money or customer impact",
    "security or production",
    "safety or regulated",
)


def show(inbox: InboxAdmin, request: HttpRequest, action_request: ActionRequest) -> HttpResponse:
    """The page, for reading."""
    return _page(inbox, request, action_request)


def answer(
    inbox: InboxAdmin, request: HttpRequest, action_request: ActionRequest, door: Door
) -> HttpResponse:
    """Send one answer to its service and go on; refused, show the page again as it was typed."""
    person = cast(User, request.user)
    form: AnswerForm | None = None
    try:
        form = door.make_form(action_request, request.POST, "")
        if asks_password(request, action_request, door, at=clock.now()):
            form.ask_password()
        if not form.is_valid() or not prove_by(request, form):
            return _page(inbox, request, action_request, door, form, status=422)
        outcome = door.send(action_request, person, form)
    except InvalidProposal as refusal:
        if isinstance(form, EditForm):
            form.add_problems(refusal.problems)
        return _refused(inbox, request, action_request, door, form, refusal)
    except ApprovalError as refusal:
        return _refused(inbox, request, action_request, door, form, refusal)
    messages.success(request, outcome.sentence)
    return HttpResponseRedirect(_onwards(inbox, person, action_request, outcome))


def _refused(
    inbox: InboxAdmin,
    request: HttpRequest,
    action_request: ActionRequest,
    door: Door,
    form: AnswerForm | None,
    refusal: ApprovalError,
) -> HttpResponse:
    now = ActionRequest.objects.select_related("agent__owner", "requested_by").get(
        pk=action_request.pk
    )
    return _page(inbox, request, now, door, form, status=refusal.status, problem=refusal.message)


def _onwards(
    inbox: InboxAdmin, person: User, action_request: ActionRequest, outcome: Outcome
) -> str:
    if outcome.opens is not None:
        return reverse("review", args=[outcome.opens.pk])
    if not outcome.goes_on:
        return inbox.review_url(action_request.pk)
    following = next_to_decide(inbox.team, person, after=action_request)
    if following is not None:
        return inbox.review_url(following.pk)
    return reverse(f"admin:approvals_{inbox.opts.model_name}_changelist")


def _page(
    inbox: InboxAdmin,
    request: HttpRequest,
    action_request: ActionRequest,
    door: Door | None = None,
    form: AnswerForm | None = None,
    *,
    status: int = 200,
    problem: str = "",
) -> HttpResponse:
    at = clock.now()
    person = cast(User, request.user)
    # whoever breaks the glass opens requests of teams they are not in, and never their inboxes
    has_inbox = inbox.has_view_permission(request)
    opts = inbox.opts if has_inbox else ActionRequest._meta
    base: dict[str, Any] = {
        **inbox.admin_site.each_context(request),
        "title": f"{inbox.team.capitalize()} inbox",
        "opts": opts,
        "inbox_url": reverse(f"admin:approvals_{opts.model_name}_changelist"),
        "team": inbox.team,
        "problem": problem,
    }
    try:
        token = seal(action_request, shown_content(action_request), user=person, at=at)
        case = case_file(action_request, viewer=person, at=at)
    except IntegrityBroken as broken:
        by = IntegrityIncident.FoundBy.REVIEW
        integrity.report(action_request.pk, broken, found_by=by, actor=Actor.human(person))
        base |= {"action_request": action_request, "broken": broken.message}
        return TemplateResponse(request, "approvals/broken.html", base, status=broken.status)
    offered = {
        one.name: _offer(
            inbox,
            action_request,
            one,
            token,
            form if one is door else None,
            asks=asks_password(request, action_request, one, at=at),
        )
        for one in _open_doors(case, may_break=may_break(action_request, person, at=at))
    }
    tier = action_request.risk_tier
    reversibility = Reversibility(action_request.reversibility)
    last = case.decisions[-1] if case.decisions else None
    context = {
        **base,
        "case": case,
        "action_request": action_request,
        "standing": case.standing,
        **desk_context(inbox, action_request, person, at=at),
        "tier": tier,
        "tier_words": _TIERS[tier] if tier is not None else "not classified yet",
        "reversibility": _REVERSIBILITY[reversibility],
        "state": _state(action_request),
        "clock": _running_clock(action_request, at),
        "consequence": _consequence(case, at),
        "offered": offered,
        "deciding": [offered[one.name] for one in DECIDING if one.name in offered],
        "emergencies": action_request.broken_glass.all(),
        "typed": _typed(offered, door, form),
        "last_decision": last,
        "last_verdict": _DECIDED[DecisionVerdict(last.verdict)] if last else "",
        "has_inbox": has_inbox,
        "next": next_to_decide(inbox.team, person, after=action_request) if has_inbox else None,
    }
    if context["next"] is not None:
        context["next_url"] = inbox.review_url(context["next"].pk)
    return TemplateResponse(request, "approvals/review.html", context, status=status)


def _open_doors(case: CaseFile, *, may_break: bool) -> list[Door]:
    standing = case.standing
    decides_alone = standing.may_approve and standing.is_last and not standing.missing
    doors = [BREAK] if may_break and not decides_alone else []
    if standing.may_approve and not standing.missing:
        doors.append(APPROVE)
    if standing.may_approve and case.kind is not None:
        doors.append(EDIT)
    if standing.may_answer and case.request.requested_by_id is None:
        doors.append(ASK)  # a person who opened it is asked directly
    if standing.may_answer:
        doors.append(REJECT)
        if standing.escalates_to:
            doors.append(ESCALATE)
    doors += [START] if standing.may_start else []
    doors += [SIGN_OFF] if standing.may_sign_off else []
    doors += [RESOLVE] if standing.may_resolve else []
    doors += [UNDO] if standing.may_undo else []
    return doors


def _offer(
    inbox: InboxAdmin,
    action_request: ActionRequest,
    door: Door,
    token: str,
    typed: AnswerForm | None,
    *,
    asks: bool,
) -> dict[str, Any]:
    """One form of the page. What was typed is kept; the token is always this page's own."""
    form = typed
    if form is None:
        form = door.make_form(action_request, None, token)
    elif "seal" in form.fields:
        form.data = {name: form.data.get(name) for name in form.data} | {"seal": token}
    fit(form, asks=asks)
    return {
        "name": door.name,
        "form": form,
        "url": inbox.door_url(action_request.pk, door),
        "is_open": typed is not None,
    }


def _typed(
    offered: dict[str, dict[str, Any]], door: Door | None, form: AnswerForm | None
) -> list[tuple[str, str]]:
    """What was written into a form the page no longer offers, so that nobody's words are lost."""
    if door is None or form is None or door.name in offered:
        return []
    return [
        (str(field.label), str(form.data.get(name, "")))
        for name, field in form.fields.items()
        if name in ("comment", "question", "reason", "note", "outcome") and form.data.get(name)
    ]


def _state(action_request: ActionRequest) -> dict[str, str]:
    """The state in words, with a tone."""
    state = State(action_request.state)
    tone = "calm"
    if state in INCIDENTS or state in (State.FAILED, State.REJECTED, State.DENIED):
        tone = "loud"
    elif state in (State.VERIFIED, State.AUDITED, State.EXECUTED, State.APPROVED, State.EXECUTING):
        tone = "good"
    elif state in (State.PENDING_APPROVAL, State.CHANGES_REQUESTED):
        tone = "open"
    return {"word": str(state.label).capitalize(), "tone": tone}


def _running_clock(action_request: ActionRequest, at: datetime) -> dict[str, Any] | None:
    named = {
        State.PENDING_APPROVAL: ("to decide", action_request.decide_by),
        State.CHANGES_REQUESTED: ("for the agent to answer", action_request.answer_by),
        State.APPROVED: ("to be carried out", action_request.execute_by),
    }
    purpose, until = named.get(State(action_request.state), ("", None))
    shown = countdown(until, at=at)
    return {"purpose": purpose, "countdown": shown} if shown else None


def _consequence(case: CaseFile, at: datetime) -> str:
    """What the yes of the person in front of the page causes."""
    standing, policy = case.standing, case.policy
    if not standing.may_approve or policy is None:
        return ""
    if not standing.is_last:
        return (
            "Your yes counts, and nothing happens yet: "
            f"{' and '.join(standing.still_needed)} must still agree."
        )
    until = timezone.localtime(at + policy.execute_within)
    when = f"until {until:%H:%M} on {until:%-d %B}"
    if case.kind is not None and case.kind.supervised:
        return f"Yours is the last yes. A person then starts it and watches, {when}, once."
    if policy.window:
        window = f"inside the window {policy.window}"
        return f"Yours is the last yes. It is then done once, {window}, {when}."
    return f"Yours is the last yes. Countersign then does exactly this, once, {when}."
