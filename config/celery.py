"""The Celery app: ids only, early ack, no results; database rows are the truth."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import suppress
from typing import Any

import structlog
from celery import Celery
from celery.signals import (
    beat_init,
    setup_logging,
    task_failure,
    task_prerun,
    worker_init,
    worker_ready,
)
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections

from audit.lib.outbox import allow_again
from config.start import one_sentence

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

logger = logging.getLogger(__name__)

app = Celery("countersign")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["approvals", "policies"])


def _keep_our_logging(**kwargs: Any) -> None:
    """Celery sets up no logging of its own when somebody listens here; Django's stays."""


def _read_settings(**kwargs: Any) -> None:
    """Before Celery does, which would report what is wrong with them as trouble of its own."""
    with one_sentence():
        _ = settings.DEBUG  # reading one reads them all


def _refuse_unsafe_start(**kwargs: Any) -> None:
    from config.checks import refuse_unsafe_start  # the settings exist only now

    with one_sentence():  # Celery would log any other exception of a signal and go on
        refuse_unsafe_start()


def _notice_a_restore(**kwargs: Any) -> None:
    """Before the first message: it may be for something that was done before a restore."""
    from django.db import Error, connections

    from approvals.services import restores

    try:
        restores.notice()
    except Error:
        logger.exception("not known whether the database was restored; the first sweep looks")
    finally:
        connections.close_all()  # children are forked from here and must not share one


def _end_with_a_killed_child(sender: Any, **kwargs: Any) -> None:
    """Where a worker's children share one pipe, a killed one may take the pipe's lock along.

    So it is on the embedded default, whose transport has no event loop: then the other children
    wait for ever, and nothing is carried out. The whole worker ends instead, and whoever keeps it
    running starts it again; what it was doing is carried on from the rows, as after any crash.
    """
    if sender.controller.use_eventloop:
        return  # every child has a pipe of its own
    pool = sender.pool._pool

    def ended(child: Any) -> None:
        if child.exitcode is not None and child.exitcode < 0:
            logger.critical("a child of the worker was killed; the worker ends, to begin anew")
            for other in pool._pool:
                with suppress(ProcessLookupError):
                    os.kill(other.pid, signal.SIGKILL)
            os._exit(1)

    pool.on_process_down = ended


def _name_the_work(task: Any, args: Any, **kwargs: Any) -> None:
    """Put the task and the action it is about on every log line; arguments are ids only."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=task.name)
    if args:
        structlog.contextvars.bind_contextvars(action_id=str(args[0]))


def _drop_dead_connections(task: Any, **kwargs: Any) -> None:
    """Before a task, as Django does before a request: a connection that died is replaced.

    Celery keeps connections from task to task here and never looks at them. A file cannot hang
    up, and opening SQLite anew costs more than most tasks.
    """
    if settings.IS_POSTGRES and not task.request.is_eager:
        close_old_connections()


def _let_sweep_send_again(sender: Any, exception: Any, args: Any, **kwargs: Any) -> None:
    """A task that met no database has done nothing: the next sweep need not wait to repeat it."""
    if args and isinstance(exception, (InterfaceError, OperationalError)):
        allow_again(sender.name, args[0])


app.on_configure.connect(_read_settings)
setup_logging.connect(_keep_our_logging)
worker_init.connect(_refuse_unsafe_start)
worker_init.connect(_notice_a_restore)
worker_ready.connect(_end_with_a_killed_child)
beat_init.connect(_refuse_unsafe_start)
task_prerun.connect(_name_the_work)
task_prerun.connect(_drop_dead_connections)
task_failure.connect(_let_sweep_send_again)
