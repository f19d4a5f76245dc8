"""Every way to change the trail behind the triggers, and the record that is named for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.db import transaction
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from audit import chain
from audit.models import AuditEvent
from audit.verify import Check
from tests.audit.trail import STREAM, found, make_trail, sql

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
        "villain", chain.moment(event.at), "", event.data,
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
@settings(suppress_health_check=list(HealthCheck))
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
