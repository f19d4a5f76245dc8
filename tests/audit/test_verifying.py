"""Whoever changes the trail behind the triggers is found, and the right record is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from audit import chain
from audit.models import AuditEvent
from audit.reading import EVERYTHING, Row, Subject, rows_in_chain_order, spans
from audit.verify import Check, Problem, Report, check_chains, check_no_chain_is_missing, verify
from tests.audit.make import KINDS, make_chain, make_paper, make_paper_table
from tests.database import triggers_off

STREAM = "audit.auditstream"


def sql(statement: str, *values: object) -> None:
    """Tamper: run it as somebody the triggers do not stop."""
    with triggers_off(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def make_trail() -> None:
    """Three streams, a, b and c, of four events each, and one paper that is approved."""
    make_paper_table()
    for name in "abc":
        make_chain(name)
    make_paper("p", "open", "approved")


def found() -> Report:
    return verify(kinds=KINDS)


@pytest.mark.django_db
def test_an_untouched_trail_verifies() -> None:
    make_trail()

    report = found()

    assert report.problem is None
    assert (report.events, report.subjects) == (14, 4)


@pytest.mark.django_db
def test_an_empty_trail_verifies() -> None:
    assert verify() == Report()


# --- The tampering table -------------------------------------------------------------------------

_EVENT = "UPDATE audit_auditevent SET {} WHERE subject_id = 'b' AND seq = 2"


@dataclass(frozen=True)
class Tampering:
    """What is done, and what must be said about it."""

    do: Callable[[], None]
    check: Check
    subject: str
    seq: int | None


def edited(assignment: str) -> Callable[[], None]:
    return lambda: sql(_EVENT.format(assignment))


def removed(seq: int) -> Callable[[], None]:
    return lambda: sql("DELETE FROM audit_auditevent WHERE subject_id = 'b' AND seq = %s", seq)


def inserted_at_the_end() -> None:
    sql(
        "INSERT INTO audit_auditevent (subject_type, subject_id, seq, code, actor_kind, actor_id, "
        "actor_name, at, state, data, key_id, mac) SELECT subject_type, subject_id, 5, code, "
        "actor_kind, actor_id, actor_name, at, state, data, key_id, mac FROM audit_auditevent "
        "WHERE subject_id = 'b' AND seq = 4"
    )


def inserted_in_the_middle() -> None:
    sql("UPDATE audit_auditevent SET seq = seq + 100 WHERE subject_id = 'b' AND seq > 2")
    sql("UPDATE audit_auditevent SET seq = seq - 99 WHERE subject_id = 'b' AND seq > 100")
    sql(
        "INSERT INTO audit_auditevent (subject_type, subject_id, seq, code, actor_kind, actor_id, "
        "actor_name, at, state, data, key_id, mac) SELECT subject_type, subject_id, 3, code, "
        "actor_kind, actor_id, actor_name, at, state, data, key_id, mac FROM audit_auditevent "
        "WHERE subject_id = 'b' AND seq = 2"
    )


def swapped_order() -> None:
    for old, new in ((2, 99), (3, 2), (99, 3)):
        sql("UPDATE audit_auditevent SET seq = %s WHERE subject_id = 'b' AND seq = %s", new, old)


def swapped_subjects() -> None:
    for old, new in (("b", "x"), ("c", "b"), ("x", "c")):
        sql("UPDATE audit_auditevent SET subject_id = %s WHERE subject_id = %s", new, old)


def chain_replaced_by_a_renumbered_one() -> None:
    sql("DELETE FROM audit_auditevent WHERE subject_id = 'b' AND seq = 1")
    for seq in (2, 3, 4):
        sql(
            "UPDATE audit_auditevent SET seq = %s WHERE subject_id = 'b' AND seq = %s", seq - 1, seq
        )
    sql("UPDATE audit_auditstream SET audit_seq = 3 WHERE name = 'b'")


def suffix_rewritten_with_another_key() -> None:
    event = AuditEvent.objects.get(subject_id="b", seq=4)
    covered = chain.message(
        AuditEvent.objects.get(subject_id="b", seq=3).mac, STREAM, "b", 4, event.code, "human", "1",
        "villain", event.at, "", event.data,
    )  # fmt: skip
    mac = chain.mac(b"a key of the villain's own", covered)
    sql(
        "UPDATE audit_auditevent SET actor_kind = 'human', actor_id = '1', actor_name = 'villain', "
        "mac = %s WHERE subject_id = 'b' AND seq = 4",
        mac,
    )
    sql("UPDATE audit_auditstream SET audit_head = %s WHERE name = 'b'", mac)


def chain_deleted() -> None:
    sql("DELETE FROM audit_auditevent WHERE subject_id = 'b'")


def row_deleted() -> None:
    sql("DELETE FROM audit_auditstream WHERE name = 'b'")


def row_set(
    assignment: str, *, table: str = "audit_auditstream", key: str = "name = 'b'"
) -> Callable[[], None]:
    return lambda: sql(f"UPDATE {table} SET {assignment} WHERE {key}")


def paper_set(assignment: str) -> Callable[[], None]:
    return row_set(assignment, table="audit_paper", key="id = 'p'")


def row_without_events() -> None:
    sql(
        "INSERT INTO audit_paper (id, state, audit_seq, audit_head) VALUES ('q', 'approved', 0, '')"
    )


def row_with_invented_head() -> None:
    sql("INSERT INTO audit_auditstream (name, audit_seq, audit_head) VALUES ('d', 1, 'f00')")


TAMPERINGS = {
    "code": Tampering(edited("code = 'request.approved'"), Check.MAC, "b", 2),
    "actor kind": Tampering(edited("actor_kind = 'human'"), Check.MAC, "b", 2),
    "actor id": Tampering(edited("actor_id = '1'"), Check.MAC, "b", 2),
    "actor name": Tampering(edited("actor_name = 'bob'"), Check.MAC, "b", 2),
    "time": Tampering(edited("at = '2020-01-01 00:00:00'"), Check.MAC, "b", 2),
    "state": Tampering(edited("state = 'approved'"), Check.MAC, "b", 2),
    "data": Tampering(edited("data = '{}'"), Check.MAC, "b", 2),
    "subject type": Tampering(edited("subject_type = 'audit.a'"), Check.SEQUENCE, "b", 1),
    "subject": Tampering(edited("subject_id = 'bb'"), Check.SEQUENCE, "b", 2),
    "number": Tampering(edited("seq = 9"), Check.SEQUENCE, "b", 2),
    "key name": Tampering(edited("key_id = 'unknown'"), Check.KEY, "b", 2),
    "mac": Tampering(edited("mac = 'f00'"), Check.MAC, "b", 2),
    "first deleted": Tampering(removed(1), Check.SEQUENCE, "b", 1),
    "middle deleted": Tampering(removed(3), Check.SEQUENCE, "b", 3),
    "last deleted": Tampering(removed(4), Check.HEAD, "b", 3),
    "inserted at the end": Tampering(inserted_at_the_end, Check.MAC, "b", 5),
    "inserted in the middle": Tampering(inserted_in_the_middle, Check.MAC, "b", 3),
    "order swapped": Tampering(swapped_order, Check.MAC, "b", 2),
    "subjects swapped": Tampering(swapped_subjects, Check.MAC, "b", 1),
    "renumbered": Tampering(chain_replaced_by_a_renumbered_one, Check.MAC, "b", 1),
    "rewritten suffix": Tampering(suffix_rewritten_with_another_key, Check.MAC, "b", 4),
    "chain deleted": Tampering(chain_deleted, Check.CHAIN_MISSING, "b", None),
    "row deleted": Tampering(row_deleted, Check.ROW_MISSING, "b", 4),
    "row's count raised": Tampering(row_set("audit_seq = 5"), Check.HEAD, "b", 4),
    "row's count cut": Tampering(row_set("audit_seq = 3"), Check.HEAD, "b", 4),
    "row's head": Tampering(row_set("audit_head = 'f00'"), Check.HEAD, "b", 4),
    "row's state": Tampering(paper_set("state = 'open'"), Check.STATE, "p", 2),
    "row's state invented": Tampering(paper_set("state = 'executed'"), Check.STATE, "p", 2),
    "state without events": Tampering(row_without_events, Check.CHAIN_MISSING, "q", None),
    "head without events": Tampering(row_with_invented_head, Check.CHAIN_MISSING, "d", None),
}


@pytest.mark.django_db
@pytest.mark.parametrize("tampering", TAMPERINGS.values(), ids=TAMPERINGS)
def test_tampering_is_found_and_named(tampering: Tampering) -> None:
    make_trail()

    tampering.do()
    problem = found().problem

    assert problem is not None
    assert (problem.check, problem.subject.id, problem.seq) == (
        tampering.check, tampering.subject, tampering.seq,
    )  # fmt: skip
    assert problem.sentence.endswith(".")


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


# --- Any change of any column --------------------------------------------------------------------

_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=0, max_size=12
)
_COVERED = {
    "subject_type": _TEXT, "subject_id": _TEXT, "seq": st.integers(1, 2**31 - 1), "code": _TEXT,
    "actor_kind": st.sampled_from(["human", "agent"]), "actor_id": _TEXT, "actor_name": _TEXT,
    "at": st.datetimes().map(str), "state": _TEXT, "data": _TEXT,
    "key_id": _TEXT.map(lambda text: text[:8]), "mac": _TEXT,
}  # fmt: skip


@pytest.mark.django_db
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    column=st.sampled_from(sorted(_COVERED)),
    where=st.tuples(st.sampled_from("abc"), st.integers(1, 4)),
    data=st.data(),
)
def test_any_change_of_any_column_of_any_event_is_found(
    column: str, where: tuple[str, int], data: st.DataObject
) -> None:
    """All columns but the id, which says only where the row lies."""
    name, seq = where
    value = data.draw(_COVERED[column])

    with transaction.atomic():
        make_trail()
        honest = AuditEvent.objects.get(subject_id=name, seq=seq)
        assume(value not in (getattr(honest, column), 1, 2, 3, 4))
        sql(f"UPDATE audit_auditevent SET {column} = %s WHERE id = %s", value, honest.pk)
        problem = found().problem
        transaction.set_rollback(True)

    assert problem is not None


# --- The shapes verification reads ---------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("at", ["2026-01-02 03:04:05", "2026-01-02 03:04:05.000600"])
def test_the_database_builds_the_very_bytes_that_were_signed(
    at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    monkeypatch.setattr("django.utils.timezone.now", lambda: moment)
    event = make_chain("Zoë 山田", 1)[0]

    (row,) = rows_in_chain_order()

    signed = chain.message(
        "", event.subject_type, event.subject_id, 1, event.code, event.actor_kind, event.actor_id,
        event.actor_name, event.at, event.state, event.data,
    )  # fmt: skip
    assert b"\n" + Row(*row).body == signed


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL stores only UTF-8")
def test_bytes_that_are_not_text_are_named_like_any_other_change() -> None:
    make_trail()

    sql(_EVENT.format("data = CAST(x'ff' AS TEXT)"))
    assert found().problem is not None

    sql(_EVENT.format("state = CAST(x'ff' AS TEXT)"))
    assert found().problem is not None


def test_events_signed_with_a_retired_or_a_long_key_still_verify() -> None:
    keys = {"old": b"k" * 100, "new": b"n" * 48}
    rows = []
    head = ""
    for seq, name in ((1, "old"), (2, "new")):
        body = f"t\ni\n{seq}".encode()
        mac = chain.mac(keys[name], head.encode() + b"\n" + body)
        rows.append(Row("t", "i", seq, seq, "", name, mac, body))
        head = mac

    assert not any(isinstance(r, Problem) for r in check_chains(rows, chain.Keyring("new", keys)))
    (problem,) = check_chains(rows, chain.Keyring("new", {"new": keys["new"]}))
    assert isinstance(problem, Problem)
    assert (problem.check, problem.seq) == (Check.KEY, 1)


@pytest.mark.parametrize(
    ("seq", "mac", "check"), [(2, "f00", Check.SEQUENCE), (1, "f00", Check.MAC)]
)
def test_nothing_is_said_after_the_first_problem(seq: int, mac: str, check: Check) -> None:
    rows = [Row("t", name, seq, 1, "", "key", mac, b"") for name in "ab"]

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
