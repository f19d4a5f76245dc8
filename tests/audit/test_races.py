"""Many writers at once on PostgreSQL: no chain forks, and different subjects never wait."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from audit.events import AuditCode
from audit.models import AuditEvent, AuditStream
from audit.reading import one_snapshot
from audit.services import ChainMoved, record, stream
from audit.verify import Report, verify, verify_in_parallel
from tests.audit.make import MARIA, make_chain
from tests.database import triggers_off

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs PostgreSQL: real threads, real locks"
    ),
]

THREADS = 8
EACH = 25


def at_once(work: Callable[[int], None]) -> list[BaseException]:
    """Run the work in threads that start together; return what they raised."""
    raised: list[BaseException] = []
    barrier = threading.Barrier(THREADS)

    def run(index: int) -> None:
        try:
            barrier.wait()
            work(index)
        except (IntegrityError, ChainMoved) as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def verified() -> Report:
    with one_snapshot():
        return verify()


def test_writers_of_one_subject_queue_on_its_row() -> None:
    def work(index: int) -> None:
        for _ in range(EACH):
            with transaction.atomic():
                record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=stream("roles"))

    assert at_once(work) == []
    assert list(AuditEvent.objects.order_by("seq").values_list("seq", flat=True)) == list(
        range(1, THREADS * EACH + 1)
    )
    assert verified().problem is None


def test_without_the_row_lock_the_loser_is_refused_and_nothing_forks() -> None:
    AuditStream.objects.create(name="roles")

    def work(index: int) -> None:
        for _ in range(EACH):
            with transaction.atomic():
                naive = AuditStream.objects.get(name="roles")
                record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=naive)

    assert at_once(work) != []
    assert verified().problem is None


def test_writers_of_different_subjects_do_not_wait_for_each_other() -> None:
    """Each writer holds its open transaction until all have written: a shared lock would hang."""
    all_have_written = threading.Barrier(THREADS, timeout=20)

    def work(index: int) -> None:
        with transaction.atomic():
            record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=stream(f"roles {index}"))
            all_have_written.wait()

    assert at_once(work) == []
    assert verified().subjects == THREADS


def test_verification_sees_one_moment_while_writers_carry_on() -> None:
    make_chain("roles")

    def write_more() -> None:
        try:
            with transaction.atomic():
                record(AuditCode.ROLES_SYNCED, actor=MARIA, subject=stream("roles"))
        finally:
            connection.close()

    with one_snapshot():
        before = verify()
        writer = threading.Thread(target=write_more)
        writer.start()
        writer.join()
        during = verify()

    assert (before.events, during.events, during.problem) == (4, 4, None)
    assert verified().events == 5


@pytest.mark.slow
def test_several_processes_find_what_one_finds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "config.settings")  # as manage.py does
    for number in range(6):
        make_chain(f"chain {number}")

    call_command("verify_audit", jobs=2)

    assert "24 events of 6 subjects" in capsys.readouterr().out
    with triggers_off(), connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditevent SET data = '{}' WHERE subject_id = 'chain 4'")
    with one_snapshot():
        assert verify_in_parallel(2).problem == verify().problem is not None
