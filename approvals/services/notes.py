"""A person's word to the people on a case: seen with it, told to them, and never to its agent."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from approvals.domain import notifications
from approvals.exceptions import NotAuthorised, ReasonRequired
from approvals.models import ActionRequest, ThreadEntry
from approvals.selectors.inbox import inboxes_of, requests_of
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import digest
from audit.services import record
from policies.models import User


@transaction.atomic
def write_note(request_id: UUID, *, person: User, text: str) -> ThreadEntry:
    """Add a note, in whatever state the request is; nothing about the request changes.

    It is part of what reviewers are shown: a page opened before it has to be read again before
    anybody decides from it. Raises NotAuthorised for whoever was never asked, and ReasonRequired.
    """
    request = ActionRequest.objects.locked(request_id)
    person = User.objects.get(pk=person.pk)
    this = ActionRequest.objects.filter(pk=request_id)
    was_asked = any(requests_of(inbox, this).exists() for inbox in inboxes_of(person))
    if not (person.is_active and was_asked):
        raise NotAuthorised("Only people who were asked write to the people on the case.")
    if not text.strip():
        raise ReasonRequired("Write what your colleagues should know or answer.")
    entry = ThreadEntry.objects.create(
        request=request,
        actor_kind=ActorKind.HUMAN,
        actor_name=person.get_username(),
        body=text,
        for_people=True,
        created_at=db_clock.now(),
    )
    record(
        AuditCode.NOTED,
        actor=Actor.human(person),
        subject=request,
        data={"entry": entry.pk, "digest": digest(text)},
    )
    notifications.noted(request, by=person)
    return entry
