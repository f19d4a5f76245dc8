"""What a person can do on the review page: each action with its address, form and service call.

Where the tier wants it, the form asks for the password as well, and not again for a while. The
proof's id lives in the session that gave it; another session of the same person has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, cast

from django.http import HttpRequest, QueryDict

from approvals.admin.edit_form import EditForm
from approvals.admin.forms import (
    PASSWORD,
    AbstainForm,
    ActionForm,
    ApproveForm,
    AskForm,
    BreakGlassForm,
    EmptyForm,
    EscalateForm,
    NoteForm,
    ReadAgainForm,
    ReassignForm,
    RejectForm,
    ResolveForm,
    SignOffForm,
    SnapshotForm,
    StopForm,
    SuggestRuleForm,
    SupplyForm,
    UndoForm,
)
from approvals.choices import State
from approvals.models import ActionRequest
from approvals.proposal import SuppliedEvidence
from approvals.selectors.outlook import of_approved
from approvals.selectors.pauses import stop_of
from approvals.selectors.requests import action_of, is_asked, usable_grant_of
from approvals.selectors.review_snapshot import ReviewedSnapshot, read_token
from approvals.services import claims
from approvals.services.abstain import abstain
from approvals.services.break_glass import break_glass
from approvals.services.close import resolve, sign_off, start, stop
from approvals.services.decide import approve, escalate, reject, request_changes
from approvals.services.edit import EditForeseen, approve_with_edits, foresee_edit
from approvals.services.evidence import read_again, supply_evidence
from approvals.services.notes import write_note
from approvals.services.recall import recall
from approvals.services.suggest_rule import suggest_rule
from approvals.services.undo import propose_undo
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.lib.dates import format_moment
from connectors.registry import action_type
from policies.exceptions import PolicyError
from policies.models import User
from policies.services.passwords import current_proof, prove


class StepUp(Enum):
    """When an action asks for a fresh proof of identity."""

    NEVER = "never"
    BY_TIER = "by tier"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one answer led to: the sentence for its author, and where to go on."""

    sentence: str
    opens: ActionRequest | None = None  # a request the answer opened
    goes_on: bool = True  # to the next request of the inbox; otherwise back to this one


@dataclass(frozen=True, slots=True)
class ReviewAction:
    """One thing a person can do, in the order the page offers it."""

    name: str
    form: type[ActionForm]
    send: Callable[[ActionRequest, User, ActionForm], Outcome]
    step_up: StepUp = StepUp.NEVER
    foresee: Callable[[ActionRequest, User, ActionForm], EditForeseen] | None = None
    """What would come of it: shown before it is sent, and sent only as it was shown."""
    keeps_form: bool = True
    """Whether a refusal shows the page as it was typed; else it is said after going back."""

    @property
    def slug(self) -> str:
        """Its part of the address."""
        return self.name.replace("_", "-")

    def make_form(
        self,
        request: ActionRequest,
        data: QueryDict | None,
        token: str,
        instead: JsonObject | None = None,
    ) -> ActionForm:
        """The form, empty or as it was typed. The prefix keeps element ids apart, not names.

        `instead` are params an edit begins with in the place of those proposed.
        """
        options: dict[str, Any] = {"auto_id": f"{self.name}-%s"}
        if issubclass(self.form, SnapshotForm):
            options["initial"] = {"seal": token}
        if issubclass(self.form, EditForm):
            options |= {
                "kind": action_type(request.action_type),
                "params": action_of(request).params,
                "instead": instead,
            }
        if issubclass(self.form, SuggestRuleForm):
            options["has_amount"] = request.amount_minor is not None
        return self.form(data, **options)


def _approve(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    approve(request.pk, decider=person, reviewed=_seen(form), proof=form.proof, **form.said())
    now = ActionRequest.objects.select_related("agent").get(pk=request.pk)
    if now.state == request.state:
        return Outcome(f"Your approval counts; others still have to say yes: {request.effect}")
    grant = usable_grant_of(now)
    if grant is not None and grant.usable_from is not None:
        seconds = round((grant.usable_from - grant.created_at).total_seconds())
        when = f"in {seconds} s" if seconds <= 60 else f"until {format_moment(grant.usable_from)}"
        return Outcome(f"Approved, carried out unless recalled {when}: {request.effect}")
    return Outcome(f"Approved. {_next_step(now)} {request.effect}")


def _reject(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    reject(request.pk, decider=person, reviewed=_seen(form), **form.said())
    return Outcome(f"Rejected, nothing happens: {request.effect}")


def _edit(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    said = form.said()
    approve_with_edits(request.pk, decider=person, reviewed=_seen(form), proof=form.proof, **said)
    edited = ActionRequest.objects.get(pk=request.pk)
    if edited.state == request.state:
        return Outcome(f"Edited; somebody else decides the new version: {edited.effect}")
    return Outcome(f"Edited; policy denies the new version: {edited.effect}")


def _foresee_edit(request: ActionRequest, person: User, form: ActionForm) -> EditForeseen:
    return foresee_edit(request.pk, decider=person, reviewed=_seen(form), **form.said())


def _ask(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    request_changes(request.pk, decider=person, reviewed=_seen(form), **form.said())
    return Outcome(f"Asked {request.agent.name}. Your clock stands still until it answers.")


def _escalate(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    escalate(request.pk, decider=person, reviewed=_seen(form), **form.said())
    return Outcome(f"Escalated: {request.effect}")


def _abstain(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    abstain(request.pk, decider=person, reviewed=_seen(form), **form.said())
    return Outcome(f"You abstained; as many others must say yes as before: {request.effect}")


def _note(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    write_note(request.pk, person=person, **form.said())
    return Outcome("Your colleagues on this case read it here, and are told.", goes_on=False)


def _suggest_rule(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    version = suggest_rule(request.pk, person=person, **form.said())
    return Outcome(
        f"Suggested as {version.label}, a draft for whoever writes policy. Nothing changes by it.",
        goes_on=False,
    )


def _break_glass(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    break_glass(request.pk, decider=person, reviewed=_seen(form), proof=form.proof, **form.said())
    return Outcome(
        "Approved by you alone (break-glass). Everybody has been told, and somebody else "
        "reviews it within a day.",
        goes_on=False,
    )


def _start(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    start(request.pk, operator=person, proof=form.proof)
    return Outcome("Started. Stay with it until it is verified.", goes_on=False)


def _stop(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    stopped = stop(request.pk, person=person, **form.said())
    if stopped.state == State.WITHDRAWN:
        return Outcome("Stopped before it began: nothing was done.", goes_on=False)
    return Outcome(
        "Stopped: nothing more is sent. What was out already cannot be called back; find out "
        "whether it happened.",
        goes_on=False,
    )


def _recall(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    recall(request.pk, person=person)
    return Outcome("Recalled: nothing happens, and people decide anew.", goes_on=False)


def _next_step(request: ActionRequest) -> str:
    """What comes after the last yes, as it is known now."""
    outlook = of_approved(request, stop_of(request), at=db_clock.now())
    return outlook.sentence if outlook else ""


def _sign_off(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    sign_off(request.pk, person=person, proof=form.proof, **form.said())
    return Outcome("Signed off. The record is closed.", goes_on=False)


def _resolve(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    said = form.said()
    resolve(request.pk, person=person, applied=said["applied"] == "yes", outcome=said["outcome"])
    return Outcome("Resolved. What you found out is on record.", goes_on=False)


def _undo(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    proposed = propose_undo(request.pk, person=person, **form.said())
    if proposed.replayed:
        return Outcome("An undo is open already. This is it.", opens=proposed.request)
    return Outcome(
        "The undo is proposed. It is checked and approved like any other action.",
        opens=proposed.request,
    )


def _supply(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    said = form.said()
    evidence = SuppliedEvidence(
        kind=said["kind"],
        title=said["title"],
        uri=said["uri"],
        authority=person.get_username(),
        excerpt=said["text"],
    )
    supply_evidence(request.pk, person=person, reviewed=_seen(form), evidence=evidence)
    sentence = "Kept as evidence. Others decide now: whoever supplies evidence does not."
    return Outcome(sentence, goes_on=False)


def _read_again(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    read_again(request.pk, person=person, reviewed=_seen(form))
    return Outcome("The target was read again, and policy asked about it.", goes_on=False)


def _claim(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    requirement = claims.claim(request.pk, person=person)
    assert requirement.claimed_until is not None  # noqa: S101 - narrows for the type checker
    until = format_moment(requirement.claimed_until)
    sentence = f"You work on it until {until}. Colleagues see that and may decide all the same."
    return Outcome(sentence, goes_on=False)


def _release(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    claims.release(request.pk, person=person)
    return Outcome("You no longer work on it.", goes_on=False)


def _reassign(request: ActionRequest, person: User, form: ActionForm) -> Outcome:
    said = form.said()
    requirement = claims.reassign(
        request.pk, by=person, to_user_id=said["to"], reason=said["reason"]
    )
    return Outcome(f"{requirement.assignee} has it now, and is told.", goes_on=False)


def _seen(form: ActionForm) -> ReviewedSnapshot:
    sent = form.cleaned_data
    return read_token(
        sent["seal"],
        sent.get("confirmed", ()),
        visible_seconds=sent["visible_seconds"],
        evidence_opened=sent["evidence_opened"],
    )


APPROVE = ReviewAction("approve", ApproveForm, _approve, StepUp.BY_TIER)
REJECT = ReviewAction("reject", RejectForm, _reject)
EDIT = ReviewAction("edit", EditForm, _edit, StepUp.BY_TIER, foresee=_foresee_edit)
ASK = ReviewAction("ask", AskForm, _ask)
ESCALATE = ReviewAction("escalate", EscalateForm, _escalate)
ABSTAIN = ReviewAction("abstain", AbstainForm, _abstain)
NOTE = ReviewAction("note", NoteForm, _note)
SUGGEST_RULE = ReviewAction("suggest_rule", SuggestRuleForm, _suggest_rule)
BREAK_GLASS = ReviewAction("break_glass", BreakGlassForm, _break_glass, StepUp.ALWAYS)
START = ReviewAction("start", EmptyForm, _start, StepUp.BY_TIER)
STOP = ReviewAction("stop", StopForm, _stop)
RECALL = ReviewAction("recall", EmptyForm, _recall, keeps_form=False)
SIGN_OFF = ReviewAction("sign_off", SignOffForm, _sign_off, StepUp.BY_TIER)
RESOLVE = ReviewAction("resolve", ResolveForm, _resolve)
UNDO = ReviewAction("undo", UndoForm, _undo)
SUPPLY = ReviewAction("supply", SupplyForm, _supply)
READ_AGAIN = ReviewAction("read_again", ReadAgainForm, _read_again, keeps_form=False)
CLAIM = ReviewAction("claim", EmptyForm, _claim, keeps_form=False)
RELEASE = ReviewAction("release", EmptyForm, _release, keeps_form=False)
REASSIGN = ReviewAction("reassign", ReassignForm, _reassign, keeps_form=False)

DECISIONS = (APPROVE, EDIT, ASK, ESCALATE, REJECT)
CLAIMS = (CLAIM, RELEASE, REASSIGN)
EVIDENCE = (SUPPLY, READ_AGAIN)
REVIEW_ACTIONS = (
    *DECISIONS,
    ABSTAIN,
    NOTE,
    SUGGEST_RULE,
    BREAK_GLASS,
    *EVIDENCE,
    START,
    STOP,
    RECALL,
    SIGN_OFF,
    RESOLVE,
    UNDO,
    *CLAIMS,
)


_KEPT = "proof-of-identity"


def asks_password(
    request: HttpRequest, action_request: ActionRequest, action: ReviewAction, *, at: datetime
) -> bool:
    """Whether this form has to ask, because this session has not proved it lately."""
    if action.step_up == StepUp.ALWAYS:
        return True
    if action.step_up == StepUp.NEVER or not is_asked(action_request, "step_up"):
        return False
    return current_proof(cast(User, request.user), proof_of(request), at=at) is None


def looks_first(action: ReviewAction, form: ActionForm) -> bool:
    """Whether this form is answered with what would come of it, because no page has said so yet."""
    token = str(form.data.get("seal", ""))
    return action.foresee is not None and not read_token(token).foreseen


def prove_by(request: HttpRequest, form: ActionForm) -> bool:
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


def show_password(form: ActionForm, *, asks: bool) -> None:
    """Show the field only while it is wanted."""
    if asks:
        form.ask_password()
    else:
        form.fields.pop(PASSWORD, None)
