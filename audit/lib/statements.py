"""Long statements whose places are numbered once a process, not at every call.

The driver turns `%s` into PostgreSQL's `$1, $2, ...` and remembers what came of it, unless the text
is long or its places are many: then it reads the text letter by letter every time, which takes
longer than everything else it does. What this product asks and writes together is that long, and
the same every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from audit.lib.db import is_postgres


def rows_of_statement(
    sql: str, values: Sequence[Any], own: BaseDatabaseWrapper
) -> list[tuple[Any, ...]]:
    """Execute it, with a `%s` for each value as everywhere in Django, and fetch every row."""
    with _cursor(own) as cursor:
        cursor.execute(_numbered(sql) if _takes_numbers(own) else sql, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _takes_numbers(own: BaseDatabaseWrapper) -> bool:
    """Whether the server binds the values. Who watches statements gets them as Django has them."""
    binds = own.settings_dict["OPTIONS"].get("server_side_binding", False)
    is_watched = own.queries_logged or own.execute_wrappers
    return is_postgres(own) and binds and not is_watched


def _cursor(own: BaseDatabaseWrapper) -> Any:
    if not _takes_numbers(own):
        return own.cursor()
    from psycopg import RawCursor  # PostgreSQL's driver

    own.close_if_health_check_failed()  # what Django does before it makes a cursor
    own.ensure_connection()
    own.validate_thread_sharing()
    raw: Any = RawCursor(own.connection)
    return own.make_cursor(raw)


@lru_cache(maxsize=256)
def _numbered(sql: str) -> str:
    """`%s` as `$1, $2, ...`, and `%%` as `%`."""
    number = 0
    texts = []
    for literal in sql.split("%%"):
        first, *others = literal.split("%s")
        texts.append(first + "".join(f"${number + n}{text}" for n, text in enumerate(others, 1)))
        number += len(others)
    return "%".join(texts)
