"""Every event reads as a sentence, and a trail page never fails on a bad one."""

from __future__ import annotations

import json
from string import Formatter

import pytest
from django.utils import timezone

from audit.events import AuditCode
from audit.models import AuditEvent, AuditStream
from audit.selectors import describe, events_of, fields_of
from tests.audit.make import make_chain


def _event(code: str, data: str = "{}", kind: str = "human") -> AuditEvent:
    return AuditEvent(code=code, actor_kind=kind, actor_name="maria", data=data)


@pytest.mark.parametrize("code", AuditCode)
def test_every_code_has_a_whole_sentence(code: AuditCode) -> None:
    data = json.dumps({name: f"<{name}>" for name in fields_of(code)})

    sentence = describe(_event(code, data))

    assert code.personal is not None
    assert "missing" not in sentence
    assert "{" not in sentence
    assert all(f"<{name}>" in sentence for name in fields_of(code))


def test_what_the_data_lacks_is_named() -> None:
    event = _event(AuditCode.EDITED)

    assert describe(event) == "person maria edited [fields missing]"


def test_lists_are_read_out() -> None:
    event = _event(AuditCode.EDITED, '{"fields":["amount","reason"]}')

    assert describe(event) == "person maria edited amount, reason"


@pytest.mark.parametrize("data", ["{broken", "[]", "null", ""])
def test_data_that_is_no_object_does_not_break_the_page(data: str) -> None:
    assert describe(_event(AuditCode.EDITED, data)).endswith("[fields missing]")


def test_an_event_cannot_name_another_actor_in_its_data() -> None:
    event = _event(AuditCode.WITHDRAWN, '{"actor":"person cfo"}')

    assert describe(event) == "person maria withdrew it"


def test_braces_in_data_stay_braces() -> None:
    event = _event(AuditCode.EDITED, '{"fields":"{actor.__class__}"}')

    assert describe(event) == "person maria edited {actor.__class__}"


def test_an_unknown_code_or_kind_is_shown_as_it_is() -> None:
    assert describe(_event("request.forgotten")) == "[unknown event request.forgotten]"
    assert describe(_event(AuditCode.WITHDRAWN, kind="ghost")) == "ghost maria withdrew it"


@pytest.mark.parametrize(
    ("code", "name", "recorded", "read"),
    [
        (
            AuditCode.GRANT_ISSUED,
            "expires_at",
            "2026-11-21T22:10:05+00:00",
            "21 Nov 2026, 23:10 CET",
        ),
        (AuditCode.ABSENCE_SET, "until", "2026-07-04T22:30:00+00:00", "5 Jul 2026, 00:30 CEST"),
        (AuditCode.RATE_SET, "day", "2026-11-05", "5 Nov 2026"),
    ],
)
def test_recorded_moments_read_as_dates_do_everywhere(
    code: AuditCode, name: str, recorded: str, read: str
) -> None:
    data = {**dict.fromkeys(fields_of(code), "-"), name: recorded}

    with timezone.override("Europe/Berlin"):
        assert describe(_event(code, json.dumps(data))).endswith(read)


@pytest.mark.parametrize(
    "recorded",
    [
        "2026-11-21T22:10:05",
        "9999-12-31T23:59:59+00:00",
        "0001-01-01T00:00:00+23:00",
        "tomorrow",
        "",
    ],
)
def test_what_is_no_moment_reads_as_it_was_recorded(recorded: str) -> None:
    event = _event(AuditCode.GRANT_ISSUED, json.dumps({"expires_at": recorded}))

    assert describe(event) == f"Grant issued until {recorded}"


def test_sentences_mark_nothing_that_nobody_spells() -> None:
    marks = {mark for code in AuditCode for _, _, mark, _ in Formatter().parse(code.sentence)}

    assert marks == {None, "", "moment", "day"}


@pytest.mark.django_db
def test_the_events_of_a_subject_come_in_order() -> None:
    make_chain("roles", 3)
    make_chain("other", 1)

    assert [event.seq for event in events_of(AuditStream(name="roles"))] == [1, 2, 3]
