"""What gunicorn serves."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from config.checks import refuse_unsafe_start
from config.start import one_sentence

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

with one_sentence():
    application = get_wsgi_application()
    refuse_unsafe_start()
