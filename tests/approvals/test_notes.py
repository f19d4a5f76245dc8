"""A person's word to the people on a case: no state moves, and its agent never reads it."""

from __future__ import annotations

import json

import pytest

from approvals.api.output import ActionOutput
from approvals.exceptions import NotAuthorised, ReasonRequired, StalePage
from approvals.models import ActionRequest, Notice, ThreadEntry
from approvals.selectors.request_view import RequestView, for_review
from approvals.services import decide
from approvals.services.notes import write_note
from audit.lib.canonical import digest
from audit.models import AuditEvent
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    look_at,
    make_crm,
    make_person,
    reject,
)
from tests.approvals.story import codes

WORDS = "I called them: the contract is not signed."


def state_and_version(request: ActionRequest) -> tuple[str, int]:
    found = fresh(request)
    return str(found.state), found.version


def test_a_note_stands_in_the_conversation_and_moves_nothing(cast: Cast) -> None:
    request = make_crm(cast)
    before = state_and_version(request)

    entry = write_note(request.pk, person=cast.otto, text=WORDS)

    seen = for_review(ActionRequest.objects.filter(pk=request.pk)).get()
    (line,) = RequestView(seen).thread
    assert (line.by, line.body, line.for_people, line.is_agent) == ("otto", WORDS, True, False)
    assert state_and_version(request) == before
    event = AuditEvent.objects.get(subject_id=str(request.pk), code="request.noted")
    assert json.loads(event.data) == {"entry": entry.pk, "digest": digest(WORDS)}


def test_its_agent_never_reads_it(cast: Cast) -> None:
    request = make_crm(cast)

    write_note(request.pk, person=cast.otto, text=WORDS)

    assert "contract is not signed" not in str(ActionOutput(RequestView(fresh(request))).data)


def test_a_page_opened_before_it_decides_nothing(cast: Cast) -> None:
    request = make_crm(cast)
    reviewed = look_at(request, cast.oona)
    write_note(request.pk, person=cast.otto, text=WORDS)

    with pytest.raises(StalePage):
        decide.approve(request.pk, decider=cast.oona, reviewed=reviewed, reason_code="as_proposed")

    approve(request, cast.oona)
    assert fresh(request).state == "approved"


def test_whoever_wrote_before_is_told_and_the_author_is_not(cast: Cast) -> None:
    request = make_crm(cast)
    write_note(request.pk, person=cast.otto, text=WORDS)
    before = list(Notice.objects.values_list("pk", flat=True))

    write_note(request.pk, person=cast.oona, text="Signed since this morning.")

    told = Notice.objects.filter(request=request).exclude(pk__in=before)
    assert {(notice.recipient.username, notice.subject) for notice in told} == {
        ("otto", "A colleague wrote about a request you are on")
    }


def test_it_is_written_about_what_is_over_as_well(cast: Cast) -> None:
    request = make_crm(cast)
    reject(request, cast.otto)

    write_note(request.pk, person=cast.oona, text="Right so.")

    assert fresh(request).state == "rejected"
    assert codes(request)[-1] == "request.noted"


def test_who_was_never_asked_and_who_says_nothing_are_refused(cast: Cast) -> None:
    request = make_crm(cast)
    auditor = make_person("aud", "auditor")

    for stranger in (cast.sara, cast.ada, auditor):
        with pytest.raises(NotAuthorised):
            write_note(request.pk, person=stranger, text=WORDS)
    with pytest.raises(ReasonRequired):
        write_note(request.pk, person=cast.otto, text=" \n")

    assert not ThreadEntry.objects.exists()
    assert "request.noted" not in codes(request)
