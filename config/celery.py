"""The Celery app: ids only, early ack, no results; database rows are the truth."""

from __future__ import annotations

import os
from typing import Any

import structlog
from celery import Celery
from celery.signals import beat_init, setup_logging, task_prerun, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("countersign")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["approvals", "policies"])


def _keep_our_logging(**kwargs: Any) -> None:
    """Celery sets up no logging of its own when somebody listens here; Django's stays."""


def _refuse_unsafe_start(**kwargs: Any) -> None:
    from config.checks import refuse_unsafe_start  # the settings exist only now

    refuse_unsafe_start()


def _name_the_work(task: Any, args: Any, **kwargs: Any) -> None:
    """Put the task and the action it is about on every log line; arguments are ids only."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=task.name)
    if args:
        structlog.contextvars.bind_contextvars(action_id=str(args[0]))


setup_logging.connect(_keep_our_logging)
worker_init.connect(_refuse_unsafe_start)
beat_init.connect(_refuse_unsafe_start)
task_prerun.connect(_name_the_work)
