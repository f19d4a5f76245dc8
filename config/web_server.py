"""gunicorn's settings: `gunicorn -c python:config.web_server config.wsgi`.

Threads rather than an event loop: the ORM is synchronous, and an agent that long-polls costs
one waiting thread.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings  # the settings module must be named first
from django.core.exceptions import ImproperlyConfigured

from config.start import one_sentence

with one_sentence():  # in the master: a worker that refuses would only be started again
    _ = settings.DEBUG  # reading one reads them all
    from config.checks import refuse_unsafe_start

    refuse_unsafe_start()
    if not (
        settings.WHITENOISE_USE_FINDERS or (settings.STATIC_ROOT / "staticfiles.json").exists()
    ):
        raise ImproperlyConfigured(
            "Styles and scripts are not collected: run `manage.py collectstatic --no-input` after "
            "every upgrade, or start everything with `manage.py up`, which does."
        )

bind = f"{settings.BIND_HOST}:{settings.PORT}"
worker_class = "gthread"
# SQLite has one writer: more processes would only queue for it.
workers = 2 if settings.IS_POSTGRES else 1
threads = settings.WEB_THREADS
# Longer than the longest request, a full long poll; those are answered early, see below.
graceful_timeout = 35
timeout = 60
max_requests = 0
accesslog = None  # RequestIdMiddleware writes one line per request, with its id
control_socket_disable = True
proc_name = "countersign-web"
logconfig_dict: dict[str, Any] = settings.LOGGING


def post_worker_init(worker: Any) -> None:
    """Answer the long polls as soon as this process is told to stop, so that stopping is quick.

    And read what the first probe would wait for.
    """
    from django.db import connections  # the apps are set up only now

    from approvals.api.waiting import end_all_waits
    from config.probes import warm_up

    warm_up()
    connections.close_all()  # requests are answered by other threads
    wind_down = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        end_all_waits()
        if callable(wind_down):
            wind_down(number, frame)

    signal.signal(signal.SIGTERM, stop)
    signal.siginterrupt(signal.SIGTERM, False)  # as gunicorn has it: disturb no request
