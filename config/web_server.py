"""gunicorn's settings: `gunicorn -c python:config.web_server config.wsgi`.

Threads rather than an event loop: the ORM is synchronous, and an agent that long-polls costs
one waiting thread.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings  # the settings module must be named first

bind = f"{settings.BIND_HOST}:{settings.PORT}"
worker_class = "gthread"
# SQLite has one writer: more processes would only queue for it.
workers = 2 if settings.IS_POSTGRES else 1
threads = settings.WEB_THREADS
graceful_timeout = 5
timeout = 60
max_requests = 0
accesslog = None  # RequestIdMiddleware writes one line per request, with its id
control_socket_disable = True
proc_name = "countersign-web"
logconfig_dict: dict[str, Any] = settings.LOGGING
