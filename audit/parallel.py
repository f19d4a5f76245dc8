"""Verifying with several processes that all see the same moment (PostgreSQL)."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import django
from django.conf import settings
from django.db import connection

from audit import chain
from audit.reading import Span, exported_snapshot, one_snapshot, spans
from audit.verify import Report, chained_models, check_no_chain_is_missing, verify_span


def verify_in_parallel(jobs: int) -> Report:
    """Check the whole trail with that many processes. Call it inside `one_snapshot`.

    Spans of chains go to separate processes under this transaction's exported snapshot. The
    problem reported is the first in chain order, as with one process.
    """
    snapshot = exported_snapshot()
    tasks = [(connection.settings_dict, snapshot, span) for span in spans(jobs)]
    # a fresh process inherits the environment and nothing else, however the parent got its settings
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings.SETTINGS_MODULE)
    fresh = multiprocessing.get_context("spawn")  # a forked child would share our connection
    with ProcessPoolExecutor(jobs, mp_context=fresh, initializer=django.setup) as pool:
        parts = list(pool.map(_verify_part, tasks))
    whole = Report()
    for part in parts:
        whole.events += part.events
        whole.chains += part.chains
        if part.problem:
            whole.problem = part.problem
            return whole
    whole.problem = check_no_chain_is_missing(whole.chains, chained_models())
    return whole


def _verify_part(task: tuple[dict[str, Any], str, Span]) -> Report:
    database, snapshot, span = task
    connection.settings_dict.update(database)  # the very database the parent reads
    with one_snapshot(shared=snapshot):
        return verify_span(chain.keyring(), chained_models(), span)
