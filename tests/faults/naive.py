"""The obvious task, as most people would write it: what the protocol is measured against.

Late acknowledgement, look at the state, call, save. A Celery application of its own, with its
state in a SQLite file; nothing here is ours but the sandbox it calls.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import httpx
from celery import Celery

app = Celery("naive", broker=os.environ["BROKER_URL"], set_as_current=False)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
)


@app.task(name="naive.refund")
def refund(path: str, charge: str) -> None:
    """Refund the charge unless that is done."""
    with closing(sqlite3.connect(path)) as book:
        row = book.execute("SELECT state FROM refunds WHERE charge = ?", (charge,)).fetchone()
        if row != ("approved",):
            return
        httpx.post(
            f"http://127.0.0.1:{os.environ['SANDBOX_PORT_BASE']}/v1/refunds",
            data={"charge": charge, "amount": "1000"},
            headers={"Authorization": "Bearer sk_test_sandbox"},
            timeout=30,
        ).raise_for_status()
        with book:
            book.execute("UPDATE refunds SET state = 'done' WHERE charge = ?", (charge,))
