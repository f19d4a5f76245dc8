"""Verifying with several processes that all see the same moment (PostgreSQL)."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import django
from django.db import connection

from audit import chain
from audit.reading import Span, exported_snapshot, one_snapshot, spans
from audit.verify import Report, check_no_chain_is_missing, verify_span


def verify_in_parallel(jobs: int) -> Report:
    """Check the whole trail with that many processes. Call it inside `one_snapshot`.

    Spans of chains go to separate processes under this transaction's exported snapshot. The
    problem reported is the first in chain order, as with one process.
    """
    snapshot = exported_snapshot()
    with ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(connection.settings_dict,),
    ) as pool:
        parts = list(pool.map(_verify_part, spans(jobs), [snapshot] * jobs))
    whole = Report()
    for part in parts:
        whole.events += part.events
        whole.chains += part.chains
        if part.problem:
            whole.problem = part.problem
            return whole
    whole.problem = check_no_chain_is_missing(whole.chains)
    return whole


def _start(database: dict[str, Any]) -> None:
    """Make a fresh process speak to the very database the parent speaks to."""
    django.setup()
    connection.settings_dict.update(database)


def _verify_part(span: Span, snapshot: str) -> Report:
    with one_snapshot(shared=snapshot):
        return verify_span(chain.keyring(), span)
