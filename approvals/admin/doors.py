"""The decisions of the review page: for each its address, its form and its one service call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from approvals.admin.edit_form import EditForm
from approvals.admin.forms import (
    AnswerForm,
    ApproveForm,
    AskForm,
    BreakGlassForm,
    EscalateForm,
    RejectForm,
    ResolveForm,
    SealedForm,
    SignOffForm,
    StartForm,
    UndoForm,
)
from approvals.models import ActionRequest
from approvals.selectors.requests import action_of
from approvals.selectors.shown import unseal
from approvals.services.break_glass import break_glass
from approvals.services.conclude import resolve, sign_off, start
from approvals.services.decide import approve, escalate, reject, request_changes
from approvals.services.edit import approve_with_edits
from approvals.services.undo import propose_undo
from connectors.registry import action_type
from policies.models import User


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one answer led to: the sentence for its author, and where to go on."""

    sentence: str
    opens: ActionRequest | None = None  # a request the answer opened
    goes_on: bool = True  # to the next request of the inbox; otherwise back to this one


@dataclass(frozen=True, slots=True)
class Door:
    """One thing a person can answer, in the order the page offers it."""

    name: str
    slug: str
    form: type[AnswerForm]
    send: Callable[[ActionRequest, User, AnswerForm], Outcome]
    proves: bool = False
    """Whether the tiers that ask for it want a fresh proof of identity here."""
    always_proves: bool = False
    """Whether it is asked every time, whatever the tier."""

    def make_form(self, request: ActionRequest, data: QueryDict | None, seal: str) -> AnswerForm:
        """The form, empty or as it was typed. The prefix keeps element ids apart, not names."""
        options: dict[str, Any] = {"auto_id": f"{self.name}-%s"}
        if issubclass(self.form, SealedForm):
            options["initial"] = {"seal": seal}
        if issubclass(self.form, EditForm):
            options |= {
                "kind": action_type(request.action_type),
                "params": action_of(request).params,
            }
        return self.form(data, **options)


def _approve(request: ActionRequest, person: User, form: AnswerForm) -> Outcome:
    approve(request.pk, decider=person, seen=_seen(form), proof=form.proof, **form.said())
    state = ActionRequest.objects.get(pk=request.pk)
    if state.state == request.state:
        return Outcome(f"Your approval counts; others still have to say yes: {request.effect}")
    return Outcome(f"Approved. Countersign carries it out now: {request.effect}")


def _reject(request: ActionRequest, person: User, form: AnswerForm) -> Outcome:
    reject(request.pk, decider=person, seen=_seen(form), **form.said())
    return Outcome(f"Rejected, nothing happens: {request.effect}")


def _edit(request: ActionRequest, person: User, form: AnswerForm) -> Outcome:
    said = form.said()
    approve_with_edits(request.pk, decider=person, seen=_seen(form), proof=form.proof, **said)
    edited = ActionRequest.objects.get(pk=request.pk)
    if edited.state == request.state:
        return Outcome(f"Edited; somebody else decides the new version: {edited.effect}")
    return Outcome(f"Edited; policy denies the new version: {edited.effect}")


def _ask(request: ActionRequest, person: User, form: AnswerForm) -> Outcome:
    request_changes(request.pk, decider=person, seen=_seen(form), **form.said())
    return Outcome(f"Asked {request.agent.name}. Your clock stands still until it answers.")


def _escalate(request: ActionRequest, person: User, form: AnswerForm) -> Outcome:
    escalate(request.pk, decider=person, seen=_seen(form), **form.said())
    return Outcome(f"Escalated: {request.effect}")


def _break(request: ActionRequest, person: User, form: AnswerForm) -> Outcome:
    break_glass(request.pk, decider=person, seen=_seen(form), proof=form.proof, **form.said())
    return Outcome(
        "You broke the glass. Everybody has been told, and somebody else reviews it within a day.",
        goes_on=False,
    )


def _start(request: ActionRequest, person: User, form: AnswerForm) -> Outcome:
    start(request.pk, operator=person, proof=form.proof)
    return Outcome("Started. Stay with it until it is verified.", goes_on=False)


def _sign_off(request: ActionRequest, person: User, form: AnswerForm) -> Outcome:
    sign_off(request.pk, person=person, proof=form.proof, **form.said())
    return Outcome("Signed off. The record is closed.", goes_on=False)


def _resolve(request: ActionRequest, person: User, form: AnswerForm) -> Outcome:
    said = form.said()
    resolve(request.pk, person=person, applied=said["applied"] == "yes", outcome=said["outcome"])
    return Outcome("Resolved. What you found out is on record.", goes_on=False)


def _undo(request: ActionRequest, person: User, form: AnswerForm) -> Outcome:
    proposed = propose_undo(request.pk, person=person, **form.said())
    if proposed.replayed:
        return Outcome("An undo is open already. This is it.", opens=proposed.request)
    return Outcome(
        "The undo is proposed. It is checked and approved like any other action.",
        opens=proposed.request,
    )


def _seen(form: AnswerForm) -> Any:
    return unseal(form.cleaned_data["seal"])


APPROVE = Door("approve", "approve", ApproveForm, _approve, proves=True)
REJECT = Door("reject", "reject", RejectForm, _reject)
EDIT = Door("edit", "edit", EditForm, _edit, proves=True)
ASK = Door("ask", "ask", AskForm, _ask)
ESCALATE = Door("escalate", "escalate", EscalateForm, _escalate)
BREAK = Door("break_glass", "break-glass", BreakGlassForm, _break, always_proves=True)
START = Door("start", "start", StartForm, _start, proves=True)
SIGN_OFF = Door("sign_off", "sign-off", SignOffForm, _sign_off, proves=True)
RESOLVE = Door("resolve", "resolve", ResolveForm, _resolve)
UNDO = Door("undo", "undo", UndoForm, _undo)

DECIDING = (APPROVE, EDIT, ASK, ESCALATE, REJECT)
CONCLUDING = (START, SIGN_OFF, RESOLVE, UNDO)
DOORS = (*DECIDING, BREAK, *CONCLUDING)
