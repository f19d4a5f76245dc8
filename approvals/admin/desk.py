"""Who works on it: three small doors beside the decisions. None of them decides anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from approvals.choices import State
from approvals.exceptions import ApprovalError
from approvals.models import ActionRequest
from approvals.selectors.desk import desk_of
from approvals.selectors.pauses import stop_of
from approvals.services import claims
from policies.models import User

if TYPE_CHECKING:
    from approvals.admin.base import InboxAdmin


class NothingToFillIn(forms.Form):
    """The click is the answer."""


class GiveForm(forms.Form):
    """To whom, and why. Whether that person may decide it, the service asks."""

    to = forms.IntegerField(error_messages={"required": "Choose a colleague."})
    reason = forms.CharField(
        max_length=500, error_messages={"required": "Write why somebody else should do it."}
    )


@dataclass(frozen=True, slots=True)
class DeskDoor:
    """One address that takes a POST, its form, its one service call and the sentence after it."""

    name: str
    slug: str
    form: type[forms.Form]
    send: Callable[[ActionRequest, User, dict[str, Any]], str]


def _claim(request: ActionRequest, person: User, said: dict[str, Any]) -> str:
    requirement = claims.claim(request.pk, person=person)
    assert requirement.claimed_until is not None  # noqa: S101 - narrows for the type checker
    until = timezone.localtime(requirement.claimed_until)
    return f"You work on it until {until:%H:%M}. Colleagues see that and may decide all the same."


def _release(request: ActionRequest, person: User, said: dict[str, Any]) -> str:
    claims.release(request.pk, person=person)
    return "You no longer work on it."


def _give(request: ActionRequest, person: User, said: dict[str, Any]) -> str:
    requirement = claims.reassign(
        request.pk, by=person, to_user_id=said["to"], reason=said["reason"]
    )
    return f"{requirement.assignee} has it now, and is told."


CLAIM = DeskDoor("claim", "claim", NothingToFillIn, _claim)
RELEASE = DeskDoor("release", "release", NothingToFillIn, _release)
GIVE = DeskDoor("reassign", "reassign", GiveForm, _give)
DESK_DOORS = (CLAIM, RELEASE, GIVE)


def go_through(
    inbox: InboxAdmin, request: HttpRequest, action_request: ActionRequest, door: DeskDoor
) -> HttpResponse:
    """Make the door's one call and go back to the page, which says what became of it."""
    form = door.form(request.POST)
    if not form.is_valid():
        for problems in form.errors.values():
            messages.error(request, " ".join(str(problem) for problem in problems))
    else:
        try:
            sentence = door.send(action_request, cast(User, request.user), form.cleaned_data)
            messages.success(request, sentence)
        except ApprovalError as refusal:
            messages.error(request, refusal.message)
    return HttpResponseRedirect(inbox.review_url(action_request.pk))


def desk_context(
    inbox: InboxAdmin, action_request: ActionRequest, viewer: User, *, at: datetime
) -> dict[str, Any]:
    """Who works on it, with the addresses of the doors, and what keeps it from being approved."""
    name = f"admin:approvals_{inbox.opts.model_name}"
    return {
        "stop": stop_of(action_request) if action_request.state == State.PENDING_APPROVAL else None,
        "desk": desk_of(action_request, viewer, at=at),
        "desk_urls": {
            door.name: reverse(f"{name}_{door.name}", args=[action_request.pk])
            for door in DESK_DOORS
        },
    }
