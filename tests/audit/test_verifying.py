"""Whoever changes the trail behind the triggers is found, and the right record is named."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from audit import chain
from audit.reading import EVERYTHING, Subject, rows_in_chain_order, spans
from audit.verify import Check, Problem, Report, check_chains, check_no_chain_is_missing, verify
from tests.audit.make import KINDS, make_chain, make_row
from tests.audit.trail import STREAM, found, make_trail, sql


@pytest.mark.django_db
def test_an_untouched_trail_verifies() -> None:
    make_trail()

    report = found()

    assert report.problem is None
    assert (report.events, report.subjects) == (14, 4)


@pytest.mark.django_db
def test_an_empty_trail_verifies() -> None:
    assert verify() == Report()


@pytest.mark.django_db
def test_of_two_bad_records_the_first_is_named() -> None:
    make_trail()

    sql("UPDATE audit_auditevent SET data = '{}' WHERE subject_id = 'c' AND seq = 1")
    sql("UPDATE audit_auditstream SET audit_seq = 9 WHERE name = 'a'")
    problem = found().problem

    assert problem is not None
    assert problem.subject == Subject(STREAM, "a")


@pytest.mark.django_db
def test_a_chain_of_a_kind_the_code_no_longer_knows_is_named() -> None:
    make_trail()

    problem = verify(kinds={"audit.paper": KINDS["audit.paper"]}).problem

    assert problem is not None
    assert (problem.check, problem.subject.id) == (Check.ROW_MISSING, "a")


@pytest.mark.django_db
def test_a_bad_record_far_behind_many_good_ones_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.verify._BATCH", 2)
    monkeypatch.setattr("audit.reading.CHUNK", 3)
    make_trail()
    assert found().problem is None

    sql("UPDATE audit_auditstream SET audit_seq = 9 WHERE name = 'b'")
    assert str(found().problem).startswith(f"{STREAM} b, seq 4, event ")

    sql("UPDATE audit_auditstream SET audit_seq = 4 WHERE name = 'b'")
    sql("DELETE FROM audit_auditevent WHERE subject_id = 'c'")
    assert str(found().problem).startswith(f"{STREAM} c: The record counts 4 events")


@pytest.mark.django_db
def test_counts_that_cannot_be_explained_are_not_passed_over() -> None:
    make_trail()

    with pytest.raises(RuntimeError, match="one_snapshot"):
        check_no_chain_is_missing(Counter({STREAM: 2}), {STREAM: KINDS[STREAM]})


# --- The shapes verification reads ---------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("at", ["2026-01-02 03:04:05", "2026-01-02 03:04:05.000600"])
def test_the_columns_read_back_give_the_very_bytes_that_were_signed(
    at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    monkeypatch.setattr("audit.lib.db_clock.now", lambda: moment)
    event = make_chain("Zoë 山田", 1)[0]

    (row,) = rows_in_chain_order()

    signed = chain.message(
        "", event.subject_type, event.subject_id, 1, event.code, event.actor_kind, event.actor_id,
        event.actor_name, chain.moment(moment), event.state, event.data,
    )  # fmt: skip
    assert chain.message("", *row[3:]) == signed
    assert f"\n{at.replace(' ', 'T')}".encode() in signed


@pytest.mark.django_db
@pytest.mark.parametrize(
    "at",
    ["infinity", "0001-01-01 00:00:00 BC"]
    if connection.vendor == "postgresql"
    else ["never", "2026-13-45 00:00:00", "2026-01-02T03:04:05.000000+00:00", "", b"\xff"],
)
def test_a_time_nobody_can_read_is_named_like_any_other_change(at: object) -> None:
    make_trail()

    sql("UPDATE audit_auditevent SET at = %s WHERE subject_id = 'b' AND seq = 2", at)
    problem = found().problem

    assert problem is not None
    assert (problem.check, problem.subject.id, problem.seq) == (Check.MAC, "b", 2)


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite stores a time as text")
def test_the_same_time_before_christ_is_another() -> None:
    make_trail()

    sql(
        "UPDATE audit_auditevent SET at = (to_char(at, 'YYYY-MM-DD HH24:MI:SS.US') || ' BC')"
        "::timestamp AT TIME ZONE 'UTC' WHERE subject_id = 'b' AND seq = 2"
    )

    assert found().problem is not None


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL stores only UTF-8")
def test_bytes_that_are_not_text_are_named_like_any_other_change() -> None:
    make_trail()
    bytes_of_b = (
        "UPDATE audit_auditevent SET {} = CAST(x'ff' AS TEXT) WHERE subject_id = 'b' AND seq = 2"
    )

    sql(bytes_of_b.format("data"))
    assert str(found().problem).startswith(f"{STREAM} b, seq 2")

    sql(
        "UPDATE audit_auditevent SET state = CAST(x'ff' AS TEXT) WHERE subject_id = 'b' AND seq = 2"
    )
    assert str(found().problem).startswith(f"{STREAM} b, seq 2")

    sql("UPDATE audit_auditevent SET subject_id = CAST(x'20ff' AS TEXT) WHERE subject_id = 'b'")
    assert "\\udcff" in str(found().problem)


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL stores only UTF-8")
def test_bytes_that_read_like_what_was_signed_are_not_taken_for_it() -> None:
    (event,) = make_chain("b \\xff \\udcff \ufffd", 1)
    assert verify().problem is None

    for read in ("\\\\xff", "\\\\udcff", "\ufffd"):
        assert read in event.data
        stored = event.data.encode().replace(read.encode(), b"\xff")
        sql("UPDATE audit_auditevent SET data = CAST(%s AS TEXT)", stored)
        assert verify().problem is not None


def test_events_signed_with_a_retired_or_a_long_key_still_verify() -> None:
    keys = {"old": b"k" * 100, "new": b"n" * 48}
    rows = []
    head = ""
    for seq, name in ((1, "old"), (2, "new")):
        row = make_row(seq=seq, key_id=name)
        head = chain.mac(keys[name], chain.message(head, *row[3:]))
        rows.append(row._replace(mac=head))

    assert not any(isinstance(r, Problem) for r in check_chains(rows, chain.Keyring("new", keys)))
    (problem,) = check_chains(rows, chain.Keyring("new", {"new": keys["new"]}))
    assert isinstance(problem, Problem)
    assert (problem.check, problem.seq) == (Check.KEY, 1)


@pytest.mark.parametrize(
    ("seq", "mac", "check"), [(2, "f00", Check.SEQUENCE), (1, "f00", Check.MAC)]
)
def test_nothing_is_said_after_the_first_problem(seq: int, mac: str, check: Check) -> None:
    rows = [make_row(seq=seq, mac=mac)._replace(subject_id=name) for name in "ab"]

    (problem,) = check_chains(rows, chain.Keyring("key", {"key": b"k"}))

    assert isinstance(problem, Problem)
    assert (problem.check, problem.subject.id) == (check, "a")


@pytest.mark.django_db
@pytest.mark.parametrize("parts", [1, 2, 3, 50])
def test_spans_cover_the_trail_once_and_cut_between_chains(parts: int) -> None:
    for name in "abc":
        make_chain(name)

    cut = spans(parts)

    together = [row for span in cut for row in rows_in_chain_order(span)]
    assert together == list(rows_in_chain_order())
    assert cut[0].first is cut[-1].end is EVERYTHING.first is None
    assert len(cut) <= parts


# --- The command ---------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_command_sums_up_a_sound_trail(capsys: pytest.CaptureFixture[str]) -> None:
    make_chain("roles")

    call_command("verify_audit")

    assert "The trail verifies: 4 events of 1 subjects" in capsys.readouterr().out


@pytest.mark.django_db(transaction=True)
def test_the_command_fails_with_the_first_bad_record() -> None:
    event = make_chain("roles")[1]
    sql("UPDATE audit_auditevent SET actor_name = 'villain' WHERE seq = 2")

    with pytest.raises(CommandError, match=f"roles, seq 2, event {event.pk}: .*check: mac") as bad:
        call_command("verify_audit")

    assert bad.value.returncode == 1


@pytest.mark.django_db
@pytest.mark.parametrize("jobs", [0, -1] + ([2] if connection.vendor == "sqlite" else []))
def test_a_number_of_jobs_that_cannot_be_is_refused(jobs: int) -> None:
    with pytest.raises(CommandError, match="--jobs"):
        call_command("verify_audit", jobs=jobs)
