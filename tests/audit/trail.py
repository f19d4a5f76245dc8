"""A trail worth tampering with, and the way past its triggers."""

from __future__ import annotations

from django.db import connection

from audit.verify import Report, verify
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
